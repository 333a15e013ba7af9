//! The OpenAPI document, made of the route table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::http::Method;
use bytes::Bytes;
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, PathsBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
};

use super::{Body, Content, Good, Schemas, Shape, Slug, code, schema};
use crate::web::auth::Who;
use crate::web::error;
use crate::web::route::{self, Line};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const ABOUT: &str = "What scm-connect knows and does.\n\n\
    Programs send `Authorization: Bearer scmc_…`; a token is made with `scm-connect token create` and sees one \
    organization. Lists are read page by page: pass `next_cursor` as `?cursor=` until it is null. Every error is \
    `{\"code\", \"message\", \"help\"?}` with a stable `code`. Times are RFC 3339 in UTC, ids are strings. A field or \
    a parameter may be added at any time; none is renamed or taken away without a new version of the path.";

/// What belongs to every route with such a guard or such a body, beside its own codes.
const EVERYWHERE: &[&str] = &["not-found", "busy", "store-damaged", "store-failed", "store-unavailable"];
const WITH_TOKEN: &[&str] =
    &["token-missing", "token-invalid", "token-expired", "forbidden", "too-many-failures"];
const WITH_QUERY: &[&str] = &["parameter-invalid", "repeated-parameter", "unknown-parameter"];
const WITH_BODY: &[&str] = &["incomplete", "length-invalid", "too-large", "too-slow"];
const WITH_FORM: &[&str] = &["foreign-origin", "media-type"];

/// The OpenAPI document of the public listener, as it is served; made once.
#[must_use]
pub fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
        // It is a tree of maps, lists and texts, which can always be written.
        Bytes::from(serde_json::to_vec_pretty(&build(&route::table())).unwrap_or_default())
    });
    DOCUMENT.clone()
}

/// The document of these lines.
pub(crate) fn build(lines: &[Line]) -> OpenApi {
    let mut schemas = Schemas::new();
    let mut paths = PathsBuilder::new();
    for line in lines {
        let item = utoipa::openapi::PathItem::new(method(&line.method), operation(line, lines, &mut schemas));
        paths = paths.path(line.path, item);
    }
    (Shape::of::<error::Body<'_>>().parts)(&mut schemas);
    (Shape::of::<Slug>().parts)(&mut schemas);
    // By name, so that the order of routes changes nothing else.
    let schemas: BTreeMap<String, RefOr<Schema>> = schemas.into_iter().collect();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", token_scheme())
        .security_scheme("github_signature", header_scheme("X-Hub-Signature-256", GITHUB_SIGNATURE))
        .security_scheme("gitlab_token", header_scheme("X-Gitlab-Token", GITLAB_TOKEN))
        .security_scheme("gitlab_signature", header_scheme("webhook-signature", GITLAB_SIGNATURE));
    let info = InfoBuilder::new()
        .title("scm-connect")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some(LICENSE)).build()));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(TAGS.map(|(name, help)| TagBuilder::new().name(name).description(Some(help)).build())))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

const LICENSE: &str = "MIT OR Apache-2.0";
const GITHUB_SIGNATURE: &str =
    "`sha256=` and the HMAC-SHA-256 of the raw body, in hex, under one of the source's secrets.";
const GITLAB_TOKEN: &str = "The secret itself, as GitLab sends it.";
const GITLAB_SIGNATURE: &str = "`v1,` and a Base64 HMAC of id, time and raw body, under a signing token.";
const TAGS: [(&str, &str); 10] = [
    ("hooks", "Where forges send."),
    ("ci", "What CI jobs say."),
    ("organizations", "Tenants of this product."),
    ("connections", "Accounts at forges."),
    ("projects", "Repositories, with the history of their names."),
    ("members", "People."),
    ("deliveries", "Requests of forges, and what became of each."),
    ("tokens", "Who may ask."),
    ("audit", "Who changed what."),
    ("service", "The daemon itself, this document, and pages for people."),
];

