//! The log of what a fake GitHub has sent, and sending it once more: strict about its window, and about patience.

use std::sync::MutexGuard;

use serde_json::{Value, json};

use super::super::{Asked, Reply};
use super::Github;
use super::door::refusal;
use super::hook::gone;
use super::state::AttemptRow;

/// Whoever asks twice for one thing within this has not waited for it to come.
const PATIENCE_S: i64 = 60;
const DAY_S: i64 = 86_400;

/// Where redeliveries go.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Nobody takes them.
    away: bool,
    /// They are refused: the secrets differ.
    refused: bool,
    /// What was asked for and is not sent yet.
    waiting: Vec<AttemptRow>,
    /// Which attempts were asked for, and when.
    asked: Vec<(u64, i64)>,
}

impl Github {
    fn receiver(&self) -> MutexGuard<'_, Receiver> {
        self.receiver.lock().unwrap()
    }

    /// Redeliveries find nobody from now on.
    pub(crate) fn finds_nobody(&self, away: bool) {
        self.receiver().away = away;
    }

    /// The secret there is not the one here, from now on or no more.
    pub(crate) fn is_refused(&self, refused: bool) {
        self.receiver().refused = refused;
    }

    /// Sends what was asked for, a while after it was; gives what was taken.
    pub(crate) fn sends_again(&self) -> Vec<String> {
        let waiting = std::mem::take(&mut self.receiver().waiting);
        let mut guard = self.state();
        let state = &mut *guard;
        for row in &waiting {
            let orgs = state.orgs.values_mut().flat_map(|org| &mut org.hooks);
            let hooks = orgs.chain(state.repos.iter_mut().flat_map(|repo| &mut repo.hooks));
            let logs = hooks
                .map(|hook| &mut hook.attempts)
                .chain(state.apps.values_mut().map(|app| &mut app.attempts));
            for log in logs.filter(|log| log.iter().any(|known| known.guid == row.guid)) {
                log.insert(0, row.clone());
            }
        }
        waiting.into_iter().filter(|row| row.ok).map(|row| row.guid).collect()
    }

    /// A delivery of the App's that did or did not arrive; gives the attempt's number.
    pub(crate) fn delivers(&self, app: u64, guid: &str, ok: bool) -> u64 {
        let at_s = self.book.now_s();
        let mut state = self.state();
        let id = state.next_id();
        let refused = !ok && self.receiver().refused;
        let row = AttemptRow { id, guid: guid.into(), at_s, ok, refused, redelivery: false };
        state.apps.get_mut(&app).unwrap().attempts.insert(0, row);
        id
    }

    fn window_s(&self) -> i64 {
        if self.version.is_some() { 7 * DAY_S } else { 3 * DAY_S }
    }

    fn is_kept(&self, row: &AttemptRow) -> bool {
        row.at_s > self.book.now_s() - self.window_s()
    }

    /// The newest attempts first, by cursor alone, as far as they are kept.
    pub(super) fn attempts_page(&self, asked: &Asked, attempts: &[AttemptRow]) -> Reply {
        if asked.query("page").is_some() {
            self.book.broken("deliveries have a cursor and no page");
            return refusal(422, "no such parameter");
        }
        if asked.query("status").is_some() {
            self.book.broken("a status leaves out what got no answer at all");
        }
        let rows: Vec<_> = attempts.iter().filter(|row| self.is_kept(row)).map(shown).collect();
        let per_page: usize = asked.query("per_page").and_then(|it| it.parse().ok()).unwrap_or(30);
        let begin: usize =
            asked.query("cursor").and_then(|it| it.strip_prefix("v1_")?.parse().ok()).unwrap_or(0);
        let here: Vec<Value> = rows.iter().skip(begin).take(per_page).cloned().collect();
        let end = begin + here.len();
        let reply = Reply::json(200, &Value::Array(here));
        if end >= rows.len() {
            return reply;
        }
        let url = self.api().join(&asked.path).unwrap();
        reply.with("link", format!("<{url}?per_page={per_page}&cursor=v1_{end}>; rel=\"next\""))
    }

    /// One attempt, with the request as a document.
    pub(super) fn attempt(&self, attempts: &[AttemptRow], id: &str) -> Reply {
        let found = attempts.iter().find(|row| row.id.to_string() == id && self.is_kept(row));
        let Some(row) = found else { return gone() };
        let mut told = shown(row);
        let headers = json!({
            "X-GitHub-Delivery": row.guid, "X-GitHub-Event": "push", "X-GitHub-Hook-ID": "1",
            "content-type": "application/json", "X-Hub-Signature-256": "sha256=canary",
        });
        told["url"] = json!("https://scm.example.com/hooks/x");
        told["request"] = json!({"headers": headers, "payload": {"zen": row.guid}});
        told["response"] = json!({"headers": {}, "payload": null});
        Reply::json(200, &told)
    }

    /// Will send once more, which is a second attempt for the same event.
    pub(super) fn redeliver(&self, attempts: &[AttemptRow], id: &str, new: u64) -> Reply {
        let found = attempts.iter().find(|row| row.id.to_string() == id && self.is_kept(row)).cloned();
        let Some(row) = found else { return gone() };
        let now_s = self.book.now_s();
        let mut receiver = self.receiver();
        if row.ok {
            self.book.broken(format!("{} had arrived and is asked for again", row.guid));
        }
        if receiver.asked.iter().any(|(asked, at_s)| *asked == row.id && now_s - at_s < PATIENCE_S) {
            self.book.broken(format!("{} is asked for twice at once", row.guid));
        }
        receiver.asked.push((row.id, now_s));
        let (ok, refused) = (!receiver.away && !receiver.refused, receiver.refused);
        receiver.waiting.push(AttemptRow { id: new, at_s: now_s, ok, refused, redelivery: true, ..row });
        Reply::json(202, &json!({}))
    }
}

fn shown(row: &AttemptRow) -> Value {
    let (status, code) = match (row.ok, row.refused) {
        (true, _) => ("OK", 200),
        (false, true) => ("Unauthorized", 401),
        (false, false) => ("failed to connect to host", 0),
    };
    let at = chrono::DateTime::from_timestamp(row.at_s, 0).unwrap().to_rfc3339();
    json!({
        "id": row.id, "guid": row.guid, "delivered_at": at, "redelivery": row.redelivery,
        "duration": 0.27, "status": status, "status_code": code, "event": "push", "action": null,
        "installation_id": 7, "repository_id": null, "throttled_at": null,
    })
}
