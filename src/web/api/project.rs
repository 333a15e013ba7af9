//! Projects.

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;
use super::{Answer, listed, shown, time};
use crate::domain::organization::Forge;
use crate::domain::pipeline::PipelineStatus;
use crate::domain::project::{Project, ProjectState, Proof, Visibility};
use crate::store::ProjectFilter;
use crate::web::auth::{Call, Reader};
use crate::web::describe::{self, Operation, Parameter};

/// One repository in one organization.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
struct ProjectView {
    /// Names it for ever, whatever it is called.
    id: String,
    /// The organization's slug.
    #[schema(examples("acme"))]
    organization: String,
    /// The key of the connection it came through.
    #[schema(examples("acme-github"))]
    connection: String,
    provider: Forge,
    /// The forge that holds it.
    #[schema(examples("github.com"))]
    host: String,
    /// Its number at the forge; null as long as only a CI job has said that it is there.
    #[schema(examples("1296269"))]
    external_id: Option<String>,
    /// Its path at the forge today.
    #[schema(examples("acme/site"))]
    full_path: String,
    /// Paths of before, newest first.
    #[schema(examples("acme/www"))]
    previous_paths: Vec<String>,
    /// Its default branch, where known.
    #[schema(examples("main"))]
    default_branch: Option<String>,
    visibility: Option<Visibility>,
    /// Whether it is archived at the forge.
    archived: bool,
    state: ProjectState,
    /// What its CI last came to: `none`, `passing`, `failing`, `running` or another word of the kind.
    #[schema(examples("passing"))]
    ci_state: String,
    /// When it was first heard of.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    first_seen_at: String,
    /// When a CI job of it last checked in.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    last_check_in_at: Option<String>,
    /// When something was last pushed.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    last_push_at: Option<String>,
    last_pipeline: Option<PipelineView>,
    proof: Proof,
}

/// A run of CI.
#[derive(Serialize, ToSchema)]
#[schema(as = Pipeline)]
struct PipelineView {
    /// Its number at the forge.
    #[schema(examples("30433642"))]
    external_id: String,
    status: PipelineStatus,
    /// The branch or tag it ran for.
    #[schema(examples("main"))]
    git_ref: Option<String>,
    /// The commit it ran for.
    #[schema(examples("6dcb09b5b57875f334f61aebed695e2e4193db5e"))]
    sha: Option<String>,
    /// When it was last heard of.
    #[schema(format = DateTime, examples("2026-01-31T08:00:00.000Z"))]
    updated_at: Option<String>,
}

pub(crate) const LIST: Operation = Operation::list(
    "listProjects",
    "List projects",
    &[describe::page::<ProjectView>("One page of projects.")],
    &[
        describe::ORGANIZATION,
        Parameter::slug("connection", "The key of the connection it came through."),
        Parameter::word::<Forge>("provider", "The family of its forge."),
        Parameter::text("host", "The forge that holds it.", "github.com"),
        Parameter::word::<ProjectState>("state", "Where it stands."),
        Parameter::word::<Visibility>("visibility", "Who can see it."),
        Parameter::flag("archived", "Whether it is archived at the forge."),
        Parameter::text("ci_state", "What its CI last came to.", "failing"),
        Parameter::word::<Proof>("proof", "How sure it is."),
        Parameter::text("search", "A part of its path, whatever the case.", "site"),
    ],
);
pub(crate) const SHOW: Operation =
    Operation::new("showProject", "Show a project", &[describe::json::<ProjectView>(200, "The project.")]);

fn view(record: &Project) -> ProjectView {
    ProjectView {
        id: record.id(),
        organization: record.organization.to_string(),
        connection: record.connection.to_string(),
        provider: record.provider,
        host: record.host.to_string(),
        external_id: record.number().map(|number| number.to_string()),
        full_path: record.shown_path(),
        previous_paths: record.previous_paths.clone(),
        default_branch: record.default_branch.clone(),
        visibility: record.visibility,
        archived: record.archived,
        state: record.state(),
        ci_state: record.ci_state.clone(),
        first_seen_at: record.first_seen_at.rfc3339(),
        last_check_in_at: time(record.last_check_in_at),
        last_push_at: time(record.last_push_at),
        last_pipeline: record.last_pipeline.as_ref().map(|run| PipelineView {
            external_id: run.external_id.to_string(),
            status: run.status,
            git_ref: run.git_ref.clone(),
            sha: run.sha.clone(),
            updated_at: time(run.updated_at),
        }),
        proof: record.proof,
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of(&call.query, &LIST)?;
    let page = query.page()?;
    let filter = ProjectFilter {
        organization: super::scope(&call, &query).await?,
        connection: query.word("connection")?,
        provider: query.word("provider")?,
        host: query.word("host")?,
        state: query.word("state")?,
        visibility: query.word("visibility")?,
        archived: query.flag("archived")?,
        ci_state: query.owned("ci_state"),
        proof: query.word("proof")?,
        search: query.owned("search"),
    };
    Ok(listed(&query, call.front.store.projects(&filter, &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &SHOW)?;
    let found = call.front.store.project(&call.id).await?;
    shown(found.filter(|record| call.caller.sees(Some(&record.organization))), view)
}
