//! The few pages that need no sign-in: written whole by the server, without a script.

use std::fmt::Write as _;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpResponse, web};
use base64::Engine as _;

use super::Front;
use super::describe::{Content, Good, Operation};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}label{display:block;margin:1rem 0 .25rem;font-weight:600}\
input,select{font:inherit;padding:.4rem;width:100%;box-sizing:border-box}\
input[type=radio],input[type=checkbox]{width:auto;margin:0 .5rem 0 0}\
.choice{display:flex;align-items:baseline;margin:.8rem 0 0}.choice label{margin:0}.hint{margin:.2rem 0 0;color:#555}\
.choice+.hint{margin-left:1.6rem}fieldset{margin:1.5rem 0 0;border:1px solid #999;border-radius:.3rem}\
details{margin:1rem 0 0}table{border-collapse:collapse;width:100%;margin:1rem 0;font-size:.95rem}\
th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid #ccc}th[scope=row]{font-weight:600}\
@media(max-width:40rem){thead{display:none}table,tbody,tr,th,td{display:block;border:0}tr{border-bottom:1px solid #ccc}\
td[data-head]::before{content:attr(data-head) \": \";font-weight:600}}\
button{font:inherit;padding:.5rem 1rem;margin-top:1.5rem}code{overflow-wrap:anywhere}li{margin:.3rem 0}\
a{overflow-wrap:anywhere}:focus-visible{outline:.2rem solid #0b57d0;outline-offset:.1rem}\
[role=alert],[role=status]{border-left:.3rem solid #b00020;padding-left:.8rem}[role=status]{border-color:#1a7f37}";

/// A text as it may stand in HTML, between tags or in a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// A whole page. `main` is HTML; whatever strangers wrote in it has been through [`escape`].
pub(crate) fn render(front: &Front, status: StatusCode, title: &str, main: &str) -> HttpResponse {
    render_sending(front, status, title, main, None)
}

/// A page whose forms may end at another address, too: a forge's.
pub(crate) fn render_sending(
    front: &Front,
    status: StatusCode,
    title: &str,
    main: &str,
    target: Option<&url::Url>,
) -> HttpResponse {
    let mut random = [0_u8; 16];
    (front.random)(&mut random);
    let nonce = base64::engine::general_purpose::STANDARD_NO_PAD.encode(random);
    let mut html = String::new();
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{title} – scm-connect</title>\
         <style nonce=\"{nonce}\">{STYLE}</style></head><body><main><h1>{title}</h1>{main}</main></body></html>",
        title = escape(title),
    );
    let target = target.map(|url| format!(" {}", url.origin().ascii_serialization())).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'{target}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html)
}

pub(crate) const HOME: Operation =
    Operation::new("home", "What this is", &[Good { status: 200, help: "A page.", content: Content::Html }]);

/// `/`: what this is, and nothing about whom it serves.
pub(crate) async fn home(front: web::Data<Front>) -> HttpResponse {
    let main = "<p>This is scm-connect. It takes the webhooks of GitHub and GitLab, keeps each one before it \
                answers, and turns them into connections, projects, members and pipelines.</p>\
                <p>Forges send to <code>/hooks/…</code>; programs ask under <code>/api/v1/</code> with a token. \
                Whoever runs it uses the command <code>scm-connect</code>.</p>";
    render(&front, StatusCode::OK, "scm-connect", main)
}
