//! `POST /hooks/{source}`: a forge's delivery, proven and kept before it is answered.
//!
//! Nothing of the body is read here. A source that does not exist is answered like one whose proof fails, after the
//! same work.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::body::{self, Intake, Share};
use super::describe::{self, Body, Operation};
use super::door::{Doorway, Found};
use super::error::Problem;
use super::metric::Stage;
use super::peer::Visit;
use super::refused::{Refusal, harmless};
use super::throttle::Failure;
use super::{Front, metric, peer};
use crate::domain::delivery::{Delivery, RawDelivery, Rejected};
use crate::domain::organization::Forge;
use crate::domain::{SourceKey, Timestamp};
use crate::provider::decoy::hash_for_nothing;
use crate::store::{Accepted, StoreError};

/// Bodies above this are proven on a thread of their own, so that other requests need not wait.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// A delivery that is on stable storage.
#[derive(Serialize, ToSchema)]
struct Stored {
    /// Our id of it.
    #[schema(format = "uuid", examples("0197a3b0-4c9e-7e2a-9d3c-5a1b2c3d4e5f"))]
    id: String,
    /// There, and true, when it was stored before.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

pub(crate) const ABOUT: Operation = Operation::new(
    "receiveDelivery",
    "Take a delivery",
    &[
        describe::json::<Stored>(200, "It was stored before, or it is a ping."),
        describe::json::<Stored>(202, "It is on stable storage, and will be handled."),
    ],
)
.help(
    "Answered only when the delivery can no longer be lost. A forge sends its own headers with it: \
       `X-GitHub-Event` and `X-GitHub-Delivery`, or `X-Gitlab-Event` and `Idempotency-Key`.",
)
.body(Body::Delivery)
.codes(&[
    "no-delivery",
    "incomplete",
    "length-invalid",
    "proof-failed",
    "too-slow",
    "too-large",
    "encoding-unsupported",
    "media-type",
    "too-many-failures",
    "busy",
    "store-damaged",
    "store-failed",
    "store-slow",
    "store-unavailable",
]);

/// How a delivery ended at the door.
#[derive(Debug, Clone, Copy)]
enum Kept {
    New(Accepted),
    Ping(Accepted),
}

/// What was not proven, as far as it can be tried once more, and why.
type Unproven = (Option<(Vec<(String, Bytes)>, Bytes)>, Rejected);

/// What is known of a request before its body is.
struct Knock {
    front: Arc<Front>,
    key: Option<SourceKey>,
    found: Found,
    peer: IpAddr,
    event: Option<String>,
    began: Instant,
}

pub(crate) async fn receive(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let front = front.into_inner();
    let knock = Knock::of(&request, front);
    let headers = collect(request.headers());
    let mut payload = payload.into_inner();
    let answer = knock.admit(request.headers(), headers, &mut payload).await;
    answer.map(|(kept, status)| respond(kept, status))
}

impl Knock {
    fn of(request: &HttpRequest, front: Arc<Front>) -> Self {
        let key = SourceKey::parse(request.match_info().query("source")).ok();
        let found = front.doors.find(key.as_ref());
        let peer = peer::address(request.peer_addr(), request.headers(), &front.trusted_proxies);
        let event = event_name(request.headers());
        Self { front, key, found, peer, event, began: Instant::now() }
    }

