//! The first CI job: GitLab is stood in for by the key of RFC 7515, which everybody has. The demo's own throw-away daemon
//! is the only one that believes it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use url::Url;

use crate::cli::{Client, Failure};
use crate::domain::Timestamp;

/// The stand-in's public key.
pub const KEY_SET: &str = include_str!("../../tests/fixture/id_token/key_set.json");
const PRIVATE_KEY: &str = include_str!("../../tests/fixture/id_token/private_key.txt");
const KEY: &str = "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8";

/// What the first job made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstJob {
    /// How its check-in was answered.
    pub status: u16,
    /// The connection.
    pub connection: String,
    /// The project.
    pub full_path: String,
    /// Whether the job was handed a token for its project.
    pub has_token: bool,
}

/// Makes a CI token over the control socket, as an operator would, and checks in with it as a job of a group of which
/// nobody has heard.
///
/// # Errors
/// When nobody answers.
pub async fn first(client: &Client, door: &Url, now: Timestamp) -> Result<FirstJob, Failure> {
    let wish = json!({"kind": "ci", "name": "first job"});
    let made = client.post_within(Some("acme"), &["tokens"], &wish).await?;
    let token = made.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
    let body = json!({"id_token": id_token(door, now)?});
    let http = reqwest::Client::builder().no_proxy().build();
    let http = http.map_err(|error| Failure::failed(format!("no client can be made: {error}")))?;
    let mut address = door.clone();
    address.set_path("/api/v1/ci/check-ins");
    let request = http.post(address).bearer_auth(token).header("content-type", "application/json");
    let nobody = |_| Failure::failed(format!("nobody answers at {door}"));
    let answer = request.body(body.to_string()).send().await.map_err(nobody)?;
    let status = answer.status().as_u16();
    let told: Value = serde_json::from_slice(&answer.bytes().await.map_err(nobody)?).unwrap_or_default();
    let text = |path: &str| told.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(FirstJob {
        status,
        connection: text("/connection/key"),
        full_path: text("/project/full_path"),
        has_token: !text("/token/value").is_empty(),
    })
}

/// A token as GitLab gives one to each job that asks for it.
fn id_token(door: &Url, now: Timestamp) -> Result<String, Failure> {
    let seconds = now.ms().div_euclid(1000);
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": KEY});
    let claims = json!({
        "iss": "https://gitlab.com", "aud": door.as_str().trim_end_matches('/'), "jti": "demo-1",
        "iat": seconds, "nbf": seconds - 5, "exp": seconds + 3600, "sub": "project_path:first-group/first-project",
        "namespace_id": "4200", "namespace_path": "first-group", "project_id": "4242",
        "project_path": "first-group/first-project", "user_login": "somebody", "pipeline_id": "1", "job_id": "1",
        "pipeline_source": "push", "ref": "main", "ref_type": "branch", "ref_protected": "true", "runner_id": 1,
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(&claims));
    let failed = |what: &str| Failure::failed(format!("the demo's key cannot be used: {what}"));
    let key =
        STANDARD.decode(PRIVATE_KEY.split_whitespace().collect::<String>()).map_err(|_| failed("base64"))?;
    let key = EncodingKey::from_rsa_der(&key);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::RS256);
    Ok(format!("{message}.{}", signature.map_err(|_| failed("signing"))?))
}
