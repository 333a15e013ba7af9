//! The Semgrep command line, unchanged: `/api/cli/*` and `/api/agent/*`. Its names are its own; only what it sends and
//! needs is here.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::check_in::holds_token;
use crate::ci::Failed;
use crate::ci::scan::{Reporter, ScanFailed};
use crate::domain::OrganizationSlug;
use crate::domain::ci::CiCaller;
use crate::domain::scan::{Scan, ScanState};
use crate::web::auth::{slow_down, token_of};
use crate::web::body::{self, Intake};
use crate::web::describe::{self, Body, Good, Operation, Shape};
use crate::web::error::Problem;
use crate::web::peer::Visit;
use crate::web::{Front, Limits, peer};

/// Everything but a report: metadata, rules asked for, statistics.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A large report over a slow line.
const REPORT_WITHIN: Duration = Duration::from_secs(120);

/// A message of the Semgrep command line; its fields are defined there.
#[derive(ToSchema)]
#[schema(as = SemgrepMessage)]
struct Message {}

const CODES: &[&str] = &[
    "account-not-allowed",
    "account-rejected",
    "auto-connect-off",
    "ci-invalid",
    "proof-required",
    "report-invalid",
    "report-unkept",
    "scan-taken",
    "scm-token-refused",
    "unknown-forge",
];

const GOOD: &[Good] = &[describe::json::<Message>(200, "What the command line expects.")];

const fn about(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary, GOOD).codes(CODES)
}

pub(crate) const OPEN: Operation = about("openScan", "Open a scan").body(Body::Json(Shape::of::<Message>()));
pub(crate) const CONFIG: Operation = about("scanConfig", "Hand out a scan's rules");
pub(crate) const CURRENT: Operation = about("currentDeployment", "Name the organization of a CI token");
pub(crate) const RESULTS: Operation =
    about("scanResults", "Take a scan's findings").body(Body::Json(Shape::of::<Message>()));
pub(crate) const COMPLETE: Operation =
    about("completeScan", "End a scan").body(Body::Json(Shape::of::<Message>()));
pub(crate) const ERROR: Operation =
    about("failScan", "End a scan that failed").body(Body::Json(Shape::of::<Message>()));

/// One request of the command line.
struct Ask {
    front: Arc<Front>,
    by: Reporter,
    began: Instant,
    _visit: Option<Visit>,
}

impl Ask {
    async fn of(request: &HttpRequest, front: Arc<Front>) -> Result<Self, Problem> {
        let began = Instant::now();
        // Nobody without a token comes past the next line, and who has one may have many jobs at one address.
        let (address, _visit) = peer::knock(request, &front);
        let by = reporter(request, &front).await.map_err(|problem| slow_down(&front, address, problem))?;
        Ok(Self { front, by, began, _visit })
    }

    /// A token that is over may only end what it began.
    fn live(&self) -> Result<(), Problem> {
        match &self.by {
            Reporter::Job(token) if !token.is_live(self.front.now()) => {
                Err(Problem::unauthorized("token-expired", "the token's time is over; check in again"))
            }
            _ => Ok(()),
        }
    }

    async fn body(&self, request: &HttpRequest, payload: web::Payload) -> Result<Bytes, Problem> {
        let mut payload = payload.into_inner();
        let body = body::take(request, &self.front, &mut payload, MESSAGE_BYTES_MAX, self.began).await?;
        Ok(body.bytes)
    }

    async fn message(&self, request: &HttpRequest, payload: web::Payload) -> Result<Value, Problem> {
        let body = self.body(request, payload).await?;
        serde_json::from_slice(&body).map_err(|_| Problem::bad("body-invalid", "the body is no JSON"))
    }

    async fn scan(&self, request: &HttpRequest) -> Result<Scan, Problem> {
        let number = request.match_info().query("id").parse().map_err(|_| Problem::not_found())?;
        Ok(self.front.scans.numbered(&self.by, number).await.map_err(explain)?.value)
    }
}

async fn reporter(request: &HttpRequest, front: &Front) -> Result<Reporter, Problem> {
    let record = token_of(request, front).await?;
    let now = front.now();
    if let Some(caller) = CiCaller::of(&record, now) {
        return Ok(Reporter::Organization(caller));
    }
    if record.scope.is_some() {
        return Ok(Reporter::Job(Box::new(record)));
    }
    if !record.is_live(now) {
        return Err(Problem::unauthorized("token-expired", "the token's time is over; make a new one"));
    }
    Err(Problem::forbidden().help("scanners need a CI token"))
}

/// Numbers for a client that wants a number for everything.
fn number_of(slug: &OrganizationSlug) -> u64 {
    let digits = crate::domain::id_of(&["deployment", slug.as_str()]);
    u64::from_str_radix(digits.get(..12).unwrap_or_default(), 16).unwrap_or_default()
}

