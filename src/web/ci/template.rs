//! CI files for people to copy.

use serde::Serialize;
use utoipa::ToSchema;

use actix_web::HttpResponse;

use crate::ci::Template;
use crate::domain::organization::Forge;
use crate::web::api::Answer;
use crate::web::api::query::Query;
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation, Parameter};
use crate::web::error::Problem;

/// A CI file.
#[derive(Serialize, ToSchema)]
#[schema(as = CiTemplate)]
struct TemplateView {
    /// Where it belongs in a repository.
    #[schema(examples(".gitlab-ci.yml"))]
    path: &'static str,
    /// What it says.
    #[schema(examples("scm-connect:\n  stage: test\n"))]
    content: String,
}

pub(crate) const SHOW: Operation = Operation::new(
    "ciTemplate",
    "Show a CI file for `gitlab` or `github`",
    &[describe::json::<TemplateView>(200, "The file.")],
)
.parameters(&[Parameter::word::<bool>("scan", "`true`: it runs the scanner too.")]);

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &SHOW)?;
    let scans = match query.get("scan") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::bad("parameter-invalid", "scan is true or false")),
    };
    let forge = match call.id.as_str() {
        "gitlab" => Forge::Gitlab,
        "github" => Forge::Github,
        _ => return Err(Problem::not_found()),
    };
    let Template { path, content } = Template::new(forge, &call.front.public_url, scans);
    Ok(HttpResponse::Ok().json(TemplateView { path, content }))
}
