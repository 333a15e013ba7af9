//! `semgrep login`: the command line makes up a request, a person with an admin token approves it on a page, and the
//! command line fetches its CI token, once.

use actix_web::ResponseError as _;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use sha2::Digest;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::access::{Approval, TokenKind, TokenRecord};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::{Timestamp, id_of};
use crate::web::describe::{self, Body, Content, Good, Operation, Parameter, Shape};
use crate::web::error::Problem;
use crate::web::form::{Fields, failed, read_pairs, take_form};
use crate::web::page::{escape, render};
use crate::web::{Front, body, peer, person};

/// So long the command line may fetch what was approved; it asks for three minutes.
const APPROVED_MS: i64 = 10 * 60 * 1000;
/// How long a token lives that was fetched so.
const TOKEN_MS: i64 = 90 * 24 * 60 * 60 * 1000;
const ASK_BYTES_MAX: usize = 4 * 1024;

/// What the page sends.
#[derive(ToSchema)]
#[schema(as = LoginForm)]
#[expect(dead_code, reason = "it only describes")]
struct Form {
    /// The request of the command line.
    #[schema(
        examples("9e1b5f0c-6a53-4b43-9a83-0d9a3d1b2f11"),
        pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    )]
    request: String,
    /// An admin token of the organization that the command line is to scan for.
    #[schema(examples("scmc_ad_…"))]
    token: String,
}

/// What the command line asks.
#[derive(ToSchema)]
#[schema(as = LoginRequest)]
#[expect(dead_code, reason = "it only describes")]
struct Wish {
    /// The number that it made up.
    #[schema(
        examples("9e1b5f0c-6a53-4b43-9a83-0d9a3d1b2f11"),
        pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    )]
    token_request_key: String,
}

/// The token of the command line.
#[derive(serde::Serialize, ToSchema)]
#[schema(as = LoginToken)]
struct TokenView {
    /// The token itself, shown only now.
    #[schema(examples("scmc_ci_…"))]
    token: String,
}

pub(crate) const SHOW: Operation = Operation::new(
    "showLogin",
    "Show the page that lets a command line in",
    &[Good { status: 200, help: "The page.", content: Content::Html }],
)
.parameters(&[Parameter::text("cli-token", "The request of the command line.", "9e1b5f0c-…")]);
pub(crate) const APPROVE: Operation = Operation::new(
    "approveLogin",
    "Let a command line in",
    &[
        Good { status: 200, help: "It may fetch its token now.", content: Content::Html },
        Good { status: 400, help: "The request is none.", content: Content::Html },
        Good { status: 403, help: "The token is no admin token.", content: Content::Html },
        Good { status: 429, help: "Too many attempts.", content: Content::Html },
    ],
)
.body(Body::Form(Shape::of::<Form>()))
.codes(&["busy", "store-damaged", "store-failed", "store-unavailable"]);
pub(crate) const FETCH: Operation = Operation::new(
    "fetchLogin",
    "Fetch the token of a command line that was let in",
    &[describe::json::<TokenView>(200, "The token, once.")],
)
.body(Body::Json(Shape::of::<Wish>()))
.codes(&[
    "approval-missing",
    "busy",
    "incomplete",
    "length-invalid",
    "store-damaged",
    "store-failed",
    "store-unavailable",
    "too-large",
    "too-slow",
]);

fn hash_of(request: &Uuid) -> [u8; 32] {
    sha2::Sha256::digest(request.as_bytes()).into()
}

pub(crate) async fn show(request: HttpRequest, front: web::Data<Front>) -> HttpResponse {
    let fields = read_pairs(request.query_string().as_bytes());
    let Some(wish) = request_in(&fields, "cli-token") else { return nothing(&front, StatusCode::OK) };
    form(&front, StatusCode::OK, &wish, None)
}

fn request_in(fields: &Fields, name: &str) -> Option<Uuid> {
    Uuid::try_parse(fields.get(name)?).ok()
}

fn nothing(front: &Front, status: StatusCode) -> HttpResponse {
    let main = "<p>Signing in to this server is not there yet. This page lets the scanner's command line in: run \
                <code>semgrep login</code> and open the link that it prints.</p>";
    render(front, status, "Log in", main)
}