    async fn admit(
        self,
        headers: &HeaderMap,
        kept_headers: Vec<(String, Bytes)>,
        payload: &mut Payload,
    ) -> Result<(Kept, StatusCode), Problem> {
        let most = self.front.limits.peer_requests_max;
        let Some(visit) = self.front.peers.enter(self.peer, most) else {
            return Err(self.refuse(Problem::busy(), 0));
        };
        let body = match self.take_body(headers, payload).await {
            Ok(body) => body,
            Err(cut) => return Err(self.refuse(cut.problem, cut.arrived)),
        };
        let until = self.began.checked_add(self.front.limits.request_deadline).unwrap_or(self.began);
        // A task of its own: when the caller goes away, what was begun is finished, and stays counted until then.
        let work = actix_web::rt::spawn(self.keep(kept_headers, body, visit));
        match timeout_at(until, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    async fn take_body(&self, headers: &HeaderMap, payload: &mut Payload) -> Result<body::Body, body::Cut> {
        let limits = &self.front.limits;
        let cut = |problem| body::Cut { problem, arrived: 0 };
        check_media(headers).map_err(cut)?;
        let declared = body::declared(headers, limits.body_bytes_max).map_err(cut)?;
        let share = self.front.budget.share();
        let intake = Intake { limits, most: limits.body_bytes_max, declared, began: self.began, share };
        let body = intake.read(payload).await?;
        metric::record_stage(Stage::Read, self.began.elapsed());
        Ok(body)
    }

    async fn keep(
        self,
        headers: Vec<(String, Bytes)>,
        body: body::Body,
        visit: Visit,
    ) -> Result<(Kept, StatusCode), Problem> {
        let counted = (body.share, visit);
        let bytes = body.bytes.len();
        let (knock, outcome) = self.prove_and_store(headers, body.bytes).await;
        drop::<(Share, Visit)>(counted);
        match outcome {
            Ok(kept) => {
                metric::record_body(bytes);
                knock.count(kept.result());
                Ok((kept, kept.status()))
            }
            Err(problem) => Err(knock.refuse(problem, bytes)),
        }
    }

    async fn prove_and_store(
        mut self,
        headers: Vec<(String, Bytes)>,
        body: Bytes,
    ) -> (Self, Result<Kept, Problem>) {
        let began = Instant::now();
        let mut proven = self.prove(headers, body).await;
        if let Err((Some(raw), rejected)) = proven {
            proven = if is_unproven(rejected) && self.look_again().await {
                let (headers, body) = raw;
                self.prove(headers, body).await
            } else {
                Err((None, rejected))
            };
        }
        metric::record_stage(Stage::Verify, began.elapsed());
        let kept = match proven {
            Ok(delivery) => self.store(delivery).await,
            Err((_, rejected)) => Err(problem_of(rejected)),
        };
        (self, kept)
    }

    async fn store(&self, delivery: Delivery) -> Result<Kept, Problem> {
        let slot = delivery.envelope().secret_slot;
        if let Some(doorway) = &self.found.doorway {
            doorway.meter.count_match(delivery.source().as_str(), slot);
        }
        let github = self.found.doorway.as_ref().is_some_and(|door| door.forge == Forge::Github);
        let ping = github && delivery.envelope().event == "ping";
        let began = Instant::now();
        let accepted = self.front.store.accept(delivery, self.front.now()).await;
        metric::record_stage(Stage::Commit, began.elapsed());
        let accepted = accepted.inspect_err(|error| self.note_failure(error))?;
        if !matches!(accepted, Accepted::Duplicate(_)) {
            self.front.health.note_write();
        }
        Ok(if ping { Kept::Ping(accepted) } else { Kept::New(accepted) })
    }

    /// Another process may have made the source, or changed its secret, this moment: before a delivery is refused, the
    /// source is read once more. `false`: that was done too lately, and its door is the one that has refused already.
    async fn look_again(&mut self) -> bool {
        let has_read = self.front.doors.read_again(self.key.as_ref()).await;
        let found = self.front.doors.find(self.key.as_ref());
        let is_same = match (&self.found.doorway, &found.doorway) {
            (Some(before), Some(now)) => now.is(before),
            (before, now) => before.is_none() && now.is_none(),
        };
        self.found = found;
        has_read || !is_same
    }

    /// Proves the delivery, on a thread of its own when it is large. A refusal takes the same work for every source.
    async fn prove(&self, headers: Vec<(String, Bytes)>, body: Bytes) -> Result<Delivery, Unproven> {
        let (large, now, decoys) = (body.len() > INLINE_BYTES_MAX, self.front.now(), self.found.decoys);
        let known = self.key.clone().zip(self.found.doorway.clone());
        let stand_in = self.found.stand_in.clone();
        let check = move || {
            let bytes = body.clone();
            let proven = match known {
                Some((source, doorway)) => {
                    let proven = Delivery::prove(RawDelivery { source, headers, body }, &*doorway.door, now);
                    proven.map_err(|(raw, rejected)| (Some((raw.headers, raw.body)), rejected))
                }
                None => Err((Some(tried_in_vain(stand_in, headers, body, now)), Rejected::ProofMissing)),
            };
            if let Err((_, rejected)) = &proven
                && is_unproven(*rejected)
            {
                hash_for_nothing(&bytes, decoys);
            }
            proven
        };
        if large { web::block(check).await.unwrap_or(Err((None, Rejected::ProofWrong))) } else { check() }
    }

    fn note_failure(&self, error: &StoreError) {
        if let StoreError::Failed(_) = error {
            self.front.health.note_stopped("a write failed for good; the process must start again");
        }
    }

    /// Counts and remembers a refusal; a failed proof beyond what its peer may fail becomes "too many".
    fn refuse(&self, problem: Problem, arrived: usize) -> Problem {
        let now = self.front.now();
        let failed = problem.code() == "proof-failed";
        let problem = if failed && self.front.throttle.fail(self.peer, now) == Failure::TooMany {
            Problem::too_many_failures()
        } else {
            problem
        };
        self.count(metric::result(problem.code()));
        let known = self.found.doorway.as_ref().and(self.key.as_ref());
        let body_bytes = arrived as u64;
        let (code, event) = (problem.code(), self.event.clone());
        self.front.refused.note(known, Refusal { at: now, code, peer: self.peer, event, body_bytes });
        problem
    }

    fn count(&self, result: &'static str) {
        match (&self.found.doorway, &self.key) {
            (Some(doorway), Some(key)) => {
                doorway.meter.count_request(doorway.forge.as_str(), key.as_str(), result);
            }
            _ => metric::count_request("unknown", "unknown", result),
        }
    }
}

impl Kept {
    fn status(self) -> StatusCode {
        match self {
            Self::New(Accepted::New(_) | Accepted::Woken(_)) => StatusCode::ACCEPTED,
            Self::New(Accepted::Duplicate(_)) | Self::Ping(_) => StatusCode::OK,
        }
    }

    fn result(self) -> &'static str {
        match self {
            Self::Ping(_) => "ping",
            Self::New(Accepted::New(_)) => "stored",
            Self::New(Accepted::Woken(_)) => "woken",
            Self::New(Accepted::Duplicate(_)) => "duplicate",
        }
    }
}

/// Takes the time that a proof takes, where there is no source: nothing is proven, whatever the stand-in says of it.
fn tried_in_vain(
    stand_in: Option<(SourceKey, Doorway)>,
    headers: Vec<(String, Bytes)>,
    body: Bytes,
    now: Timestamp,
) -> (Vec<(String, Bytes)>, Bytes) {
    let Some((source, doorway)) = stand_in else { return (headers, body) };
    let raw = Box::new(RawDelivery { source, headers, body });
    let _ = std::hint::black_box(doorway.door.authenticate(&raw, now));
    (raw.headers, raw.body)
}

fn respond(kept: Kept, status: StatusCode) -> HttpResponse {
    let (Kept::New(accepted) | Kept::Ping(accepted)) = kept;
    let duplicate = matches!(accepted, Accepted::Duplicate(_));
    HttpResponse::build(status).json(Stored { id: accepted.id().to_string(), duplicate })
}

fn late() -> Problem {
    let message = "the store took too long; send it again, a delivery that was stored is recognised";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-slow", message).retry_after(5)
}

/// Header names in lower case, repeats kept.
fn collect(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))
    };
    headers.iter().map(pair).collect()
}

