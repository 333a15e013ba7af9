//! Sends the recorded deliveries as the forges would, and waits until they are handled.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::recorded::{FORGED, GITHUB, GITLAB, Recorded};
use crate::cli::send::{Parcel, Proof, Signers};
use crate::cli::{Client, Failure};
use crate::domain::Clock;
use crate::domain::organization::Forge;

/// Until then everything must be handled.
const HANDLED_WITHIN: Duration = Duration::from_secs(30);

/// The secrets of the two hooks.
pub struct Secrets {
    /// GitHub's.
    pub github: String,
    /// GitLab's.
    pub gitlab: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets([REDACTED])")
    }
}

/// One delivery as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The recording's file.
    pub file: &'static str,
    /// The event.
    pub event: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// Sent with a corrupted signature.
    pub forged: bool,
}

/// Plays both forges.
#[derive(Debug)]
pub struct Sender {
    client: reqwest::Client,
    door: Url,
    secrets: Secrets,
    signers: Signers,
    clock: Ticks,
}

/// A clock that can stand in a struct that is shown.
struct Ticks(Clock);

impl std::fmt::Debug for Ticks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Sender {
    /// For this door.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(door: Url, secrets: Secrets, signers: Signers, clock: Clock) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build();
        let client = client.map_err(|error| Failure::failed(format!("no client can be made: {error}")))?;
        Ok(Self { client, door, secrets, signers, clock: Ticks(clock) })
    }

    /// Plays the whole story; `progress` gets how many were sent, of how many.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn play(&self, progress: &mut dyn FnMut(usize, usize)) -> Result<Vec<Played>, Failure> {
        let genuine = GITHUB.iter().chain(GITLAB).map(|one| (one, false));
        let story: Vec<(&Recorded, bool)> = genuine.chain(FORGED.iter().map(|one| (one, true))).collect();
        let mut played = Vec::with_capacity(story.len());
        for (number, (one, forged)) in story.iter().enumerate() {
            progress(number, story.len());
            let status = self.send(one, number, *forged).await?;
            played.push(Played { file: one.file, event: one.event, status, forged: *forged });
        }
        Ok(played)
    }

    async fn send(&self, one: &Recorded, number: usize, forged: bool) -> Result<u16, Failure> {
        let (source, secret) = match one.forge {
            Forge::Github => ("our-app", &self.secrets.github),
            Forge::Gitlab => ("our-gitlab", &self.secrets.gitlab),
        };
        let fixture = one.fixture();
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let parcel = Parcel { fixture: &fixture, id: &id, at: (self.clock.0)() };
        let mut address = self.door.clone();
        address.set_path(&format!("/hooks/{source}"));
        let mut request = self.client.post(address).body(fixture.body.clone());
        for (name, value) in
            parcel.headers(&Proof::Secret(SecretString::from(secret.as_str())), &self.signers)?
        {
            let value = if forged && name == "x-hub-signature-256" { corrupted(&value) } else { value };
            request = request.header(name, value);
        }
        let answer = request.send().await;
        let nobody = |_| Failure::failed(format!("nobody answers at {}", self.door));
        answer.map(|answer| answer.status().as_u16()).map_err(nobody)
    }
}

/// The same signature with another last digit.
fn corrupted(signature: &str) -> String {
    let mut text = signature.to_owned();
    let last = text.pop();
    text.push(if last == Some('0') { '1' } else { '0' });
    text
}

/// Waits until nothing is queued any more.
///
/// # Errors
/// When that takes too long.
pub async fn settle(client: &Client) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < HANDLED_WITHIN {
        let mut open = 0;
        for state in ["queued", "working"] {
            let page =
                client.get(&["deliveries"], &[("state", state.to_owned()), ("limit", "1".into())]).await?;
            open += page.get("items").and_then(Value::as_array).map_or(0, Vec::len);
        }
        let all = client.get(&["deliveries"], &[("limit", "200".to_owned())]).await?;
        let indexed = all.get("items").and_then(Value::as_array).map_or(0, Vec::len);
        if open == 0 && indexed >= GITHUB.len().saturating_add(GITLAB.len()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Failure::failed("the deliveries were not handled within half a minute; the log says why"))
}
