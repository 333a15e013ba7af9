//! Hooks of a fake GitLab: what it says of them, and what it keeps to itself.

use serde_json::{Value, json};

use super::super::{Asked, Reply};
use super::route::gone;
use super::{Gitlab, HookRow, refusal};

impl Gitlab {
    pub(super) fn hooks(&self, asked: &Asked, own: &mut Vec<HookRow>, rest: &[&str], new: u64) -> Reply {
        match (asked.method.as_str(), rest) {
            ("GET", []) => self.page(asked, &own.iter().map(|row| row.value.clone()).collect::<Vec<_>>()),
            ("POST", []) => {
                let mut row = HookRow {
                    id: new,
                    // What nobody says is not what nobody wants: pushes are on.
                    value: json!({"id": new, "push_events": true, "alert_status": "executable", "disabled_until": null, "url_variables": []}),
                    token: None,
                    signing_token: None,
                    events: Vec::new(),
                    resent_s: Vec::new(),
                };
                if let Err(reply) = self.put(&mut row, &asked.json()) {
                    return reply;
                }
                own.push(row);
                Reply::json(201, &own[own.len() - 1].value)
            }
            (method, [id, rest @ ..]) => {
                let Some(at) = own.iter().position(|row| row.id.to_string() == *id) else { return gone() };
                self.hook(asked, method, (own, at), rest, new)
            }
            _ => gone(),
        }
    }

    fn hook(
        &self,
        asked: &Asked,
        method: &str,
        (own, at): (&mut Vec<HookRow>, usize),
        rest: &[&str],
        new: u64,
    ) -> Reply {
        match (method, rest) {
            ("GET", []) => Reply::json(200, &own[at].value),
            ("PUT", []) => match self.put(&mut own[at], &asked.json()) {
                Ok(()) => Reply::json(200, &own[at].value),
                Err(reply) => reply,
            },
            ("DELETE", []) => {
                own.remove(at);
                Reply::empty(204)
            }
            ("POST", ["test", trigger]) => {
                if !["push_events", "pipeline_events", "merge_requests_events"].contains(trigger) {
                    return refusal(400, "trigger does not have a valid value");
                }
                own[at].value["alert_status"] = json!("executable");
                own[at].value["disabled_until"] = Value::Null;
                Reply::json(201, &json!({"message": "201 Created"}))
            }
            ("GET", ["events"])
                if asked.query("per_page").is_some_and(|it| it.parse().is_ok_and(|it: u32| it > 20)) =>
            {
                self.book.broken("more than twenty events a page");
                refusal(400, "per_page does not have a valid value")
            }
            ("GET", ["events"]) => self.page(asked, &own[at].events),
            ("POST", ["events", event, "resend"]) => {
                let Some(sent) =
                    own[at].events.iter().find(|row| event.parse().ok() == row["id"].as_u64()).cloned()
                else {
                    return gone();
                };
                let now_s = self.book.now_s();
                own[at].resent_s.retain(|at_s| now_s - at_s < 60);
                if own[at].resent_s.len() >= 5 {
                    self.book.broken("a sixth resend within a minute");
                    return refusal(429, "This endpoint has been requested too many times. Try again later.");
                }
                own[at].resent_s.push(now_s);
                let mut again = sent;
                again["id"] = json!(new);
                again["response_status"] = json!("200");
                let key = again["request_headers"]["Idempotency-Key"].as_str().unwrap_or_default().to_owned();
                self.resent.lock().unwrap().push(key);
                own[at].events.insert(0, again);
                Reply::json(201, &json!({"response_status": 200}))
            }
            _ => gone(),
        }
    }

    fn put(&self, row: &mut HookRow, wanted: &Value) -> Result<(), Reply> {
        let text = |name: &str| wanted[name].as_str().map(str::to_owned);
        if text("token").is_some_and(|token| token.starts_with("whsec_")) {
            self.book.broken("a signing key where the plain token goes, to be sent in the clear");
        }
        if wanted["enable_ssl_verification"] == json!(false) {
            self.book.broken("a hook that verifies nothing");
        }
        let moved = text("url").is_some_and(|url| row.value["url"].as_str().is_some_and(|old| old != url));
        if moved {
            row.token = None;
        }
        for (name, value) in wanted.as_object().ok_or_else(|| refusal(400, "url is missing"))? {
            if name != "token" && name != "signing_token" {
                row.value[name] = value.clone();
            }
        }
        row.token = text("token").or(row.token.take());
        row.value["token_present"] = json!(row.token.is_some());
        if self.signs() {
            row.signing_token = text("signing_token").or(row.signing_token.take());
            row.value["signing_token_present"] = json!(row.signing_token.is_some());
        }
        Ok(())
    }
}