fn token_scheme() -> SecurityScheme {
    let help = "`scmc_rd_…` reads, `scmc_ad_…` also changes things, `scmc_ci_…` is for CI jobs.";
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("scmc_…");
    SecurityScheme::Http(bearer.description(Some(help)).build())
}

fn header_scheme(name: &str, help: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, help)))
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn tag(path: &str) -> &str {
    let first = path.trim_start_matches("/api/v1/").trim_start_matches('/').split('/').next();
    let first = first.unwrap_or_default();
    TAGS.iter().map(|(name, _)| *name).find(|name| *name == first).unwrap_or("service")
}

fn operation(line: &Line, lines: &[Line], schemas: &mut Schemas) -> OperationBuilder {
    let about = line.about;
    let mut operation =
        OperationBuilder::new().operation_id(Some(about.id)).summary(Some(about.summary)).tag(tag(line.path));
    let help = [about.help, who(line.who)].into_iter().filter(|part| !part.is_empty());
    let help = help.collect::<Vec<_>>().join("\n\n");
    operation = operation.description(Some(help).filter(|help| !help.is_empty()));
    operation = securities(line.who).into_iter().fold(operation, OperationBuilder::security);
    if line.who == Who::Anyone {
        operation = operation.securities(Some(Vec::new()));
    }
    if line.who == Who::Job {
        // The ID token in the body may stand alone.
        operation = operation.security(SecurityRequirement::default());
    }
    operation = parameters(line, operation);
    operation = operation.request_body(request_body(about.body, schemas).map(RequestBodyBuilder::build));
    let codes = codes(line);
    for good in about.good {
        let mut answer = good_answer(good, schemas);
        if code::statuses(&codes).contains(&good.status) {
            // A form that is shown again is HTML, what is no form at all is answered like everywhere else.
            answer = answer.content(JSON, error_body());
        }
        for (name, link) in links(line, lines) {
            answer = answer.link(name, link);
        }
        operation = operation.response(good.status.to_string(), answer);
    }
    let shown = |status: &u16| about.good.iter().any(|good| good.status == *status);
    for status in code::statuses(&codes).into_iter().filter(|status| !shown(status)) {
        operation = operation.response(status.to_string(), bad_answer(&codes, status));
    }
    operation
}

/// From a list to what can be done with what is in it.
fn links(line: &Line, lines: &[Line]) -> Vec<(&'static str, Link)> {
    let inside = |other: &&Line| {
        let rest = other.path.strip_prefix(line.path);
        line.about.paged && rest.is_some_and(|rest| rest.starts_with("/{id}"))
    };
    let link = |other: &Line| {
        let link = Link::builder().operation_id(other.about.id);
        (other.about.id, link.parameter("id", "$response.body#/items/0/id").build())
    };
    lines.iter().filter(inside).map(link).collect()
}

fn error_body() -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build()
}

fn who(who: Who) -> &'static str {
    match who {
        Who::Anyone => "",
        Who::Forge => "For forges: the request is proven by one of the headers below, over its raw bytes.",
        Who::Job => {
            "For CI jobs: with an organization's CI token, with an ID token in the body, or with both."
        }
        Who::Reader => "With a read or admin token.",
        Who::Admin => "With an admin token.",
        Who::Operator => {
            "Over the control socket only, for whoever runs the daemon: no token is let in. \
             The command line uses it."
        }
    }
}

fn securities(who: Who) -> Vec<SecurityRequirement> {
    let names: &[&str] = match who {
        Who::Anyone => &[],
        Who::Forge => &["github_signature", "gitlab_token", "gitlab_signature"],
        Who::Job | Who::Reader | Who::Admin | Who::Operator => &["token"],
    };
    names.iter().map(|name| SecurityRequirement::new(*name, Vec::<String>::new())).collect()
}

