//! `POST /api/v1/ci/check-ins`: a CI job tells where it runs, and proves it if it can.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::ci::id_token::Unproven;
use crate::ci::{Answered, Asked, Failed, smuggled};
use crate::domain::ci::{CiCaller, Refused};
use crate::domain::organization::Kind;
use crate::web::auth::{slow_down, take_body, token_of};
use crate::web::describe::{self, Body, Operation, Shape};
use crate::web::error::Problem;
use crate::web::refused::harmless;
use crate::web::{Front, peer};

/// The connection that the job is about.
#[derive(Serialize, ToSchema)]
struct JobsConnection {
    /// Names it for ever.
    #[schema(examples("gitlab-acme"))]
    key: String,
    kind: Kind,
    /// Whether this check-in made it.
    created: bool,
}

/// The project that the job runs for.
#[derive(Serialize, ToSchema)]
struct JobsProject {
    /// As in lists.
    #[schema(examples("0123456789abcdef01234567"))]
    id: String,
    /// Its path at the forge.
    #[schema(examples("acme/site"))]
    full_path: String,
    /// Whether this check-in made it.
    created: bool,
}

/// The job itself.
#[derive(Serialize, ToSchema)]
struct JobsRun {
    /// The same for the same ID token.
    #[schema(examples("0123456789abcdef01234567"))]
    id: String,
}

/// A token for this one project, for a quarter of an hour.
#[derive(Serialize, ToSchema)]
struct JobsToken {
    /// The token itself, shown only now.
    #[schema(examples("scmc_ci_…"))]
    value: String,
    /// When it ends.
    #[schema(format = DateTime, examples("2026-01-31T08:15:00.000Z"))]
    expires_at: String,
}

/// What a check-in came to. The same ID token gets the same again.
#[derive(Serialize, ToSchema)]
#[schema(as = CheckIn)]
struct View {
    connection: JobsConnection,
    project: JobsProject,
    run: JobsRun,
    /// Only for a job that has proven itself.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<JobsToken>,
}

/// What a job sends. `receive` reads it by hand, to tell a forge's token from a wrong field.
#[derive(ToSchema)]
#[schema(as = NewCheckIn)]
#[expect(dead_code, reason = "it only describes")]
struct Wish {
    /// The job's ID token, made for this server's `public_url` as its only audience.
    #[schema(examples("eyJ…"))]
    id_token: Option<String>,
    /// What the job says of itself without proof: `repo_url`, `repository`, `branch`, `commit`, `on`, `job_id` …
    #[schema(value_type = Option<Object>)]
    ci: Option<Value>,
}

pub(crate) const ABOUT: Operation = Operation::new(
    "checkIn",
    "Check in from a CI job",
    &[
        describe::json::<View>(200, "The job is known, and so is everything it is about."),
        describe::json::<View>(201, "A connection or a project was made."),
    ],
)
.help(
    "The first proven job of a group or owner makes its connection, with no other step. A CI token names the \
     organization; later an ID token alone is enough. A claim without an ID token is shown as claimed.",
)
.body(Body::Json(Shape::of::<Wish>()))
.codes(&[
    "account-not-allowed",
    "account-rejected",
    "account-unavailable",
    "auto-connect-off",
    "ci-invalid",
    "fork-pipeline",
    "id-token-invalid",
    "id-token-keys",
    "id-token-used",
    "personal-namespace",
    "project-unknown",
    "proof-required",
    "scm-token-refused",
    "unknown-forge",
]);

pub(crate) async fn receive(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (front, began) = (front.into_inner(), Instant::now());
    let (address, visit) = peer::knock(&request, &front);
    let caller = caller(&request, &front).await.map_err(|problem| slow_down(&front, address, problem))?;
    // A thousand jobs of one fleet of runners come from one address: whoever holds a token may have more open at once.
    if visit.is_none() && caller.is_none() {
        return Err(Problem::busy());
    }
    let body = take_body(&request, &mut payload.into_inner(), &front, began).await?;
    let asked = read(&body.bytes, caller)?;
    let answered = front.check_ins.check_in(asked).await;
    answered.map(respond).map_err(|failed| explain(&front, address, failed))
}

/// Whoever holds an organization's CI token; nobody when no token was sent.
async fn caller(request: &HttpRequest, front: &Arc<Front>) -> Result<Option<CiCaller>, Problem> {
    if !request.headers().contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let record = token_of(request, front).await?;
    let now = front.now();
    if !record.is_live(now) {
        return Err(Problem::unauthorized("token-expired", "the token's time is over; make a new one"));
    }
    CiCaller::of(&record, now).map(Some).ok_or_else(|| {
        Problem::forbidden().help("a check-in needs an organization's CI token, an ID token, or both")
    })
}

