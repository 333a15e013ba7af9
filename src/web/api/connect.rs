//! Connections made, tested, paused and ended by an admin.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::connection::{ConnectionView, find, view};
use super::query::Query;
use super::{Answer, parse, task};
use crate::connect::{Added, NewApp, NewConnection, NewCredential, Refusal, Undone, Verb};
use crate::domain::ConnectionKey;
use crate::domain::organization::Kind;
use crate::web::auth::{Admin, Call, Caller};
use crate::web::describe::{self, Body, Good, Operation, Shape, Slug};
use crate::web::error::Problem;

/// A connection to be made. Give `access_token` or `app`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConnection, example = json!({
    "kind": "gitlab_self_managed", "url": "https://gitlab.example.com", "account": "acme", "access_token": "glpat-…"
}))]
struct Wish {
    kind: Kind,
    /// The address that people type to see the forge; needed for the two on-premise kinds.
    url: Option<String>,
    /// The account's name, exactly as the forge spells it: an organization, a person, a group's path.
    account: String,
    /// The name that the connection shall have; made of forge and account without this.
    #[schema(value_type = Option<Slug>)]
    key: Option<ConnectionKey>,
    /// Whether it shall manage the organization's members. Without this, the first one at the founder's forge does.
    authority: Option<bool>,
    /// A personal, group or project token.
    #[schema(value_type = Option<String>)]
    access_token: Option<SecretString>,
    app: Option<AppWish>,
    /// A file keeps it: `created_by` says `apply`, and `scm-connect apply` ends it when the file lets go of it.
    #[serde(default)]
    #[schema(required = false)]
    kept_by_file: bool,
}

/// A GitHub App that there is already.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExistingApp)]
struct AppWish {
    /// Its number.
    id: u64,
    /// Its private key, PEM.
    #[schema(value_type = String)]
    private_key: SecretString,
    /// Its name for sign-in.
    client_id: Option<String>,
    /// Its secret for sign-in.
    #[schema(value_type = Option<String>)]
    client_secret: Option<SecretString>,
    /// What signs its deliveries; made and shown once without this.
    #[schema(value_type = Option<String>)]
    webhook_secret: Option<SecretString>,
    /// The installation at the account; looked for without this.
    installation_id: Option<u64>,
}

/// A credential for a connection that has none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Promotion)]
struct Promotion {
    /// A personal, group or project token.
    #[schema(value_type = Option<String>)]
    access_token: Option<SecretString>,
    app: Option<AppWish>,
    /// A file keeps the connection from now on.
    #[serde(default)]
    #[schema(required = false)]
    kept_by_file: bool,
}

/// A connection that was made.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionMade)]
struct MadeView {
    connection: ConnectionView,
    /// What should be known all the same.
    remarks: Vec<String>,
    /// For a hook that somebody sets up by hand; null where we make our own.
    hook: Option<HookView>,
}

/// Where a forge sends to.
#[derive(Serialize, ToSchema)]
#[schema(as = HookToMake)]
pub(crate) struct HookView {
    /// The hook's address.
    #[schema(format = "uri", examples("https://scm.example.com/hooks/acme"))]
    url: String,
    /// What proves its deliveries, shown only now.
    #[schema(examples("…"))]
    secret: String,
}

impl HookView {
    pub(crate) fn new(url: &url::Url, secret: &SecretString) -> Self {
        Self { url: url.to_string(), secret: secret.expose_secret().to_owned() }
    }
}

const MADE: &[&str] = &[
    "account-connected",
    "account-differs",
    "account-spelling",
    "account-unavailable",
    "account-unknown",
    "authority-exists",
    "authority-forge",
    "credential-invalid",
    "credential-refused",
    "declared-in-config",
    "forge-refused",
    "forge-unreachable",
    "forge-waits",
    "installation-suspended",
    "key-taken",
    "not-installed",
    "organization-missing",
    "proof-needed",
    "scope-missing",
    "url-forbidden",
    "url-invalid",
];

