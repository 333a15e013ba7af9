//! The commands about connections: asked for, then waited for where a forge has to answer.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{add as put, list_told, query, show, tell};
use super::apply::has_ended;
use super::arguments::{ConnectionsCommand, CredentialFiles, Named, NewConnection, NewLink, SecretsCommand};
use super::client::Client;
use super::exit::{Exit, Failure};
use super::link;
use super::progress::Bar;
use super::terminal::{Column, Terminal};
use crate::domain::organization::Forge;

/// How long a task is waited for, and between two looks.
const WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// No secret is longer.
const SECRET_BYTES_MAX: u64 = 64 << 10;

pub(super) async fn connections(
    command: ConnectionsCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match command {
        ConnectionsCommand::List { choice, list: part } => {
            let columns: &[Column] = &[
                ("KEY", "key"),
                ("ORGANIZATION", "organization"),
                ("KIND", "kind"),
                ("ACCOUNT", "account.login"),
                ("STATE", "state"),
                ("PROOF", "proof"),
                ("BY", "created_by"),
                ("LAST EVENT", "last_event_at"),
            ];
            let query = query([
                ("organization", choice.organization),
                ("state", choice.state),
                ("kind", choice.kind),
                ("authority", choice.authority.map(|authority| authority.to_string())),
            ]);
            list_told(client, terminal, "connections", &query, &part, (columns, tell_who_ended_it)).await
        }
        ConnectionsCommand::Show { key, json } => {
            show(&client.get(&["connections", &key], &[]).await?, json.json, terminal)
        }
        ConnectionsCommand::Add(new) => add(*new, client, terminal).await,
        ConnectionsCommand::Link(new) => link::link(new, client, terminal).await,
        ConnectionsCommand::Test(named) => test(&named, client, terminal).await,
        ConnectionsCommand::Sync(named) => wait(&named, "sync", client, terminal).await,
        ConnectionsCommand::Pause(named) => at_once(&named, "pause", "is paused", client, terminal).await,
        ConnectionsCommand::Resume(named) => wait(&named, "resume", client, terminal).await,
        ConnectionsCommand::Extend(named) => {
            at_once(&named, "extend", "lets its members in for a further week", client, terminal).await
        }
        ConnectionsCommand::Disconnect { named, yes } => {
            confirm(&named, yes, terminal)?;
            wait(&named, "disconnect", client, terminal).await
        }
        ConnectionsCommand::Promote { named, credential } => {
            if !credential.is_given() {
                return Err(Failure::usage("give --token-file, or --app-id with --app-key-file"));
            }
            let body = read(&credential)?;
            let made = client.post(&["connections", named.key.as_str(), "promote"], &body).await?;
            told(&made, named.json.json, terminal)
        }
        ConnectionsCommand::Reject(named) => at_once(&named, "reject", "is rejected", client, terminal).await,
        ConnectionsCommand::Allow(named) => {
            at_once(&named, "allow", "is let in again", client, terminal).await
        }
    }
}

pub(super) async fn secrets(
    command: SecretsCommand,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let SecretsCommand::Rotate { named, app_key_file, client_secret_file, by_hand: is_by_hand, leaked } =
        command;
    if is_by_hand {
        return by_hand(&named, client, terminal).await;
    }
    if app_key_file.is_none() && client_secret_file.is_none() {
        return wait_for(&named, "rotate", &json!({ "leaked": leaked }), client, terminal).await;
    }
    let client_secret = client_secret_file.as_deref().map(secret).transpose()?;
    let mut body = json!({});
    put(&mut body, "private_key", app_key_file.as_deref().map(secret).transpose()?);
    put(&mut body, "client_secret", client_secret.map(|text| text.trim().to_owned()));
    let shown = client.post(&["connections", named.key.as_str(), "app-key"], &body).await?;
    let done = format!("the App of connection {} is believed by it; take the old one away there", named.key);
    tell(&shown, named.json.json, &done, terminal)
}