fn form(front: &Front, status: StatusCode, wish: &Uuid, wrong: Option<&str>) -> HttpResponse {
    let alert = wrong.map(|text| format!("<p role=\"alert\">{}</p>", escape(text))).unwrap_or_default();
    let main = format!(
        "{alert}<p>A command line asks for a CI token. It says that its request is <code>{wish}</code>: go on only when \
         your own terminal shows this. It will be able to scan, and to say where, for the organization of the token \
         that you enter.</p>\
         <form method=\"post\" action=\"/login\"><input type=\"hidden\" name=\"request\" value=\"{wish}\">\
         <label for=\"token\">Admin token</label>\
         <input id=\"token\" name=\"token\" type=\"password\" required autocomplete=\"off\" spellcheck=\"false\">\
         <button type=\"submit\">Let it in</button></form>"
    );
    render(front, status, "Let a command line in", &main)
}

pub(crate) async fn approve(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let posted = take_form(&request, &front, payload).await?;
    let Some(wish) = request_in(&posted.fields, "request") else {
        return Ok(nothing(&front, StatusCode::BAD_REQUEST));
    };
    let token = posted.fields.get("token").map(|text| text.trim()).unwrap_or_default();
    let Some(admin) = admin(&front, token).await? else {
        let wrong = "This is no admin token that is known here and still lives.";
        let page = || form(&front, StatusCode::FORBIDDEN, &wish, Some(wrong));
        return Ok(failed(&front, posted.address, page));
    };
    let now = front.now();
    note(&front, &admin, now).await?;
    let approval = Approval {
        organization: admin.organization.clone(),
        by: admin.id,
        expires_at: now.plus_ms(APPROVED_MS),
    };
    front.store.put_approval(&hash_of(&wish), approval, now).await?;
    let main = format!(
        "<p>The command line may fetch its token now, for the organization <strong>{}</strong>. Go back to your \
         terminal; you can close this page.</p>",
        escape(admin.organization.as_str())
    );
    Ok(render(&front, StatusCode::OK, "It is in", &main))
}

async fn admin(front: &Front, token: &str) -> Result<Option<TokenRecord>, Problem> {
    let Some((TokenKind::Admin, hash)) = (front.token_check)(token) else { return Ok(None) };
    let found = front.store.token_by_hash(&hash).await?;
    let is_live = |record: &TokenRecord| record.kind == TokenKind::Admin && record.is_live(front.now());
    let Some(record) = found.filter(is_live) else { return Ok(None) };
    // A person's token opens what the person may open now, here as everywhere.
    match person::check(front, &record).await {
        Ok(()) => Ok(Some(record)),
        Err(refused) if matches!(refused.status_code(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Ok(None)
        }
        Err(problem) => Err(problem),
    }
}

async fn note(front: &Front, admin: &TokenRecord, at: Timestamp) -> Result<(), Problem> {
    let entry = AuditEntry {
        at,
        organization: Some(admin.organization.clone()),
        actor: format!("api_token:{}", admin.id),
        action: "login.approved".to_owned(),
        subject: "semgrep login".to_owned(),
        detail: "a command line may fetch a CI token".to_owned(),
        ..AuditEntry::default()
    };
    front.store.apply(vec![Change::Audit(entry)], Vec::new()).await?;
    Ok(())
}

/// 404 until somebody has approved: the command line asks again.
pub(crate) async fn fetch(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (_, _visit) = peer::enter(&request, &front)?;
    let sent = body::take(&request, &front, &mut payload.into_inner(), ASK_BYTES_MAX, Instant::now()).await?;
    let wish: Value = serde_json::from_slice(&sent.bytes)
        .map_err(|_| Problem::bad("body-invalid", "the body is no JSON"))?;
    let wish =
        wish.get("token_request_key").and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok());
    let wish = wish.ok_or_else(|| Problem::bad("body-invalid", "token_request_key is no UUID"))?;
    let missing = || {
        let message = "nobody has approved this request yet";
        Problem::new(StatusCode::NOT_FOUND, "approval-missing", message)
    };
    let (now, hash) = (front.now(), hash_of(&wish));
    let approval = front.store.approval(&hash, now).await?.ok_or_else(missing)?;
    let (text, token_hash) = (front.token_mint)(TokenKind::Ci).ok_or_else(Problem::busy)?;
    let token_hash = hex::encode(token_hash);
    let record = TokenRecord {
        id: id_of(&["ci token", &token_hash]),
        hash: token_hash,
        kind: TokenKind::Ci,
        organization: approval.organization,
        name: Some("semgrep login".to_owned()),
        created_at: now,
        expires_at: now.plus_ms(TOKEN_MS),
        revoked_at: None,
        scope: None,
        member: None,
    };
    if front.store.redeem_approval(&hash, record, now).await? {
        return Ok(HttpResponse::Ok().json(json!({"token": text})));
    }
    Err(missing())
}
