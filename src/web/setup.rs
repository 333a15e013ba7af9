//! `/setup?code=…`: the first organization and its admin token, once, by whoever holds the link of the first start.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use sha2::Digest;
use utoipa::ToSchema;

use super::describe::{Body, Content, Good, Name, Operation, Shape, Slug};
use super::error::Problem;
use super::form::{self, failed, read_pairs, take_form};
use super::page::{escape, render};
use super::{Front, name};
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::organization::Organization;
use crate::domain::{OrganizationSlug, Timestamp};
use crate::telemetry::{Fault, report};

/// How long the first token lives.
const TOKEN_LIFE_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// What is kept of a setup code.
#[must_use]
pub fn setup_code_hash(code: &str) -> [u8; 32] {
    sha2::Sha256::digest(code.as_bytes()).into()
}

/// The fields of the form.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Setup)]
#[expect(
    dead_code,
    reason = "the form is read by hand, so that a wrong field is shown beside what was typed"
)]
struct Fields {
    /// The code of the link.
    code: String,
    #[schema(value_type = Name)]
    name: String,
    /// What names it for ever.
    #[schema(value_type = Slug)]
    slug: String,
}

pub(crate) const SHOW: Operation = Operation::new(
    "showSetup",
    "The form that makes the first organization",
    &[
        Good { status: 200, help: "The form.", content: Content::Html },
        Good { status: 403, help: "The link has no code.", content: Content::Html },
    ],
);
pub(crate) const REDEEM: Operation = Operation::new(
    "redeemSetup",
    "Make the first organization and its admin token, once",
    &[
        Good { status: 201, help: "It was made; the token is shown only now.", content: Content::Html },
        Good {
            status: 400,
            help: "Something in the form is wrong; it is shown again.",
            content: Content::Html,
        },
        Good { status: 403, help: "The code is wrong, used or past its time.", content: Content::Html },
        Good { status: 429, help: "Too many attempts.", content: Content::Html },
    ],
)
.body(Body::Form(Shape::of::<Fields>()))
.codes(&["unknown-field", "busy", "store-damaged", "store-failed", "store-unavailable"]);

/// Shows the form; the code is not looked at yet, so that looking uses nothing up.
pub(crate) async fn show(request: HttpRequest, front: web::Data<Front>) -> HttpResponse {
    let fields = read_pairs(request.query_string().as_bytes());
    let code = fields.get("code").map(String::as_str).unwrap_or_default();
    if code.is_empty() { refused(&front) } else { form(&front, StatusCode::OK, &Form::blank(code), None) }
}

/// Uses the code up.
pub(crate) async fn redeem(
    request: HttpRequest,
    front: web::Data<Front>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let posted = take_form(&request, &front, payload).await?;
    let form_sent = Form::read(posted.fields)?;
    let (organization, token, text) = match prepare(&front, &form_sent) {
        Ok(prepared) => prepared,
        Err(sentence) => return Ok(form(&front, StatusCode::BAD_REQUEST, &form_sent, Some(&sentence))),
    };
    let hash = setup_code_hash(&form_sent.code);
    let slug = organization.slug.clone();
    let made = front.store.redeem_setup_code(&hash, organization, token, front.now()).await?;
    if !made {
        return Ok(failed(&front, posted.address, || refused(&front)));
    }
    note(&front, &slug).await;
    Ok(welcome(&front, &slug, &text))
}

struct Form {
    code: String,
    name: String,
    slug: String,
}

impl Form {
    fn blank(code: &str) -> Self {
        Self { code: code.to_owned(), name: String::new(), slug: String::new() }
    }

    fn read(mut fields: form::Fields) -> Result<Self, Problem> {
        let mut take = |name| fields.remove(name).unwrap_or_default();
        let form = Self { code: take("code"), name: take("name").trim().to_owned(), slug: take("slug") };
        if fields.is_empty() {
            Ok(form)
        } else {
            Err(Problem::bad("unknown-field", "the setup form has the fields code, name and slug only"))
        }
    }
}