/// Another secret for a hook that somebody set up by hand.
async fn by_hand(named: &Named, client: &Client, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let made = client.post(&["connections", named.key.as_str(), "hook-secret"], &json!({})).await?;
    if named.json.json {
        terminal.json(&made)?;
        return Ok(Exit::Done);
    }
    let text = |key: &str| made.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    terminal.remark(&format!("enter it at the forge, for the hook that sends to {}", text("url")))?;
    terminal
        .remark("the one before counts until a delivery has come with the new one, and for a further day")?;
    terminal.line(&text("secret"))?;
    Ok(Exit::Done)
}

async fn add(new: NewConnection, client: &Client, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if !new.credential.is_given() {
        return in_a_browser(new, client, terminal).await;
    }
    let account = new.account.ok_or_else(|| Failure::usage("name the account that it is for: --account"))?;
    let mut body = read(&new.credential)?;
    put(&mut body, "kind", Some(new.kind.as_str().to_owned()));
    put(&mut body, "account", Some(account));
    put(&mut body, "url", new.forge.as_ref().map(ToString::to_string));
    put(&mut body, "key", new.key.as_ref().map(ToString::to_string));
    put(&mut body, "authority", (new.authority || new.no_authority).then_some(new.authority));
    let made = client.post_within(Some(new.organization.as_str()), &["connections"], &body).await?;
    told(&made, new.json.json, terminal)
}

/// Without a credential: GitHub makes an App of one's own, and gives us its credentials itself.
async fn in_a_browser(new: NewConnection, client: &Client, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if new.kind.forge() == Forge::Gitlab {
        let how = "GitLab is connected by a token (--token-file), or GitLab.com by its first CI job";
        return Err(Failure::usage(how));
    }
    if new.key.is_some() || new.authority || new.no_authority {
        return Err(Failure::usage(
            "without a credential, --key, --authority and --no-authority mean nothing",
        ));
    }
    let NewConnection { organization, kind, forge, account, json, .. } = new;
    let (kind, forge) = (Some(kind.as_str().to_owned()), forge.map(String::from));
    link::link(
        NewLink { organization, kind, forge, account, source: None, connection: None, json },
        client,
        terminal,
    )
    .await
}

/// What was made, and what should be known of it.
fn told(made: &Value, json: bool, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if json {
        terminal.json(made)?;
        return Ok(Exit::Done);
    }
    let text = |pointer: &str| made.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    // The key alone goes to the output, so that it can be piped; the rest is for people.
    terminal.line(&text("/connection/key"))?;
    terminal.remark(&format!("it is {}", text("/connection/state")))?;
    for remark in made.get("remarks").and_then(Value::as_array).into_iter().flatten() {
        terminal.remark(&format!("note: {}", remark.as_str().unwrap_or_default()))?;
    }
    if made.get("hook").is_some_and(Value::is_object) {
        terminal.remark(&format!("for a hook at the forge, address: {}", text("/hook/url")))?;
        terminal.remark(&format!("its secret, shown only now: {}", text("/hook/secret")))?;
    }
    Ok(Exit::Done)
}

/// Does what is done at once.
async fn at_once(
    named: &Named,
    verb: &str,
    done: &str,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let answer = client.post(&["connections", named.key.as_str(), verb], &json!({})).await?;
    tell(&answer, named.json.json, &format!("connection {} {done}", named.key), terminal)
}

/// Asks for it and waits until it has been done once more than before.
async fn wait(named: &Named, verb: &str, client: &Client, terminal: &mut Terminal) -> Result<Exit, Failure> {
    wait_for(named, verb, &json!({}), client, terminal).await
}

