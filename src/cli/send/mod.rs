//! `send`: plays a forge that delivers one webhook.

mod parcel;

use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::Environment;
use super::arguments::Send;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use crate::domain::Timestamp;
use crate::domain::organization::Forge;

pub use parcel::{Parcel, Proof, Signers};

/// No forge sends a larger body.
const BYTES_MAX: u64 = 26 << 20;

/// A recorded delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixture {
    /// Whose it is.
    pub forge: Forge,
    /// The event's name as the forge writes it in its header.
    pub event: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The recorded deliveries that are built in.
pub trait Fixtures: Sync {
    /// The delivery of this event, of this forge if one is named.
    fn find(&self, forge: Option<Forge>, event: &str) -> Option<Fixture>;
    /// Their names, to be shown to somebody who asks for another.
    fn names(&self) -> Vec<String>;
}

/// Sends, and prints what was answered.
///
/// # Errors
/// When there is nothing to send, or nobody to send it to.
pub async fn send(
    what: &Send,
    fixtures: &dyn Fixtures,
    signers: &Signers,
    environment: &Environment,
    now: Timestamp,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let fixture = fixture(what, fixtures)?;
    let proof = proof(what, fixture.forge, environment)?;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .map_err(|error| Failure::failed(format!("no client can be made: {error}")))?;
    let mut exit = Exit::Done;
    for _ in 0..what.repeat {
        let id = what.delivery_id.clone().map_or_else(parcel::random_id, Ok)?;
        let parcel = Parcel { fixture: &fixture, id: &id, at: now };
        let headers = parcel.headers(&proof, signers)?;
        let mut request = client.post(what.to.clone()).body(fixture.body.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|_| Failure::failed(format!("nobody answers at {}", what.to)))?;
        if !answer.status().is_success() {
            exit = Exit::Failed;
        }
        report(answer, &id, what.json.json, terminal).await?;
    }
    Ok(exit)
}

/// What is sent: a file, or what is built in.
fn fixture(what: &Send, fixtures: &dyn Fixtures) -> Result<Fixture, Failure> {
    let Some(path) = &what.fixture else {
        return fixtures.find(what.provider, &what.event).ok_or_else(|| Failure {
            exit: Exit::NotFound,
            message: format!(
                "there is no recorded {:?}; there are {}; or name a body of your own with --fixture",
                what.event,
                fixtures.names().join(", ")
            ),
        });
    };
    let guess = if what.signing_token.is_some() { Forge::Gitlab } else { Forge::Github };
    let forge = what.provider.unwrap_or(guess);
    Ok(Fixture { forge, event: parcel::header_name(forge, &what.event), body: read(path)? })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure { exit, message: format!("{} cannot be read: {error}", path.display()) }
    };
    let about = std::fs::metadata(path).map_err(failed)?;
    if about.len() > BYTES_MAX {
        return Err(Failure::usage(format!(
            "{} is larger than any delivery: {} bytes",
            path.display(),
            about.len()
        )));
    }
    std::fs::read(path).map_err(failed)
}

fn proof(what: &Send, forge: Forge, environment: &Environment) -> Result<Proof, Failure> {
    match (&what.signing_token, &what.secret, forge) {
        (Some(_), _, Forge::Github) => {
            Err(Failure::usage("--signing-token is GitLab's; GitHub signs with --secret"))
        }
        (Some(token), _, Forge::Gitlab) => secret("--signing-token", token, environment).map(Proof::Signing),
        (None, Some(text), _) => secret("--secret", text, environment).map(Proof::Secret),
        (None, None, _) => {
            Err(Failure::usage("--secret is missing: the hook's secret, env:NAME or file:PATH"))
        }
    }
}

/// The text itself, `env:NAME` or `file:PATH`.
fn secret(option: &str, text: &str, environment: &Environment) -> Result<SecretString, Failure> {
    let found = if let Some(name) = text.strip_prefix("env:") {
        let value = environment.get(name).cloned();
        value.ok_or_else(|| Failure::usage(format!("{option}: the environment has no variable {name:?}")))?
    } else if let Some(path) = text.strip_prefix("file:") {
        let bytes = read(Path::new(path))?;
        let text =
            String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{option}: {path:?} is no text")))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        text.strip_suffix('\r').unwrap_or(text).to_owned()
    } else {
        text.to_owned()
    };
    let found = SecretString::from(found);
    if found.expose_secret().trim().is_empty() {
        return Err(Failure::usage(format!("{option} is empty")));
    }
    Ok(found)
}

/// The status, and the id under which it is kept.
async fn report(
    answer: reqwest::Response,
    sent: &str,
    json: bool,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let (id, message) = (text("id"), text("message"));
    if json {
        terminal.json(&json!({ "status": status, "id": id, "external_id": sent, "message": message }))?;
    } else {
        terminal.line(&format!("{status} {}", id.or(message).unwrap_or_default()))?;
    }
    Ok(())
}
