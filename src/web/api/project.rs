//! Projects.

use serde::Serialize;
use serde_json::Value;

use super::query::Query;
use super::{Answer, listed, shown, time, word};
use crate::domain::project::Project;
use crate::store::ProjectFilter;
use crate::web::auth::{Call, Reader};

#[derive(Serialize)]
struct ProjectView {
    id: String,
    organization: String,
    connection: String,
    provider: &'static str,
    host: String,
    external_id: String,
    full_path: String,
    previous_paths: Vec<String>,
    default_branch: Option<String>,
    visibility: Value,
    archived: bool,
    state: Value,
    ci_state: String,
    first_seen_at: String,
    last_check_in_at: Option<String>,
    last_push_at: Option<String>,
    last_pipeline: Option<PipelineView>,
    proof: Value,
}

#[derive(Serialize)]
struct PipelineView {
    external_id: String,
    status: Value,
    git_ref: Option<String>,
    sha: Option<String>,
    updated_at: Option<String>,
}

fn view(record: &Project) -> ProjectView {
    ProjectView {
        id: record.id(),
        organization: record.organization.to_string(),
        connection: record.connection.to_string(),
        provider: record.provider.as_str(),
        host: record.host.to_string(),
        external_id: record.external_id.to_string(),
        full_path: record.shown_path(),
        previous_paths: record.previous_paths.clone(),
        default_branch: record.default_branch.clone(),
        visibility: word(record.visibility),
        archived: record.archived,
        state: word(record.state()),
        ci_state: record.ci_state.clone(),
        first_seen_at: record.first_seen_at.rfc3339(),
        last_check_in_at: time(record.last_check_in_at),
        last_push_at: time(record.last_push_at),
        last_pipeline: record.last_pipeline.as_ref().map(|run| PipelineView {
            external_id: run.external_id.to_string(),
            status: word(run.status),
            git_ref: run.git_ref.clone(),
            sha: run.sha.clone(),
            updated_at: time(run.updated_at),
        }),
        proof: word(record.proof),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of_list(&call.query, &["organization", "connection", "state", "search"])?;
    let page = query.page()?;
    let filter = ProjectFilter {
        organization: super::scope(&call, &query).await?,
        connection: query.word("connection")?,
        state: query.word("state")?,
        search: query.owned("search"),
    };
    Ok(listed(call.front.store.projects(&filter, &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &[])?;
    let found = call.front.store.project(&call.id).await?;
    shown(found.filter(|record| call.caller.sees(Some(&record.organization))), view)
}