pub(crate) const ADD: Operation = Operation::new(
    "addConnection",
    "Make a connection",
    &[describe::json::<MadeView>(201, "It was made; a check and a sync are under way.")],
)
.help(
    "The forge is asked first: nothing is stored unless the credential is accepted and the account is the one named. \
     `app` is for the operator, over the control socket: an App's key shows who made the App and not whose the account \
     is. Everybody else makes a link, at whose end an owner of the account proves that it is theirs.",
)
.parameters(&[describe::ORGANIZATION])
.body(Body::Json(Shape::of::<Wish>()))
.codes(MADE);
pub(crate) const PROMOTE: Operation = Operation::new(
    "promoteConnection",
    "Give a credential to a connection that has none, or another token to one that has a token",
    &[describe::json::<MadeView>(201, "It has the credential; a check and a sync are under way.")],
)
.body(Body::Json(Shape::of::<Promotion>()))
.codes(MADE);

const TASK: &[Good] = &[describe::json::<task::TaskView>(202, "The task that does the rest.")];

const fn verb(id: &'static str, summary: &'static str, help: &'static str) -> Operation {
    Operation::new(id, summary, TASK).help(help).codes(&["declared-in-config"])
}

pub(crate) const TEST: Operation = verb(
    "testConnection",
    "Check a connection now",
    "What the forge says of it is shown with the connection.",
);
pub(crate) const SYNC: Operation =
    verb("syncConnection", "Read a connection's repositories now", "Newer events keep their word.");
pub(crate) const PAUSE: Operation = verb(
    "pauseConnection",
    "Pause a connection",
    "Nothing is asked of the forge until it is resumed; deliveries are still taken.",
);
pub(crate) const RESUME: Operation =
    verb("resumeConnection", "Resume a connection", "It is checked and read at once.");
pub(crate) const DISCONNECT: Operation = verb(
    "disconnectConnection",
    "End a connection",
    "Its credentials are destroyed, hooks that we made are removed; projects and members are kept.",
);
pub(crate) const EXTEND: Operation = Operation::new(
    "extendAccess",
    "Let the members of a connection that is off come in for a further week",
    TASK,
)
.help(
    "Of a connection that is suspended, paused or uninstalled nobody can be confirmed. Its members come in for a week \
     all the same, and longer when another admin says so.",
)
.codes(&["connection-on", "own-access"]);

/// How secrets are to be replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretRotation)]
struct Rotation {
    /// The secrets of the hooks have leaked: they alone are replaced, and the old ones end as soon as the forge has the new
    /// ones; after a rotation of the last day, the old ones end now.
    #[serde(default)]
    leaked: bool,
}

pub(crate) const ROTATE: Operation = verb(
    "rotateConnectionToken",
    "Replace the secrets of a connection's hooks, and a GitLab token by its successor",
    "The hooks that we made are given a new secret, and the old one counts for a further day, or, when it has `leaked`, no \
     more: what is on its way with it is refused then, and asked for again where the forge keeps a log. A token's successor \
     makes the old one void at once; other tasks of the connection are waited for.",
)
.body(Body::AnyJson(Shape::of::<Rotation>()));

/// An App's key opens every account that the App is installed on, whoever's they are, so that it proves nobody's (S31):
/// only whoever runs this server, who reads everything in it anyway, binds by it.
fn may_bind(caller: &Caller) -> Result<(), Problem> {
    if *caller == Caller::Operator {
        return Ok(());
    }
    let message = "an App's key does not prove whose the account is that it is installed on";
    Err(Problem::new(StatusCode::FORBIDDEN, "proof-needed", message)
        .help("make a link with POST /api/v1/connect-links, or have the operator add it on the server"))
}

fn credential(
    caller: &Caller,
    token: Option<SecretString>,
    app: Option<AppWish>,
) -> Result<NewCredential, Problem> {
    if app.is_some() {
        may_bind(caller)?;
    }
    let blank = |secret: &SecretString| secret.expose_secret().trim().is_empty();
    match (token, app) {
        (Some(token), None) if !blank(&token) => {
            Ok(NewCredential::Token(SecretString::from(token.expose_secret().trim())))
        }
        (None, Some(app)) => Ok(NewCredential::App(Box::new(NewApp {
            id: app.id,
            private_key: app.private_key,
            client_id: app.client_id,
            client_secret: app.client_secret.filter(|secret| !blank(secret)),
            webhook_secret: app.webhook_secret.filter(|secret| !blank(secret)),
            installation: app.installation_id,
        }))),
        _ => Err(Problem::bad("credential-invalid", "give either access_token or app, and not an empty one")),
    }
}

