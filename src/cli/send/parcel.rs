//! The headers with which a forge delivers.

use secrecy::{ExposeSecret, SecretString};

use super::Fixture;
use crate::cli::exit::Failure;
use crate::domain::Timestamp;
use crate::domain::organization::Forge;

/// How the forges sign; they know it, and are asked.
#[derive(Clone, Copy)]
pub struct Signers {
    /// GitHub's `x-hub-signature-256` of a body.
    pub github: fn(&SecretString, &[u8]) -> String,
    /// GitLab's `webhook-signature` by a signing token, of an id, a time in seconds, and a body; says what is wrong
    /// with the token.
    pub gitlab: fn(&str, &str, i64, &[u8]) -> Result<String, String>,
}

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signers")
    }
}

/// What proves a delivery.
#[derive(Debug)]
pub enum Proof {
    /// GitHub: the key of its signature. GitLab: the plain token.
    Secret(SecretString),
    /// GitLab's signing token.
    Signing(SecretString),
}

/// One delivery to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// What is sent.
    pub fixture: &'a Fixture,
    /// Its delivery id.
    pub id: &'a str,
    /// When.
    pub at: Timestamp,
}

impl Parcel<'_> {
    /// Its headers.
    ///
    /// # Errors
    /// When the signing token is none.
    pub fn headers(&self, proof: &Proof, signers: &Signers) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let event = self.fixture.event.clone();
        match self.fixture.forge {
            Forge::Github => headers.extend([
                ("user-agent", "GitHub-Hookshot/scm-connect".to_owned()),
                ("x-github-event", event),
                ("x-github-delivery", self.id.to_owned()),
                ("x-github-hook-id", "1".to_owned()),
            ]),
            Forge::Gitlab => headers.extend([
                ("user-agent", "GitLab/scm-connect".to_owned()),
                ("x-gitlab-event", event),
                ("x-gitlab-event-uuid", self.id.to_owned()),
                ("x-gitlab-webhook-uuid", "00000000-0000-4000-8000-000000000001".to_owned()),
                ("idempotency-key", self.id.to_owned()),
            ]),
        }
        match (proof, self.fixture.forge) {
            (Proof::Secret(secret), Forge::Github) => {
                headers.push(("x-hub-signature-256", (signers.github)(secret, &self.fixture.body)));
            }
            (Proof::Secret(secret), Forge::Gitlab) => {
                headers.push(("x-gitlab-token", secret.expose_secret().to_owned()));
            }
            (Proof::Signing(token), _) => {
                let seconds = self.at.ms().div_euclid(1000);
                let signature = (signers.gitlab)(token.expose_secret(), self.id, seconds, &self.fixture.body);
                let wrong = |why: String| Failure::usage(format!("--signing-token: {why}"));
                headers.push(("webhook-id", self.id.to_owned()));
                headers.push(("webhook-timestamp", seconds.to_string()));
                headers.push(("webhook-signature", signature.map_err(wrong)?));
            }
        }
        Ok(headers)
    }
}

/// The event as the forge writes it in its header: GitLab says `Merge Request Hook` for `merge_request`.
pub(super) fn header_name(forge: Forge, event: &str) -> String {
    if forge == Forge::Github || event.contains(' ') {
        return event.to_owned();
    }
    let words = event.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    format!("{} Hook", words.collect::<Vec<_>>().join(" "))
}

/// A new delivery id, as the forges make them.
pub(super) fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format!("no random id can be made: {error}")))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}
