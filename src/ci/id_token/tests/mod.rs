//! Tokens that must be taken, and many more that must not.

mod hostile;
mod keys;
mod own;
mod vector;
mod vectors;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{FetchKeys, Issuer, ListIssuers, Rejected, Unproven, Verifier};
use crate::domain::Timestamp;
use crate::domain::ci::Facts;
use crate::store::StoreError;

const KEY: &str = "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8";
/// Seconds.
const NOW: i64 = 1_681_395_200;

/// Serves what a test says, and counts how often it was asked.
#[derive(Default)]
struct Served {
    document: std::sync::Mutex<Option<String>>,
    asked: AtomicUsize,
}

impl Served {
    fn with(document: &str) -> Arc<Self> {
        let served = Self::default();
        *served.document.lock().unwrap() = Some(document.to_owned());
        Arc::new(served)
    }

    fn serve(&self, document: Option<&str>) {
        *self.document.lock().unwrap() = document.map(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl FetchKeys for Served {
    async fn fetch(&self, _issuer: &Issuer) -> Result<Bytes, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let document = self.document.lock().unwrap().clone();
        document.map(Bytes::from).ok_or_else(|| "it does not answer".to_owned())
    }
}

/// No organization has a forge of its own.
struct Nobody;

#[async_trait]
impl ListIssuers for Nobody {
    async fn list(&self) -> Result<Vec<Issuer>, StoreError> {
        Ok(Vec::new())
    }
}

fn issuers() -> Vec<Issuer> {
    let own = |name: &str| Issuer::new(name, "https://keys.example.com/jwks".parse().unwrap()).unwrap();
    let mut all = Issuer::public();
    all.push(own("https://gitlab.example.com"));
    all.push(own("https://ghes.example.com/_services/token"));
    all
}

fn verifier(served: &Arc<Served>) -> Verifier {
    let url = "https://scm-connect.example.com/".parse().unwrap();
    Verifier::new(&url, issuers(), Arc::new(Nobody), Arc::clone(served) as Arc<dyn FetchKeys>)
}

fn seconds(at: i64) -> Timestamp {
    Timestamp::from_ms(at * 1000)
}

async fn check_at(token: &str, at: i64) -> Result<Facts, Unproven> {
    let served = Served::with(vector::KEY_SET);
    verifier(&served).check(token, None, seconds(at)).await.map(|proven| proven.facts().clone())
}

/// The reason why a token is refused; panics when it is taken.
async fn refusal(what: &str, token: &str) -> Rejected {
    match check_at(token, NOW).await {
        Ok(facts) => panic!("{what} was taken: {facts:?}"),
        Err(Unproven::Rejected(rejected)) => rejected,
        Err(error) => panic!("{what}: {error}"),
    }
}

fn signing_key() -> EncodingKey {
    let text: String = vector::PRIVATE_KEY.split_whitespace().collect();
    EncodingKey::from_rsa_der(&STANDARD.decode(text).unwrap())
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": KEY})
}

/// Claims of a job `302` of the project 20, `my-group/my-project`.
fn gitlab() -> Value {
    json!({
        "iss": "https://gitlab.example.com", "aud": "https://scm-connect.example.com",
        "iat": NOW, "nbf": NOW - 5, "exp": NOW + 3600, "jti": "235b3a54", "sub": "project_path:my-group/my-project",
        "namespace_id": "72", "namespace_path": "my-group", "project_id": "20",
        "project_path": "my-group/my-project", "user_login": "sample-user", "pipeline_id": "574",
        "pipeline_source": "push", "job_id": "302", "ref": "main", "ref_type": "branch",
        "ref_path": "refs/heads/main", "ref_protected": "false", "runner_id": 1, "sha": "714a629c",
    })
}

/// Claims of a run of the repository 456789, `octo-org/octo-repo`.
fn github() -> Value {
    json!({
        "iss": "https://token.actions.githubusercontent.com", "aud": "https://scm-connect.example.com",
        "iat": NOW, "nbf": NOW - 600, "exp": NOW + 300, "jti": "6f4762ed",
        "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "repository": "octo-org/octo-repo",
        "repository_id": "456789", "repository_owner": "octo-org", "repository_owner_id": "123456",
        "run_id": "9000000001", "run_attempt": "1", "event_name": "push", "ref": "refs/heads/main",
        "actor": "octocat", "actor_id": "1",
    })
}

/// The claims with some of them changed; `null` takes one away.
fn with(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn part(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// Signs what is given, however odd.
fn sign_text(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &signing_key(), Algorithm::RS256).unwrap();
    format!("{message}.{signature}")
}

fn sign(header: &Value, claims: &Value) -> String {
    sign_text(&header.to_string(), &claims.to_string())
}

fn mint(claims: &Value) -> String {
    sign(&header(), claims)
}
