//! Deliveries as a forge would send them: each with its own id and body, signed, and saying something about one of a
//! few repositories, so that what must come of them can be computed.

use bytes::Bytes;
use scm_connect::provider::github::hook::sign;
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::bench::GITHUB_SECRET;

/// Repositories that are spoken of.
const REPOSITORIES: u64 = 7;
/// 2026-06-01, in seconds; each delivery speaks of a second of its own.
const BEGIN: i64 = 1_780_272_000;

/// One delivery.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// Its number: later ones speak of later moments.
    pub(crate) number: u64,
    /// The forge's id of it.
    pub(crate) id: String,
    /// What is sent.
    pub(crate) body: Bytes,
    /// The repository it speaks of.
    pub(crate) repository: u64,
    /// What that is called from then on.
    pub(crate) path: String,
}

impl Parcel {
    /// Delivery number `number` of a run, with a body of about `bytes`.
    pub(crate) fn new(run: u64, number: u64, bytes: usize) -> Self {
        let repository = 1000 + number % REPOSITORIES;
        let path = format!("acme/site-{repository}-v{number}");
        let at = chrono::DateTime::from_timestamp(BEGIN + i64::try_from(number).unwrap(), 0).unwrap();
        let body = json!({
            "action": "edited",
            "repository": {
                "id": repository,
                "name": path.trim_start_matches("acme/"),
                "full_name": path,
                "private": true,
                "owner": { "login": "acme", "id": 77, "type": "Organization" },
                "default_branch": "main",
                "updated_at": at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            },
            "organization": { "login": "acme", "id": 77 },
            "x_run": run,
            "x_filling": filling(run, number, bytes),
        });
        let body = Bytes::from(serde_json::to_vec(&body).unwrap());
        Self { number, id: format!("{run:08x}-0000-4000-8000-{number:012x}"), body, repository, path }
    }

    /// The signature that proves it.
    pub(crate) fn signature(&self) -> String {
        sign(&SecretString::from(GITHUB_SECRET), &self.body)
    }

    /// The hash of the exact bytes.
    pub(crate) fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.body))
    }
}

/// Text that hardly compresses and is another for each delivery.
fn filling(run: u64, number: u64, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    let mut state = Sha256::digest(format!("{run} {number}"));
    while text.len() < bytes {
        text.push_str(&hex::encode(state));
        state = Sha256::digest(state);
    }
    text
}

/// The hash of a JSON document, its form aside: what the API can show of a body.
pub(crate) fn document_hash(document: &serde_json::Value) -> String {
    hex::encode(Sha256::digest(serde_json::to_vec(document).unwrap()))
}
