//! Findings: as a list of the API, and under the address that the scanner prints.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::OrganizationSlug;
use crate::domain::scan::Finding;
use crate::store::FindingFilter;
use crate::web::api::organization::named;
use crate::web::api::query::Query;
use crate::web::api::{Answer, listed, time, within};
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation, Parameter};
use crate::web::error::Problem;

/// What a scanner found on one branch.
#[derive(Serialize, ToSchema)]
#[schema(as = Finding)]
struct FindingView {
    /// The same in every scan that sees it.
    #[schema(examples("0123456789abcdef01234567"))]
    id: String,
    /// The organization's slug.
    #[schema(examples("acme"))]
    organization: String,
    /// The project's id.
    #[schema(examples("0123456789abcdef01234567"))]
    project: String,
    /// The project's path.
    #[schema(examples("acme/site"))]
    full_path: String,
    /// The branch or tag.
    #[schema(examples("main"))]
    git_ref: String,
    /// The rule.
    #[schema(examples("no-eval"))]
    rule: String,
    /// The file.
    #[schema(examples("src/app.py"))]
    path: String,
    /// The first line, from 1.
    #[schema(examples(12))]
    line: u64,
    /// The last line.
    #[schema(examples(12))]
    end_line: u64,
    /// What the rule says.
    #[schema(examples("do not use eval"))]
    message: String,
    /// `info`, `warning` or `error`.
    #[schema(examples("error"))]
    severity: &'static str,
    /// Whether it stops a merge.
    blocking: bool,
    /// The commit in which it was last seen.
    #[schema(examples("6dcb09b5b57875f334f61aebed695e2e4193db5e"))]
    sha: Option<String>,
    /// `open`, or `fixed` when a full scan of its rule no longer saw it.
    #[schema(examples("open"))]
    state: &'static str,
    /// When it was first seen.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    first_seen_at: String,
    /// When it was last seen.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    last_seen_at: String,
    /// When a scan no longer saw it.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    fixed_at: Option<String>,
}

fn view(record: &Finding) -> FindingView {
    FindingView {
        id: record.fingerprint.clone(),
        organization: record.organization.to_string(),
        project: record.project.clone(),
        full_path: record.full_path.clone(),
        git_ref: record.git_ref.clone(),
        rule: record.rule.clone(),
        path: record.path.clone(),
        line: record.line,
        end_line: record.end_line,
        message: record.message.clone(),
        severity: match record.severity {
            0 => "info",
            1 => "warning",
            _ => "error",
        },
        blocking: record.is_blocking,
        sha: record.sha.clone(),
        state: if record.fixed_at.is_none() { "open" } else { "fixed" },
        first_seen_at: record.first_seen_at.rfc3339(),
        last_seen_at: record.last_seen_at.rfc3339(),
        fixed_at: time(record.fixed_at),
    }
}

const REPO: Parameter = Parameter::text("repo", "The project's path.", "acme/site");
const REF: Parameter = Parameter::text("ref", "The branch or tag.", "main");
/// Where a finding stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it only describes")]
enum Stand {
    /// The newest full scan of its rules reports it.
    Open,
    /// The newest full scan of its rules does not.
    Fixed,
}

const STATE: Parameter = Parameter::word::<Stand>("state", "Where it stands; both without it.");

pub(crate) const LIST: Operation = Operation::list(
    "listFindings",
    "List findings",
    &[describe::page::<FindingView>("One page of findings.")],
    &[
        describe::ORGANIZATION,
        Parameter::text("project", "The project's id.", "0123456789abcdef01234567"),
        REPO,
        REF,
        STATE,
    ],
);
pub(crate) const SHOWN: Operation = Operation::list(
    "showFindings",
    "Show the findings that a scan's link leads to",
    &[describe::page::<FindingView>("One page of findings.")],
    &[REPO, REF, STATE],
);

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let organization = within(&call, &query).await?;
    answer(&call, &query, organization).await
}

/// `/orgs/{id}/findings?repo=…&ref=…`.
pub(crate) async fn shown(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &SHOWN)?;
    let organization = named(&call)?;
    answer(&call, &query, organization).await
}

async fn answer(call: &Call<Reader>, query: &Query, organization: OrganizationSlug) -> Answer {
    let page = query.page()?;
    let is_open = match query.get("state") {
        None => None,
        Some("open") => Some(true),
        Some("fixed") => Some(false),
        Some(_) => return Err(Problem::bad("parameter-invalid", "state is open or fixed")),
    };
    let filter = FindingFilter {
        organization,
        project: query.owned("project"),
        full_path: query.owned("repo"),
        git_ref: query.owned("ref"),
        is_open,
    };
    Ok(listed(query, call.front.store.findings(&filter, &page).await?, view))
}
