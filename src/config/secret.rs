//! Secrets: `{ value | env | file }`, kept in memory only, and never shown.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::file::Node;
use super::problem::Place;
use super::reader::Reader;
use super::value::{path, quoted};
use crate::domain::Timestamp;
use crate::provider::LiveSecret;

/// What is shorter can be guessed.
const BYTES_WEAK: usize = 16;
/// No secret is longer.
const BYTES_MAX: u64 = 64 << 10;

/// Where a secret was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whence {
    /// In the config itself.
    Value,
    /// In this variable of the environment.
    Env(String),
    /// In this file.
    File(PathBuf),
}

/// One secret. Its `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Where it was found.
    pub whence: Whence,
    /// From then on it proves nothing.
    pub not_after: Option<Timestamp>,
    /// Its key, to be named in a warning.
    pub key: String,
    text: SecretString,
}

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// As the forges' proofs take it.
    #[must_use]
    pub fn live(&self) -> LiveSecret {
        LiveSecret { secret: self.text.clone(), not_after: self.not_after }
    }

    /// What is weak or over about it, for `check`.
    #[must_use]
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let key = &self.key;
        if self.expose().len() < BYTES_WEAK {
            return Some(format!(
                "{key} has fewer than {BYTES_WEAK} bytes and may be guessed; use 32 random ones"
            ));
        }
        let over = self.not_after.filter(|end| *end <= now)?;
        Some(format!("{key} proves nothing any more: its not_after was {over}"))
    }
}

const ALLOWED: &str = "exactly one of value, env, file";

/// Reads `{ value | env | file, not_after? }`.
pub(super) fn read(mut table: Reader<'_>) -> Option<Secret> {
    let given: Vec<_> = ["value", "env", "file"]
        .into_iter()
        .filter_map(|name| table.take(name).map(|it| (name, it)))
        .collect();
    let not_after = table.parsed("not_after", "a time such as 2027-01-01T00:00:00Z", |text| {
        Timestamp::parse_rfc3339(text).ok_or_else(|| format!("{} is no time", quoted(text)))
    });
    let key = table.place.key.clone();
    let Ok([(name, found)]) = <[_; 1]>::try_from(given) else {
        table.log.add(table.place.problem("a secret has one origin", Some(ALLOWED.into())));
        return None;
    };
    let Node::Text(text) = found.node else {
        let message = format!("is {}, where text is meant", found.node.what());
        table.log.add(found.place.problem(message, None));
        return None;
    };
    let fetched = match name {
        "value" => Ok((Whence::Value, text)),
        "env" => from_environment(&table, text),
        _ => from_file(&text),
    };
    match fetched.and_then(|(whence, text)| refuse_empty(&whence, text).map(|text| (whence, text))) {
        Ok((whence, text)) => Some(Secret { whence, not_after, key, text: SecretString::from(text) }),
        Err(message) => {
            table.log.add(found.place.problem(message, None));
            None
        }
    }
}

fn from_environment(table: &Reader<'_>, name: String) -> Result<(Whence, String), String> {
    let value = table.log.environment.get(&name).cloned();
    let value = value.ok_or_else(|| format!("the environment has no variable {}", quoted(&name)))?;
    Ok((Whence::Env(name), value))
}

fn from_file(text: &str) -> Result<(Whence, String), String> {
    let path = path(text)?;
    let value = read_file(&path)?;
    Ok((Whence::File(path), value))
}

/// A secret's file: one trailing line end is the editor's, not the secret's.
fn read_file(path: &Path) -> Result<String, String> {
    let name = quoted(&path.display().to_string());
    let failed = |error: std::io::Error| format!("the file {name} cannot be read: {error}");
    let about = std::fs::metadata(path).map_err(failed)?;
    if !about.is_file() || about.len() > BYTES_MAX {
        return Err(format!("{name} is no file of at most {BYTES_MAX} bytes"));
    }
    let mut text = std::fs::read_to_string(path).map_err(failed)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// An empty secret would let everybody prove everything.
fn refuse_empty(whence: &Whence, text: String) -> Result<String, String> {
    if !text.trim().is_empty() {
        return Ok(text);
    }
    Err(match whence {
        Whence::Value => "the secret is empty".into(),
        Whence::Env(name) => format!("the secret is empty: so is the variable {}", quoted(name)),
        Whence::File(path) => {
            format!("the secret is empty: so is the file {}", quoted(&path.display().to_string()))
        }
    })
}

/// A GitLab signing token is `whsec_` and its key in base64; what the door would refuse later is refused here.
pub(super) fn check_signing_token(secret: &Secret, place: &Place) -> Option<super::Problem> {
    use base64::Engine;
    let key = secret.expose().strip_prefix("whsec_");
    let key = key.and_then(|key| base64::engine::general_purpose::STANDARD.decode(key).ok());
    match key {
        Some(key) if (24..=64).contains(&key.len()) => None,
        _ => Some(place.problem(
            "is no signing token",
            Some("whsec_ and 24 to 64 bytes in base64, as GitLab shows it".into()),
        )),
    }
}
