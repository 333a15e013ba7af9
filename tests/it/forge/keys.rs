//! The keys with which a forge signs the ID tokens of its jobs: shown to anybody, and to nobody with a credential.

use std::sync::Mutex;

use serde_json::Value;

use super::{Asked, Book, Reply};

/// A forge's published keys.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Mutex<Option<Value>>);

impl KeySet {
    /// From now on these.
    pub(super) fn holds(&self, keys: Value) {
        *self.0.lock().unwrap() = Some(keys);
    }

    /// The answer, when the keys are asked for; they lie at `path`.
    pub(super) fn told(&self, asked: &Asked, path: &str, book: &Book) -> Option<Reply> {
        if asked.path != path {
            return None;
        }
        let credentials = ["authorization", "private-token", "job-token", "cookie"];
        if credentials.iter().any(|name| !asked.header(name).is_empty()) {
            book.broken("a credential where anybody may read");
        }
        if asked.method != "GET" || !asked.body.is_empty() || !asked.raw_query.is_empty() {
            book.broken(format!("{} {} with more than a path", asked.method, asked.path));
        }
        let keys = self.0.lock().unwrap();
        Some(keys.as_ref().map_or_else(|| Reply::empty(404), |keys| Reply::json(200, keys)))
    }
}