pub(crate) async fn open(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let ask = Ask::of(&request, front.into_inner()).await?;
    ask.live()?;
    let message = ask.message(&request, payload).await?;
    let scan_metadata = message.get("scan_metadata");
    let text = |name: &str| scan_metadata.and_then(|scan| scan.get(name));
    let said = message
        .get("project_metadata")
        .ok_or_else(|| Problem::bad("ci-invalid", "project_metadata is missing"))?;
    let is_dry = text("dry_run").and_then(Value::as_bool).unwrap_or(false);
    let unique_id = text("unique_id").and_then(Value::as_str).filter(|id| (1..=64).contains(&id.len()));
    let unique_id =
        unique_id.ok_or_else(|| Problem::bad("ci-invalid", "scan_metadata.unique_id is missing"))?;
    let slug = ask.by.organization().clone();
    let scan = ask.front.scans.open(&ask.by, unique_id, said).await.map_err(explain)?;
    let id = if is_dry { Value::Null } else { json!(scan.number) };
    Ok(HttpResponse::Ok().json(json!({"info": {
        "id": id, "enabled_products": ["sast"],
        "deployment_id": number_of(&slug), "deployment_name": slug.as_str(),
    }})))
}

pub(crate) async fn config(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    let ask = Ask::of(&request, front.into_inner()).await?;
    ask.live()?;
    let unique_id = request.match_info().query("id").to_owned();
    let scan = ask.front.scans.find(&ask.by, &unique_id).await.map_err(explain)?;
    let rules = ask.front.scans.rules(&scan.organization);
    Ok(HttpResponse::Ok().json(json!({
        "status": "success", "engine_params": {},
        "config": {
            "rules": rules.document(),
            "triage_ignored_syntactic_ids": [], "triage_ignored_match_based_ids": [],
        },
    })))
}

pub(crate) async fn current(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    let ask = Ask::of(&request, front.into_inner()).await?;
    ask.live()?;
    let slug = ask.by.organization();
    let known = ask.front.store.organization(slug).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(json!({"deployment": {
        "id": number_of(slug), "organization_id": number_of(slug), "name": slug.as_str(), "slug": slug.as_str(),
        "display_name": known.name, "scm_name": slug.as_str(), "source_type": "", "default_user_role": "member",
        "has_autofix": false, "has_deepsemgrep": false, "has_triage_via_comment": false, "has_dependency_query": false,
    }})))
}

pub(crate) async fn results(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let ask = Ask::of(&request, front.into_inner()).await?;
    let scan = ask.scan(&request).await?;
    let most = ask.front.limits.report_bytes_max;
    let declared = body::declared(request.headers(), most)?;
    let limits = Limits { request_deadline: REPORT_WITHIN, ..ask.front.limits };
    let share = ask.front.budget.share();
    let intake = Intake { limits: &limits, most, declared, began: ask.began, share };
    let mut spooling = ask.front.scans.begin_report(&scan).map_err(explain)?;
    let aside = |error: std::io::Error| explain(ScanFailed::Spool(error.to_string()));
    intake.pour(&mut payload.into_inner(), |piece| spooling.add(piece).map_err(aside)).await?;
    let report = spooling.finish().map_err(aside)?;
    ask.front.scans.take_report(&scan, report).await.map_err(explain)?;
    Ok(HttpResponse::Ok().json(json!({"errors": []})))
}

pub(crate) async fn complete(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    end(request, front, payload, ScanState::Done).await
}

pub(crate) async fn error(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    end(request, front, payload, ScanState::Failed).await
}

async fn end(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
    state: ScanState,
) -> Result<HttpResponse, Problem> {
    let ask = Ask::of(&request, front.into_inner()).await?;
    let scan = ask.scan(&request).await?;
    let message = ask.message(&request, payload).await?;
    let exit_code = message.get("exit_code").and_then(Value::as_i64);
    ask.front.scans.end(scan.number, state, exit_code).await.map_err(explain)?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

/// What went wrong, in the words of the check-in where it is the same.
fn explain(failed: ScanFailed) -> Problem {
    match failed {
        ScanFailed::CheckIn(Failed::Smuggled(field)) => holds_token(&field),
        ScanFailed::CheckIn(Failed::Untold(why)) => Problem::bad("ci-invalid", why.to_string()),
        ScanFailed::CheckIn(Failed::Refused(why)) => super::check_in::refused(why),
        ScanFailed::CheckIn(Failed::Store(error)) => error.into(),
        ScanFailed::CheckIn(Failed::Busy | Failed::Nobody | Failed::Unproven(_)) => Problem::busy(),
        ScanFailed::Unknown => Problem::not_found(),
        ScanFailed::Taken => {
            let message = "another scan has this unique_id; nothing was changed";
            Problem::new(StatusCode::CONFLICT, "scan-taken", message)
        }
        ScanFailed::Unreadable(place) => {
            Problem::bad("report-invalid", format!("the report cannot be read, {place}"))
        }
        ScanFailed::Spool(why) => {
            tracing::info!(why, "a report could not be put aside");
            let message = "the report cannot be put aside now; nothing was changed, send it again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "report-unkept", message).retry_after(30)
        }
    }
}