fn made(added: &Added) -> HttpResponse {
    let hook = added.hook.as_ref().map(|(url, secret)| HookView::new(url, secret));
    let answer = MadeView { connection: view(&added.connection), remarks: added.remarks.clone(), hook };
    HttpResponse::Created().json(answer)
}

pub(crate) async fn add(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &ADD)?;
    let organization = super::within(&call, &query).await?;
    let wish: Wish = parse(&call.body)?;
    let parsed = wish.url.as_deref().map(url::Url::parse).transpose();
    let url = parsed.map_err(|_| Problem::bad("url-invalid", "url is no web address"))?;
    let new = NewConnection {
        organization,
        kind: wish.kind,
        url,
        account: wish.account,
        key: wish.key,
        authority: wish.authority,
        credential: credential(&call.caller, wish.access_token, wish.app)?,
        by: call.caller.actor(),
        kept_by_file: wish.kept_by_file,
    };
    let added = call.front.connections.add(new).await.map_err(problem)?;
    Ok(made(&added))
}

pub(crate) async fn promote(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &PROMOTE)?;
    let connection = find(&call).await?;
    let wish: Promotion = parse(&call.body)?;
    let credential = credential(&call.caller, wish.access_token, wish.app)?;
    let (by, kept_by_file) = (call.caller.actor(), wish.kept_by_file);
    let promoted = call.front.connections.promote(&connection, credential, &by, kept_by_file).await;
    Ok(made(&promoted.map_err(problem)?))
}

async fn act(call: Call<Admin>, about: &Operation, verb: Verb) -> Answer {
    Query::of(&call.query, about)?;
    let connection = find(&call).await?;
    let done = call.front.connections.act(&connection.key, verb, &call.caller.actor()).await;
    let task = done.map_err(problem)?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Accepted().json(task::view(&task)))
}

pub(crate) async fn test(call: Call<Admin>) -> Answer {
    act(call, &TEST, Verb::Test).await
}

pub(crate) async fn sync(call: Call<Admin>) -> Answer {
    act(call, &SYNC, Verb::Sync).await
}

pub(crate) async fn pause(call: Call<Admin>) -> Answer {
    act(call, &PAUSE, Verb::Pause).await
}

pub(crate) async fn resume(call: Call<Admin>) -> Answer {
    act(call, &RESUME, Verb::Resume).await
}

pub(crate) async fn disconnect(call: Call<Admin>) -> Answer {
    act(call, &DISCONNECT, Verb::Disconnect).await
}

pub(crate) async fn extend(call: Call<Admin>) -> Answer {
    if let Some(id) = call.caller.member() {
        let member = call.front.store.member(id).await?;
        let own = member.is_some_and(|member| member.source.as_str() == call.id && !member.is_break_glass());
        if own {
            let message = "whose own access hangs on the connection does not extend it; another admin has to";
            return Err(Problem::new(StatusCode::CONFLICT, "own-access", message));
        }
    }
    act(call, &EXTEND, Verb::Extend).await
}

pub(crate) async fn rotate(call: Call<Admin>) -> Answer {
    let wish: Rotation = parse(&call.body)?;
    let verb = if wish.leaked { Verb::RotateLeaked } else { Verb::Rotate };
    act(call, &ROTATE, verb).await
}

/// What a refusal is to HTTP.
pub(crate) fn problem(undone: Undone) -> Problem {
    let Refusal { code, message, help } = match undone {
        Undone::Refused(refusal) => refusal,
        Undone::Store(error) => return error.into(),
        Undone::Busy => return Problem::busy(),
    };
    let status = match code {
        "not-found" => return Problem::not_found(),
        "account-connected"
        | "account-differs"
        | "account-unavailable"
        | "authority-exists"
        | "authority-forge"
        | "connection-on"
        | "declared-in-config"
        | "key-taken"
        | "no-app"
        | "no-hook"
        | "secret-replaced" => StatusCode::CONFLICT,
        "forge-unreachable" | "forge-refused" => StatusCode::BAD_GATEWAY,
        "forge-waits" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    let problem = Problem::new(status, code, message);
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}
