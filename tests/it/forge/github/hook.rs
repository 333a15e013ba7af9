//! Hooks of a fake GitHub, their attempts, and the small answers that all routes share.

use serde_json::{Value, json};

use super::super::{Asked, Reply};
use super::Github;
use super::door::{Caller, refusal};
use super::state::{AttemptRow, HookRow};

pub(super) fn gone() -> Reply {
    refusal(404, "Not Found")
}

pub(super) fn not_accessible() -> Reply {
    refusal(403, "Resource not accessible by integration")
}

pub(super) fn bare(rows: Vec<Value>, _: usize) -> Value {
    Value::Array(rows)
}

impl Github {
    pub(super) fn hooks(
        &self,
        asked: &Asked,
        caller: &Caller,
        (permission, scope): (&str, &str),
        own: &mut Vec<HookRow>,
        rest: &[&str],
        (new, newer): (u64, u64),
    ) -> Reply {
        let allowed = match caller {
            Caller::Installation(row) => {
                row.permissions.get(permission).is_some_and(|level| level == "write")
            }
            Caller::Person(_, scopes) => {
                scopes.as_ref().is_none_or(|held| held.contains(scope) || held.contains("repo"))
            }
            _ => false,
        };
        if !allowed {
            return if matches!(caller, Caller::Installation(_)) { not_accessible() } else { gone() };
        }
        let find = |own: &[HookRow], id: &str| own.iter().position(|row| row.id.to_string() == id);
        match (asked.method.as_str(), rest) {
            ("GET", []) => {
                self.page(asked, &own.iter().map(|row| row.value.clone()).collect::<Vec<_>>(), bare)
            }
            ("POST", []) => {
                let wanted = asked.json();
                let same = |row: &&HookRow| row.value["config"]["url"] == wanted["config"]["url"];
                if own.iter().any(|row| same(&row)) {
                    let errors = json!([{"resource": "Hook", "code": "already_exists", "message": "Hook already exists"}]);
                    return Reply::json(422, &json!({"message": "Validation Failed", "errors": errors}));
                }
                let mut value = json!({"id": new, "type": "Organization", "name": "web", "active": true, "events": ["push"], "config": {"content_type": "form", "insecure_ssl": "0"}});
                merge(&mut value, &wanted);
                let mut secret = None;
                keep_secret(&mut value["config"]["secret"], &mut secret);
                own.push(HookRow {
                    id: new,
                    value: value.clone(),
                    secret,
                    attempts: vec![AttemptRow {
                        id: newer,
                        guid: "ping".into(),
                        at_s: self.book.now_s(),
                        ok: false,
                        refused: false,
                        redelivery: false,
                    }],
                });
                Reply::json(201, &value)
            }
            (method, [id, rest @ ..]) => {
                let Some(at) = find(own, id) else { return gone() };
                match (method, rest) {
                    ("PATCH", []) => {
                        let row = &mut own[at];
                        merge(&mut row.value, &asked.json());
                        keep_secret(&mut row.value["config"]["secret"], &mut row.secret);
                        Reply::json(200, &row.value)
                    }
                    ("DELETE", []) => {
                        own.remove(at);
                        Reply::empty(204)
                    }
                    ("POST", ["pings"]) => Reply::empty(204),
                    ("GET", ["deliveries"]) => self.attempts_page(asked, &own[at].attempts),
                    ("POST", ["deliveries", attempt, "attempts"]) => {
                        self.redeliver(&own[at].attempts, attempt, new)
                    }
                    _ => gone(),
                }
            }
            _ => gone(),
        }
    }
}

/// Lays what was sent over what was there.
pub(super) fn merge(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) => {
            for (name, new) in over {
                merge(fields.entry(name.clone()).or_insert(Value::Null), new);
            }
        }
        (value, over) => *value = over.clone(),
    }
}

/// A secret is never shown again.
pub(super) fn keep_secret(shown: &mut Value, secret: &mut Option<String>) {
    if let Some(told) = shown.as_str().filter(|told| *told != "********") {
        *secret = Some(told.to_owned());
        *shown = json!("********");
    }
}