type Prepared = (Organization, TokenRecord, String);

fn prepare(front: &Front, form: &Form) -> Result<Prepared, String> {
    let slug = OrganizationSlug::parse(&form.slug).map_err(|wrong| wrong.to_string())?;
    if !name::is_fine(&form.name) {
        return Err(name::WRONG.to_owned());
    }
    let now = front.now();
    let minted = (front.token_mint)(TokenKind::Admin);
    let (text, hash) = minted.ok_or_else(|| "the system gives no random bytes; try again".to_owned())?;
    let token = TokenRecord {
        id: front.fresh_id(),
        hash: hex::encode(hash),
        kind: TokenKind::Admin,
        organization: slug.clone(),
        name: Some("first admin".to_owned()),
        created_at: now,
        expires_at: now.plus_ms(TOKEN_LIFE_MS),
        revoked_at: None,
        scope: None,
        member: None,
    };
    let (name, created_by) = (form.name.clone(), "setup".to_owned());
    let organization = Organization {
        slug,
        name,
        home: None,
        authority: None,
        created_by,
        created_at: now,
        members: Default::default(),
        break_glass: None,
    };
    Ok((organization, token, text))
}

async fn note(front: &Front, slug: &OrganizationSlug) {
    let at: Timestamp = front.now();
    let entry = AuditEntry {
        at,
        organization: Some(slug.clone()),
        actor: "setup".to_owned(),
        action: "organization.created".to_owned(),
        subject: slug.to_string(),
        detail: "with its first admin token, by the link of the first start".to_owned(),
        ..AuditEntry::default()
    };
    if let Err(error) = front.store.apply(vec![Change::Audit(entry)], Vec::new()).await {
        let error = error.to_string();
        report!(Fault::AuditUnwritten, error, "the setup was not written to the audit log");
    }
}

fn form(front: &Front, status: StatusCode, form: &Form, wrong: Option<&str>) -> HttpResponse {
    let alert =
        wrong.map(|sentence| format!("<p role=\"alert\">{}</p>", escape(sentence))).unwrap_or_default();
    let main = format!(
        "{alert}<p>Name your organization. You will get an admin token, shown once.</p>\
         <form method=\"post\" action=\"/setup\"><input type=\"hidden\" name=\"code\" value=\"{code}\">\
         <label for=\"name\">Name</label>\
         <input id=\"name\" name=\"name\" required maxlength=\"100\" autocomplete=\"organization\" value=\"{name}\">\
         <label for=\"slug\">Short name for addresses (a-z, 0-9 and -; never changes)</label>\
         <input id=\"slug\" name=\"slug\" required maxlength=\"63\" pattern=\"[a-z0-9]([a-z0-9\\-]*[a-z0-9])?\" \
         autocapitalize=\"none\" spellcheck=\"false\" value=\"{slug}\">\
         <button type=\"submit\">Create the organization</button></form>",
        code = escape(&form.code),
        name = escape(&form.name),
        slug = escape(&form.slug),
    );
    render(front, status, "Set up", &main)
}

fn welcome(front: &Front, slug: &OrganizationSlug, token: &str) -> HttpResponse {
    let main = format!(
        "<p>The organization <strong>{slug}</strong> exists. This is its admin token; it is shown only now:</p>\
         <p><code>{token}</code></p><p>Keep it safe. It ends in 90 days; <code>scm-connect token create</code> \
         makes another.</p>",
        slug = escape(slug.as_str()),
        token = escape(token),
    );
    render(front, StatusCode::CREATED, "Ready", &main)
}

fn refused(front: &Front) -> HttpResponse {
    let main = "<p role=\"alert\">This setup link is wrong, was used already, or its time is over.</p>\
                <p>If nobody has set up an organization yet, start the daemon again: it prints a new link. Otherwise \
                make one with <code>scm-connect organizations create</code> on its machine.</p>";
    render(front, StatusCode::FORBIDDEN, "This link does not work", main)
}