fn parameters(line: &Line, mut operation: OperationBuilder) -> OperationBuilder {
    for name in line.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        let help = match name {
            "source" => "The source's key, as in the config.",
            "file" => "A file that the page loads.",
            _ => "As a list shows it.",
        };
        let parameter = parameter.required(Required::True).description(Some(help));
        operation = operation.parameter(parameter.schema(Some(schema::of_path(name))));
    }
    for query in line.about.query() {
        let parameter = ParameterBuilder::new().name(query.name).parameter_in(ParameterIn::Query);
        let parameter = parameter.description(Some(query.help)).schema(Some(schema::of_parameter(query)));
        let required = if query.required { Required::True } else { Required::False };
        let example = query.example.map(|text| match query.form {
            super::Form::Limit => text.parse::<u64>().map_or(serde_json::Value::Null, Into::into),
            _ => text.into(),
        });
        operation = operation.parameter(parameter.required(required).example(example));
    }
    operation
}

fn json_of(shape: Shape, schemas: &mut Schemas) -> RefOr<Schema> {
    (shape.parts)(schemas);
    (shape.schema)()
}

fn request_body(body: Body, schemas: &mut Schemas) -> Option<RequestBodyBuilder> {
    let needed = RequestBodyBuilder::new().required(Some(Required::True));
    let content = |schema: RefOr<Schema>| ContentBuilder::new().schema(Some(schema)).build();
    match body {
        Body::None => None,
        Body::Json(shape) => Some(needed.content(JSON, content(json_of(shape, schemas)))),
        Body::AnyJson(shape) => {
            let optional = needed.required(Some(Required::False));
            Some(optional.content(JSON, content(json_of(shape, schemas))))
        }
        Body::Form(shape) => Some(needed.content(FORM, content(json_of(shape, schemas)))),
        Body::Delivery => {
            let document = schema::object("The forge's payload, kept byte for byte.");
            let both = needed.content(JSON, content(document.into()));
            Some(both.content(FORM, content(schema::delivery_form().into())))
        }
    }
}

fn good_answer(good: &Good, schemas: &mut Schemas) -> ResponseBuilder {
    let answer = ResponseBuilder::new().description(good.help);
    let content = |schema: Schema| ContentBuilder::new().schema(Some(schema)).build();
    let text = || Schema::from(ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).build());
    match good.content {
        Content::None => answer,
        Content::Json(shape) => {
            let schema = json_of(shape, schemas);
            answer.content(JSON, ContentBuilder::new().schema(Some(schema)).build())
        }
        Content::Page(shape) => answer.content(JSON, content(schema::page(json_of(shape, schemas)))),
        Content::Document => answer.content(JSON, content(schema::object("An OpenAPI document."))),
        Content::Lines => answer.content("application/x-ndjson", content(text())),
        Content::Html => answer.content("text/html", content(text())),
        Content::File => answer.content("*/*", content(text())),
    }
}

/// Every code that this line may answer with.
fn codes(line: &Line) -> Vec<&'static str> {
    let mut codes = line.about.codes.to_vec();
    let guarded = matches!(line.who, Who::Job | Who::Reader | Who::Admin | Who::Operator);
    if guarded {
        codes.extend(EVERYWHERE.iter().chain(WITH_TOKEN).chain(WITH_QUERY));
    }
    if line.about.paged {
        codes.push("limit-invalid");
    }
    if guarded && line.method != Method::GET {
        codes.extend(WITH_BODY);
    }
    match line.about.body {
        Body::Json(_) | Body::AnyJson(_) => codes.push("body-invalid"),
        Body::Form(_) => codes.extend(WITH_BODY.iter().chain(WITH_FORM)),
        Body::None | Body::Delivery => {}
    }
    codes
}

fn bad_answer(codes: &[&str], status: u16) -> Response {
    let text = |schema_type| ObjectBuilder::new().schema_type(schema_type).build();
    let mut answer =
        ResponseBuilder::new().description(code::with_status(codes, status)).content(JSON, error_body());
    if matches!(status, 429 | 503) {
        let seconds = HeaderBuilder::new().schema(Some(text(utoipa::openapi::Type::Integer)));
        let seconds = seconds.description(Some("When to try again, in seconds."));
        answer = answer.header("Retry-After", seconds.build());
    }
    answer.build()
}