/// The same for what has more to say.
async fn wait_for(
    named: &Named,
    verb: &str,
    how: &Value,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let asked = client.post(&["connections", named.key.as_str(), verb], how).await?;
    let id = asked.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let bar = Bar::begin("asking the forge");
    let task = until_over(&asked, &id, client).await;
    bar.end();
    let task = task?;
    if named.json.json {
        terminal.json(&task)?;
    }
    let text = |key: &str| task.get(key).and_then(Value::as_str).map(str::to_owned);
    if runs(&task) <= runs(&asked) {
        let why = text("last_error").map(|error| format!(" ({error})")).unwrap_or_default();
        terminal.remark(&format!("it is not over yet{why}; the daemon goes on: see the task {id}"))?;
        return Ok(Exit::Failed);
    }
    if let Some(error) = text("last_error") {
        return Err(Failure { exit: Exit::Forge, message: error });
    }
    if !named.json.json {
        terminal.line(&text("note").unwrap_or_default())?;
    }
    Ok(Exit::Done)
}

/// Looks at the forge, and then whether that did what it was for.
async fn test(named: &Named, client: &Client, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let ended = wait(named, "test", client, terminal).await?;
    if ended != Exit::Done {
        return Ok(ended);
    }
    let shown = client.get(&["connections", named.key.as_str()], &[]).await?;
    Ok(if works(&shown) { Exit::Done } else { Exit::Forge })
}

/// A connection that is off because of what somebody did here is called by that.
fn tell_who_ended_it(connection: &mut Value) {
    let is_set = |key: &str| connection.get(key).is_some_and(|at| !at.is_null());
    let word = if is_set("rejected_at") {
        "rejected"
    } else if has_ended(connection) {
        "disconnected"
    } else if is_set("paused_at") {
        "paused"
    } else {
        return;
    };
    connection["state"] = word.into();
}

/// Whether the last look at the forge did what it was for; what is lacking of the permissions is no failure.
fn works(connection: &Value) -> bool {
    let state = connection.get("state").and_then(Value::as_str).unwrap_or_default();
    let error = connection.pointer("/health/last_error").and_then(Value::as_str);
    error.is_none() && ["connected", "limited", "waiting_first_job"].contains(&state)
}

fn runs(task: &Value) -> u64 {
    task.get("runs").and_then(Value::as_u64).unwrap_or(0)
}

/// The task once it has ended, or as it is when that takes too long.
async fn until_over(asked: &Value, id: &str, client: &Client) -> Result<Value, Failure> {
    let looks = WITHIN.as_millis().checked_div(LOOK_EVERY.as_millis()).unwrap_or(1);
    let mut task = asked.clone();
    for _ in 0..looks {
        task = client.get(&["tasks", id], &[]).await?;
        if runs(&task) > runs(asked) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(task)
}

/// Has the key typed once more, by a person at a terminal.
fn confirm(named: &Named, yes: bool, terminal: &mut Terminal) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !terminal.is_terminal {
        return Err(Failure::usage("this ends the connection: give --yes"));
    }
    terminal.remark(&format!("type {} to end it:", named.key))?;
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed).map_err(|error| Failure::failed(error.to_string()))?;
    if typed.trim() == named.key.as_str() { Ok(()) } else { Err(Failure::usage("that is not its key")) }
}

fn read(files: &CredentialFiles) -> Result<Value, Failure> {
    let mut body = json!({});
    if let Some(file) = &files.token_file {
        put(&mut body, "access_token", Some(secret(file)?.trim().to_owned()));
    }
    if let (Some(id), Some(file)) = (files.app_id, &files.app_key_file) {
        let mut app = json!({ "id": id, "private_key": secret(file)? });
        put(&mut app, "installation_id", files.installation);
        if let Some(file) = &files.webhook_secret_file {
            put(&mut app, "webhook_secret", Some(secret(file)?.trim().to_owned()));
        }
        put(&mut body, "app", Some(app));
    }
    Ok(body)
}

/// A secret's text, of a file or of the standard input.
fn secret(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(SECRET_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(text)
}