fn read(body: &[u8], caller: Option<CiCaller>) -> Result<Asked, Problem> {
    let invalid = |why: &str| {
        Problem::bad("body-invalid", harmless(why))
            .help("the body is {\"id_token\": \"…\", \"ci\": {…}}, both optional")
    };
    let body = if body.is_empty() { b"{}" } else { body };
    let sent: Value = serde_json::from_slice(body).map_err(|wrong| invalid(&wrong.to_string()))?;
    let Value::Object(mut fields) = sent else { return Err(invalid("the body is no object")) };
    let id_token = match fields.remove("id_token") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) => Some(token),
        Some(_) => return Err(invalid("id_token is no text")),
    };
    let said = fields.remove("ci").filter(|said| !said.is_null());
    let rest = Value::Object(fields);
    if let Some(field) = smuggled(&rest) {
        return Err(holds_token(&field));
    }
    if let Some(unknown) = rest.as_object().and_then(|rest| rest.keys().next()) {
        return Err(invalid(&format!("unknown field {unknown}")));
    }
    if said.as_ref().is_some_and(|said| !said.is_object()) {
        return Err(invalid("ci is no object"));
    }
    Ok(Asked { caller, id_token, said })
}

/// Names the field, never what is in it.
pub(super) fn holds_token(field: &str) -> Problem {
    let message = format!("{} holds a token of the forge; nothing of this request was kept", harmless(field));
    Problem::bad("scm-token-refused", message).help(
        "take the forge's token out of the report; who could read the job's log has it now, so revoke it",
    )
}

fn respond(answered: Answered) -> HttpResponse {
    let Answered { check_in, token } = answered;
    let created = check_in.made_connection || check_in.made_project;
    let view = View {
        connection: JobsConnection {
            key: check_in.connection.to_string(),
            kind: check_in.kind,
            created: check_in.made_connection,
        },
        project: JobsProject {
            id: check_in.project,
            full_path: check_in.full_path,
            created: check_in.made_project,
        },
        run: JobsRun { id: check_in.id },
        token: token.map(|(value, until)| JobsToken { value, expires_at: until.rfc3339() }),
    };
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    HttpResponse::build(status).insert_header((CACHE_CONTROL, "no-store")).json(view)
}

/// What went wrong, in words that give nothing away: the reason goes to the log.
fn explain(front: &Front, address: IpAddr, failed: Failed) -> Problem {
    match failed {
        Failed::Nobody => {
            Problem::unauthorized("token-missing", "this needs a CI token, an ID token, or both").help(
                "send the CI token as \"Authorization: Bearer scmc_ci_…\", the ID token as \"id_token\"",
            )
        }
        Failed::Unproven(Unproven::Rejected(why)) => {
            tracing::info!(%why, peer = %address, "an ID token proves nothing");
            let problem = Problem::unauthorized("id-token-invalid", "the ID token proves nothing here").help(
                "ask for it with this server's public_url as its only audience, in the job that sends it; at a forge of \
                 your own, an admin first adds a connection whose base URL is the one that the forge signs with",
            );
            slow_down(front, address, problem)
        }
        Failed::Unproven(Unproven::Store(error)) => error.into(),
        Failed::Unproven(Unproven::Keys(_)) => {
            let message = "the issuer's keys cannot be read now; nothing was changed, try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "id-token-keys", message).retry_after(30)
        }
        Failed::Smuggled(field) => holds_token(&field),
        Failed::Untold(why) => Problem::bad("ci-invalid", why.to_string()),
        Failed::Refused(why) => {
            tracing::info!(%why, peer = %address, "a check-in was refused");
            refused(why)
        }
        Failed::Store(error) => error.into(),
        Failed::Busy => Problem::busy(),
    }
}

/// Each rule's answer.
pub(super) fn refused(why: Refused) -> Problem {
    let (status, code, help) = match why {
        Refused::TokenUsed => (StatusCode::CONFLICT, "id-token-used", "each job asks for a token of its own"),
        Refused::UnknownForge => {
            let help = "an admin adds a connection with this base URL first, or the job brings its ID token";
            (StatusCode::CONFLICT, "unknown-forge", help)
        }
        Refused::ProofRequired => {
            let help = "let the job ask for an ID token and send it as \"id_token\"";
            (StatusCode::FORBIDDEN, "proof-required", help)
        }
        Refused::NotRecorded => {
            let help =
                "send the organization's CI token along with the first check-in of this group or owner";
            (StatusCode::FORBIDDEN, "project-unknown", help)
        }
        Refused::Stranger => {
            let help = "check in from a pipeline of the project itself, on a push or a schedule";
            (StatusCode::FORBIDDEN, "fork-pipeline", help)
        }
        Refused::Personal => {
            let help = "the operator lists the account in ci.auto_connect_accounts";
            (StatusCode::FORBIDDEN, "personal-namespace", help)
        }
        Refused::AutoConnectOff => {
            let help = "an admin adds the connection, or the operator sets ci.auto_connect";
            (StatusCode::FORBIDDEN, "auto-connect-off", help)
        }
        Refused::NotListed => {
            let help = "an admin adds the connection, or the operator lists it in ci.auto_connect_accounts";
            (StatusCode::FORBIDDEN, "account-not-allowed", help)
        }
        Refused::Rejected => {
            let help = "an admin can allow it again with scm-connect connections allow";
            (StatusCode::FORBIDDEN, "account-rejected", help)
        }
        Refused::Unavailable => {
            let help = "ask whoever runs this server; nothing more can be said here";
            (StatusCode::CONFLICT, "account-unavailable", help)
        }
    };
    Problem::new(status, code, why.to_string()).help(help)
}
