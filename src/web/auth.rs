//! Who is calling, and whether they may. The gate is part of a handler's type: [`Call`] of [`Reader`], [`Admin`] or
//! [`OperatorOnly`]. Everything a handler knows of its request comes through it.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::body::{self, Share};
use super::error::Problem;
use super::peer::Visit;
use super::throttle::Failure;
use super::{Front, peer, person};
use crate::domain::OrganizationSlug;
use crate::domain::access::{TokenKind, TokenRecord};

/// By which way a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// The network.
    Public,
    /// The control socket, which only the owner of the store can open.
    Control,
}

/// Marks a connection over the control socket whose other end runs as our own user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SameUser;

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Whoever runs this machine.
    Operator,
    /// Somebody with a live token, and which member that stands for, where it does.
    Token { id: String, kind: TokenKind, organization: OrganizationSlug, member: Option<String> },
}

impl Caller {
    /// The only organization this caller sees; `None` for the operator, who sees all.
    pub(crate) fn organization(&self) -> Option<&OrganizationSlug> {
        match self {
            Self::Operator => None,
            Self::Token { organization, .. } => Some(organization),
        }
    }

    /// Whether records of this organization exist for this caller.
    pub(crate) fn sees(&self, organization: Option<&OrganizationSlug>) -> bool {
        self.organization().is_none_or(|own| organization == Some(own))
    }

    /// The member that the caller's token stands for.
    pub(crate) fn member(&self) -> Option<&str> {
        match self {
            Self::Operator => None,
            Self::Token { member, .. } => member.as_deref(),
        }
    }

    pub(crate) fn is_admin(&self) -> bool {
        matches!(self, Self::Operator | Self::Token { kind: TokenKind::Admin, .. })
    }

    /// The name in the audit log.
    pub(crate) fn actor(&self) -> String {
        match self {
            Self::Operator => "cli".to_owned(),
            Self::Token { id, .. } => format!("api_token:{id}"),
        }
    }
}

/// Who may pass; written beside each route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Everybody; nothing secret is shown and nothing changes without another proof.
    Anyone,
    /// A forge that proves its delivery.
    Forge,
    /// A CI job, by an organization's CI token, its forge's ID token, or both.
    Job,
    /// Read and admin tokens, and the operator.
    Reader,
    /// Admin tokens, and the operator.
    Admin,
    /// The control socket alone.
    Operator,
}

/// A rule about callers, as a type.
pub(crate) trait Gate: 'static {
    const WHO: Who;
}

/// Lets in whoever may look.
#[derive(Debug)]
pub(crate) struct Reader;
/// Lets in whoever may change things inside one organization.
#[derive(Debug)]
pub(crate) struct Admin;
/// Lets in the operator.
#[derive(Debug)]
pub(crate) struct OperatorOnly;

impl Gate for Reader {
    const WHO: Who = Who::Reader;
}
impl Gate for Admin {
    const WHO: Who = Who::Admin;
}
impl Gate for OperatorOnly {
    const WHO: Who = Who::Operator;
}

/// One request to the API whose caller has passed the gate `G`.
pub(crate) struct Call<G> {
    pub(crate) front: Arc<Front>,
    pub(crate) caller: Caller,
    pub(crate) id: String,
    pub(crate) query: String,
    pub(crate) body: Bytes,
    _counted: (Visit, Share),
    _gate: PhantomData<G>,
}

impl<G: Gate> FromRequest for Call<G> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move { pass::<G>(&request, &mut payload).await })
    }
}

async fn pass<G: Gate>(request: &HttpRequest, payload: &mut Payload) -> Result<Call<G>, Problem> {
    let front = front_of(request)?;
    let began = Instant::now();
    let (address, visit) = peer::enter(request, &front)?;
    let caller = identify(request, &front).await.map_err(|problem| slow_down(&front, address, problem))?;
    check::<G>(&caller)?;
    let body = take_body(request, payload, &front, began).await?;
    let id = request.match_info().query("id").to_owned();
    let query = request.query_string().to_owned();
    let _counted = (visit, body.share);
    Ok(Call { front, caller, id, query, body: body.bytes, _counted, _gate: PhantomData })
}

pub(crate) fn front_of(request: &HttpRequest) -> Result<Arc<Front>, Problem> {
    let data = request.app_data::<web::Data<Front>>();
    data.map(|front| Arc::clone(&**front)).ok_or_else(Problem::not_found)
}

/// A body is read only after the gate; a request to look has none.
pub(crate) async fn take_body(
    request: &HttpRequest,
    payload: &mut Payload,
    front: &Front,
    began: Instant,
) -> Result<body::Body, Problem> {
    if request.method() == Method::GET {
        return Ok(body::Body { bytes: Bytes::new(), share: front.budget.share() });
    }
    body::take(request, front, payload, front.limits.form_bytes_max, began).await
}

/// A wrong token counts as a failure of its peer, a missing one does not.
pub(crate) fn slow_down(front: &Front, address: IpAddr, problem: Problem) -> Problem {
    let failed = matches!(problem.code(), "token-invalid" | "token-expired" | "id-token-invalid");
    if failed && front.throttle.fail(address, front.now()) == Failure::TooMany {
        return Problem::too_many_failures();
    }
    problem
}

fn check<G: Gate>(caller: &Caller) -> Result<(), Problem> {
    let passes = match (G::WHO, caller) {
        (_, Caller::Operator) | (Who::Anyone, _) => true,
        (Who::Reader, Caller::Token { kind, .. }) => matches!(kind, TokenKind::Read | TokenKind::Admin),
        (Who::Admin, Caller::Token { kind, .. }) => *kind == TokenKind::Admin,
        (Who::Operator | Who::Forge | Who::Job, Caller::Token { .. }) => false,
    };
    if passes { Ok(()) } else { Err(Problem::forbidden()) }
}

async fn identify(request: &HttpRequest, front: &Front) -> Result<Caller, Problem> {
    let control = request.app_data::<web::Data<Via>>().is_some_and(|via| ***via == Via::Control);
    if control {
        let same_user = request.conn_data::<SameUser>().is_some();
        return if same_user { Ok(Caller::Operator) } else { Err(Problem::forbidden()) };
    }
    let record = token_of(request, front).await?;
    if !record.is_live(front.now()) {
        return Err(Problem::unauthorized("token-expired", "the token's time is over; make a new one"));
    }
    let TokenRecord { id, kind, organization, member, .. } = record;
    Ok(Caller::Token { id, kind, organization, member })
}

/// The record of the token that a request brings. Its time may be over.
pub(crate) async fn token_of(request: &HttpRequest, front: &Front) -> Result<TokenRecord, Problem> {
    let token = bearer(request)?;
    let invalid = || Problem::unauthorized("token-invalid", "the token is not known here");
    let (kind, hash) = (front.token_check)(&token).ok_or_else(invalid)?;
    let record = front.store.token_by_hash(&hash).await?.ok_or_else(invalid)?;
    if record.kind != kind || record.revoked_at.is_some() {
        return Err(invalid());
    }
    person::check(front, &record).await?;
    Ok(record)
}

fn bearer(request: &HttpRequest) -> Result<String, Problem> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let missing = || {
        Problem::unauthorized("token-missing", "this needs a token").help(
            "send it as \"Authorization: Bearer scmc_…\"; tokens are made with \"scm-connect token create\"",
        )
    };
    let value = values.next().ok_or_else(missing)?;
    let invalid = || Problem::unauthorized("token-invalid", "the Authorization header cannot be read");
    if values.next().is_some() {
        return Err(invalid());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim().to_owned()) } else { Err(invalid()) }
}
