//! `/docs`: the API's description as a page, out of files in the binary. Nothing is loaded from elsewhere, and nothing
//! in it needs a laxer policy than its own files.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ContentEncoding};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use super::describe::{Content, Good, Operation, document};
use super::error::Problem;

/// Swagger UI draws its small icons from `data:` addresses; they carry no code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PAGE: &str = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>API – scm-connect</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<main id="docs"><p>This page needs scripts. The same as a document: <a href="/api/v1/openapi.json">openapi.json</a>.</p></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"##;
const START: &str = r##""use strict";
SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"##;
/// The only files of Swagger UI that the page loads.
const FILES: [&str; 2] = ["swagger-ui.css", "swagger-ui-bundle.js"];

pub(crate) const DOCUMENT: Operation = Operation::new(
    "openapi",
    "This document",
    &[Good { status: 200, help: "OpenAPI 3.1.", content: Content::Document }],
);
pub(crate) const PAGE_SHOWN: Operation = Operation::new(
    "docs",
    "The API as a page",
    &[Good {
        status: 200,
        help: "A page to read, and to try requests with a token.",
        content: Content::Html,
    }],
);
pub(crate) const FILE: Operation = Operation::new(
    "docsFile",
    "A file of the page",
    &[Good { status: 200, help: "The file.", content: Content::File }],
)
.codes(&["not-found"]);

/// `/api/v1/openapi.json`.
pub(crate) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document())
}

/// `/docs`.
pub(crate) async fn show() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(PAGE)
}

/// `/docs/{file}`.
pub(crate) async fn file(name: web::Path<String>) -> Result<HttpResponse, Problem> {
    if *name == "start.js" {
        return Ok(HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(START));
    }
    if !FILES.contains(&name.as_str()) {
        return Err(Problem::not_found());
    }
    let found = utoipa_swagger_ui::serve(&name, Arc::new(Config::new(["/api/v1/openapi.json"])));
    let file = found.ok().flatten().ok_or_else(Problem::not_found)?;
    let mut answer = HttpResponse::Ok();
    answer.content_type(file.content_type);
    if file.gzpipped {
        answer.insert_header((CONTENT_ENCODING, ContentEncoding::Gzip.as_str()));
    }
    Ok(answer.body(match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }))
}
