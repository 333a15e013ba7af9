//! What a fake GitLab answers to whom.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{Asked, Reply};
use super::{Gitlab, GroupRow, PersonRow, ProjectRow, State, TokenRow, TokenState, refusal};

pub(super) fn gone() -> Reply {
    refusal(404, "404 Not found")
}

fn person(row: &PersonRow) -> Value {
    json!({"id": row.id, "username": row.username, "name": row.username, "state": row.state, "bot": row.bot})
}

fn group(row: &GroupRow) -> Value {
    json!({"id": row.id, "name": row.path, "path": row.path, "full_path": row.path, "parent_id": null, "visibility": "private"})
}

fn project(state: &State, row: &ProjectRow) -> Value {
    let home = &state.groups[&row.group];
    json!({
        "id": row.id, "name": row.name, "path_with_namespace": format!("{}/{}", home.path, row.name),
        "default_branch": null, "visibility": "private", "archived": false, "empty_repo": true,
        "namespace": {"id": home.id, "kind": "group", "full_path": home.path, "parent_id": null},
        "created_at": "2026-01-01T00:00:00.000Z", "last_activity_at": moment(row.active_s),
    })
}

fn moment(at_s: i64) -> String {
    chrono::DateTime::from_timestamp(at_s, 0).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Who is in a group, or in one above it: each with their highest level.
fn inherited(state: &State, row: &GroupRow) -> BTreeMap<u64, u16> {
    let is_above = |it: &&GroupRow| row.path == it.path || row.path.starts_with(&format!("{}/", it.path));
    let mut all = BTreeMap::new();
    for (person, level) in state.groups.values().filter(is_above).flat_map(|it| &it.members) {
        let known = all.entry(*person).or_insert(*level);
        *known = (*known).max(*level);
    }
    all
}

fn member(state: &State, id: u64, level: u16) -> Value {
    let row = &state.people[&id];
    json!({
        "id": row.id, "username": row.username, "name": row.username, "state": row.state, "access_level": level,
        "created_at": "2026-01-01T00:00:00.000Z", "expires_at": null, "membership_state": "active",
    })
}

impl Gitlab {
    pub(super) fn route(&self, asked: &Asked, token: &TokenRow) -> Reply {
        let segments = asked.segments(&self.base());
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["metadata"]) if self.version.starts_with("17") => gone(),
            ("GET", ["metadata" | "version"]) => {
                Reply::json(200, &json!({"version": self.version, "revision": "x", "enterprise": self.paid}))
            }
            ("GET", ["user"]) => Reply::json(200, &person(&self.state().people[&token.person])),
            ("GET", ["users", id]) => {
                let state = self.state();
                let found = id.parse().ok().and_then(|id: u64| state.people.get(&id));
                found.map_or_else(gone, |row| Reply::json(200, &person(row)))
            }
            ("GET", ["personal_access_tokens", "self"]) => Reply::json(200, &about(token)),
            ("POST", ["personal_access_tokens", "self", "rotate"]) => self.rotate(token),
            ("GET", ["groups"]) => {
                let state = self.state();
                let own = state.groups.values().filter(|row| row.members.contains_key(&token.person));
                self.page(asked, &own.map(group).collect::<Vec<_>>())
            }
            (_, ["groups", id, rest @ ..]) => self.at_group(asked, token, id, rest),
            (_, ["projects", id, rest @ ..]) => self.at_project(asked, token, id, rest),
            _ => {
                self.book.broken(format!(
                    "{} {} is no such call; is a slash not encoded?",
                    asked.method, asked.path
                ));
                gone()
            }
        }
    }

    fn rotate(&self, token: &TokenRow) -> Reply {
        if !token.scopes.iter().any(|scope| scope == "api" || scope == "self_rotate") {
            return Reply::json(403, &json!({"error": "insufficient_scope"}));
        }
        let mut state = self.state();
        let id = state.next_id();
        let new = format!("glpat-{id}.02.canary");
        for old in state.tokens.values_mut().filter(|old| old.id == token.id) {
            old.state = TokenState::Rotated;
        }
        let row = TokenRow { id, ..token.clone() };
        let mut body = about(&row);
        state.tokens.insert(new.clone(), row);
        body["token"] = json!(new);
        Reply::json(200, &body)
    }

    fn at_group(&self, asked: &Asked, token: &TokenRow, id: &str, rest: &[&str]) -> Reply {
        let mut state = self.state();
        // A path is found whatever its letter case, and told as it is spelled.
        let found =
            state.groups.values().find(|row| row.id.to_string() == id || row.path.eq_ignore_ascii_case(id));
        let seen = found.map(|row| (row.id, inherited(&state, row)));
        let Some((id, level, all)) = seen.and_then(|(id, all)| Some((id, *all.get(&token.person)?, all)))
        else {
            return gone();
        };
        let row = state.groups[&id].clone();
        let rows = |state: &State, of: &BTreeMap<u64, u16>| {
            of.iter().map(|(id, level)| member(state, *id, *level)).collect::<Vec<_>>()
        };
        let single = |state: &State, of: &BTreeMap<u64, u16>, person: &str| {
            let level = person.parse().ok().and_then(|id: u64| Some((id, *of.get(&id)?)));
            level.map_or_else(gone, |(id, level)| Reply::json(200, &member(state, id, level)))
        };
        match (asked.method.as_str(), rest) {
            ("GET", []) => Reply::json(200, &group(&row)),
            ("GET", ["members"]) => self.page(asked, &rows(&state, &row.members)),
            ("GET", ["members", "all"]) => self.page(asked, &rows(&state, &all)),
            ("GET", ["members", "all", person]) => single(&state, &all, person),
            ("GET", ["members", person]) => single(&state, &row.members, person),
            ("GET", ["descendant_groups"]) => {
                let path = format!("{}/", row.path);
                let below = state.groups.values().filter(|it| it.path.starts_with(&path));
                self.page(asked, &below.map(group).collect::<Vec<_>>())
            }
            ("GET", ["projects"]) => {
                if asked.query("with_shared") != Some("false") {
                    self.book.broken("with_shared is left at its default, which brings foreign projects");
                }
                let path = format!("{}/", row.path);
                let under =
                    |it: &&ProjectRow| it.group == id || state.groups[&it.group].path.starts_with(&path);
                let mut rows: Vec<_> = state.projects.values().filter(under).collect();
                if asked.query("order_by") == Some("last_activity_at") {
                    rows.sort_by_key(|it| std::cmp::Reverse(it.active_s));
                }
                let rows: Vec<_> = rows.into_iter().map(|it| project(&state, it)).collect();
                self.page(asked, &rows)
            }
            (_, ["hooks", rest @ ..]) => {
                if !self.paid || level < 50 {
                    return if self.paid { refusal(403, "403 Forbidden") } else { gone() };
                }
                let new = state.next_id();
                self.hooks(asked, &mut state.groups.get_mut(&id).unwrap().hooks, rest, new)
            }
            _ => gone(),
        }
    }

    fn at_project(&self, asked: &Asked, token: &TokenRow, id: &str, rest: &[&str]) -> Reply {
        let mut state = self.state();
        let Some(row) = state.projects.values().find(|row| row.id.to_string() == id).cloned() else {
            return gone();
        };
        let home = state.groups[&row.group].clone();
        let Some(level) = home.members.get(&token.person).copied() else { return gone() };
        match (asked.method.as_str(), rest) {
            ("GET", []) => Reply::json(200, &project(&state, &row)),
            ("GET", ["members", "all", person]) => {
                let found = person.parse().ok().and_then(|id: u64| Some((id, *home.members.get(&id)?)));
                found.map_or_else(gone, |(id, level)| Reply::json(200, &member(&state, id, level)))
            }
            ("GET", ["events"]) => {
                let after = asked.query("after").unwrap_or_default();
                if after.len() != 10 || asked.query("action") != Some("pushed") {
                    self.book.broken("events are asked for by a day, and by what is looked for");
                }
                let pushed = row.pushed_s.iter().rev().map(|at_s| moment(*at_s));
                let pushed = pushed.filter(|at| at.as_str().get(..10) > Some(after));
                let event =
                    |at| json!({"id": 1, "project_id": row.id, "action_name": "pushed to", "created_at": at});
                self.page(asked, &pushed.map(event).collect::<Vec<_>>())
            }
            (_, ["hooks", rest @ ..]) if level >= 40 => {
                let new = state.next_id();
                self.hooks(asked, &mut state.projects.get_mut(&row.id).unwrap().hooks, rest, new)
            }
            (_, ["hooks", ..]) => refusal(403, "403 Forbidden"),
            _ => gone(),
        }
    }

    /// One page, by the server's links; counted up to ten thousand rows.
    pub(super) fn page(&self, asked: &Asked, rows: &[Value]) -> Reply {
        let per_page: usize = asked.query("per_page").and_then(|it| it.parse().ok()).unwrap_or(20);
        let page: usize = asked.query("page").and_then(|it| it.parse().ok()).unwrap_or(1);
        let begin = (page - 1) * per_page;
        let here: Vec<Value> = rows.iter().skip(begin).take(per_page).cloned().collect();
        let more = rows.len() > begin + here.len();
        let mut reply =
            Reply::json(200, &Value::Array(here)).with("x-page", page).with("x-per-page", per_page);
        if rows.len() <= 10_000 {
            reply = reply.with("x-total", rows.len()).with("x-total-pages", rows.len().div_ceil(per_page));
        }
        if !more {
            return reply.with("x-next-page", "");
        }
        let kept = asked.query.iter().filter(|(key, _)| key != "page" && key != "cursor_of_the_server");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        kept.for_each(|(key, value)| {
            query.append_pair(key, value);
        });
        query.append_pair("page", &(page + 1).to_string()).append_pair("cursor_of_the_server", "x");
        let url = self.url.get().unwrap().join(&asked.path).unwrap();
        let query = query.finish();
        reply
            .with("x-next-page", page + 1)
            .with("link", format!("<{url}?{query}>; rel=\"next\", <{url}?{query}>; rel=\"first\""))
    }
}

fn about(token: &TokenRow) -> Value {
    json!({
        "id": token.id, "name": "ours", "revoked": false, "active": true, "created_at": "2026-01-01T00:00:00.000Z",
        "scopes": token.scopes, "user_id": token.person, "last_used_at": null, "expires_at": token.ends,
    })
}
