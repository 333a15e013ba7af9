//! Members.

use serde::Serialize;
use serde_json::Value;

use super::query::Query;
use super::{Answer, listed, shown, time, word};
use crate::domain::organization::Member;
use crate::store::MemberFilter;
use crate::web::auth::{Call, Reader};

#[derive(Serialize)]
struct MemberView {
    id: String,
    organization: String,
    login: String,
    previous_logins: Vec<String>,
    external_id: String,
    host: String,
    role: Value,
    role_source: String,
    state: Value,
    source: String,
    last_confirmed_at: Option<String>,
    removed_at: Option<String>,
}

fn view(record: &Member) -> MemberView {
    MemberView {
        id: record.id(),
        organization: record.organization.to_string(),
        login: record.login.clone(),
        previous_logins: record.previous_logins.clone(),
        external_id: record.external_id.to_string(),
        host: record.host.to_string(),
        role: word(record.role),
        role_source: record.role_source.clone(),
        state: word(record.state),
        source: record.source.to_string(),
        last_confirmed_at: time(record.last_confirmed_at),
        removed_at: time(record.removed_at),
    }
}

pub(crate) async fn list(call: Call<Reader>) -> Answer {
    let query = Query::of_list(&call.query, &["organization", "state", "login"])?;
    let page = query.page()?;
    let filter = MemberFilter {
        organization: super::scope(&call, &query).await?,
        state: query.word("state")?,
        login: query.owned("login"),
    };
    Ok(listed(call.front.store.members(&filter, &page).await?, view))
}

pub(crate) async fn show(call: Call<Reader>) -> Answer {
    Query::of(&call.query, &[])?;
    let found = call.front.store.member(&call.id).await?;
    shown(found.filter(|record| call.caller.sees(Some(&record.organization))), view)
}