/// What the request calls itself, for the list of refusals: the forges' own header, whichever forge it is.
fn event_name(headers: &HeaderMap) -> Option<String> {
    let named = |name: &str| name.starts_with("x-") && name.ends_with("-event");
    let (_, value) = headers.iter().find(|(name, _)| named(name.as_str()))?;
    Some(harmless(&String::from_utf8_lossy(value.as_bytes())))
}

/// Refuses by headers alone, the same for every source: whether one exists must not show here.
fn check_media(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).all(plain) {
        return Err(media("encoding-unsupported", "a delivery must not be compressed"));
    }
    let mut types = headers.get_all(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (first, rest) = (types.next().map(essence), types.next());
    match (first.as_deref(), rest) {
        (Some("application/json" | "application/x-www-form-urlencoded"), None) => Ok(()),
        _ => Err(media("media-type", "a delivery is JSON, or a form with JSON in it")),
    }
}

fn media(code: &'static str, message: &'static str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, message).closing()
}

/// Whether it is the proof that is wrong, and not the request.
const fn is_unproven(rejected: Rejected) -> bool {
    matches!(rejected, Rejected::ProofMissing | Rejected::ProofWrong | Rejected::Stale)
}

fn problem_of(rejected: Rejected) -> Problem {
    match rejected {
        Rejected::ProofMissing | Rejected::ProofWrong | Rejected::Stale => Problem::unproven(),
        Rejected::Malformed(what) => Problem::bad("no-delivery", format!("this is no delivery: {what}")),
        Rejected::MediaType => media("media-type", "a delivery is JSON, or a form with JSON in it"),
    }
}
