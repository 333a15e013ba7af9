//! The commands that ask: each is one or two requests and a table.

use serde_json::{Value, json};

use super::answer::{add, list, query, tell};
use super::arguments::{Ask, FindingsCommand, OrganizationsCommand, ProjectsCommand, TokenCommand};
use super::client::Client;
use super::exit::{Exit, Failure};
use super::terminal::{Column, Terminal};
use super::{audit, catch_up, connections, deliveries, long, member, task};
use crate::domain::Timestamp;
use crate::domain::access::TokenKind;

/// Asks, and prints the answer.
///
/// # Errors
/// With a sentence and the code to end with.
pub async fn ask(
    what: Ask,
    client: &Client,
    terminal: &mut Terminal,
    now: Timestamp,
) -> Result<Exit, Failure> {
    if client.is_exposed() {
        terminal.remark("warning: the token travels unprotected: the URL is plain http")?;
    }
    match what {
        Ask::Token(command) => token(command, client, terminal, now).await,
        Ask::Organizations(command) => organizations(command, client, terminal).await,
        Ask::Connections(command) => connections::connections(command, client, terminal).await,
        Ask::Keys(command) => long::keys(command, client, terminal).await,
        Ask::Secrets(command) => connections::secrets(command, client, terminal).await,
        Ask::Projects(command) => projects(command, client, terminal).await,
        Ask::Members(command) => member::members(command, client, terminal).await,
        Ask::Audit(command) => audit::audit(command, client, terminal, now).await,
        Ask::CatchUp(what) => catch_up::catch_up(what, client, terminal).await,
        Ask::Deliveries(command) => deliveries::deliveries(command, client, terminal, now).await,
        Ask::DeadLetters(command) => deliveries::dead_letters(command, client, terminal, now).await,
        Ask::Tasks(command) => task::tasks(command, client, terminal).await,
        Ask::Findings(command) => findings(command, client, terminal).await,
    }
}

async fn token(
    command: TokenCommand,
    client: &Client,
    terminal: &mut Terminal,
    now: Timestamp,
) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create { organization, kind, name, expires, member, json } => {
            let mut body = json!({ "kind": TokenKind::from(kind).as_str() });
            add(&mut body, "name", name);
            add(&mut body, "member", member);
            add(&mut body, "expires_at", expires.map(|period| now.plus_ms(period.ms()).rfc3339()));
            let made = client.post_within(Some(organization.as_str()), &["tokens"], &body).await?;
            if json.json {
                terminal.json(&made)?;
                return Ok(Exit::Done);
            }
            let token = made.get("token").and_then(Value::as_str);
            let token = token.ok_or_else(|| Failure::failed("the daemon made no token"))?;
            // The token alone goes to the output, so that it can be piped; the rest is for people.
            terminal.line(token)?;
            let text = |key: &str| made.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (id, end) = (text("id"), text("expires_at"));
            terminal.remark(&format!("token {id}, until {end}; it is not kept and not shown again"))?;
            Ok(Exit::Done)
        }
        TokenCommand::List { organization, kind, list: part } => {
            let kind = kind.map(|kind| TokenKind::from(kind).as_str().to_owned());
            let query = query([("organization", organization.map(String::from)), ("kind", kind)]);
            let columns: &[Column] = &[
                ("ID", "id"),
                ("ORGANIZATION", "organization"),
                ("KIND", "kind"),
                ("NAME", "name"),
                ("EXPIRES", "expires_at"),
                ("REVOKED", "revoked_at"),
            ];
            list(client, terminal, "tokens", &query, &part, columns).await
        }
        TokenCommand::Revoke { id } => {
            client.delete(&["tokens", &id]).await?;
            terminal.remark(&format!("token {id} opens nothing any more"))?;
            Ok(Exit::Done)
        }
    }
}

async fn organizations(
    command: OrganizationsCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match command {
        OrganizationsCommand::Create { slug, name, home, json } => {
            let name = name.unwrap_or_else(|| slug.as_str().to_owned());
            let mut body = json!({ "slug": slug, "name": name });
            add(&mut body, "home", home.map(|home| home.as_str().to_owned()));
            let made = client.post(&["organizations"], &body).await?;
            tell(&made, json.json, &format!("organization {slug} was made"), terminal)
        }
        OrganizationsCommand::List(part) => {
            let columns: &[Column] =
                &[("SLUG", "slug"), ("NAME", "name"), ("HOME", "home"), ("AUTHORITY", "authority")];
            list(client, terminal, "organizations", &[], &part, columns).await
        }
    }
}

async fn projects(
    command: ProjectsCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let ProjectsCommand::List { choice, list: part } = command;
    let query = query([
        ("organization", choice.organization),
        ("connection", choice.connection),
        ("provider", choice.provider),
        ("host", choice.host),
        ("state", choice.state),
        ("visibility", choice.visibility),
        ("archived", choice.archived.map(|archived| archived.to_string())),
        ("ci_state", choice.ci_state),
        ("proof", choice.proof),
        ("search", choice.search),
    ]);
    let columns: &[Column] = &[
        ("PATH", "full_path"),
        ("ORGANIZATION", "organization"),
        ("HOST", "host"),
        ("STATE", "state"),
        ("PROOF", "proof"),
        ("CI", "ci_state"),
        ("BRANCH", "default_branch"),
        ("ID", "id"),
    ];
    list(client, terminal, "projects", &query, &part, columns).await
}

async fn findings(
    command: FindingsCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let FindingsCommand::List { organization, project, repo, git_ref, state, list: part } = command;
    let query = query([
        ("organization", organization.map(String::from)),
        ("project", project),
        ("repo", repo),
        ("ref", git_ref),
        ("state", state),
    ]);
    let columns: &[Column] = &[
        ("PROJECT", "full_path"),
        ("REF", "git_ref"),
        ("RULE", "rule"),
        ("FILE", "path"),
        ("LINE", "line"),
        ("SEVERITY", "severity"),
        ("STATE", "state"),
        ("MESSAGE", "message"),
    ];
    list(client, terminal, "findings", &query, &part, columns).await
}
