//! A browser's session, and the states that go with it to the forge and back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::account::Expected;
use super::permission::Wants;
use super::{Linking, Refusal};
use crate::domain::organization::Kind;
use crate::domain::ticket::{Ticket, TicketPurpose};
use crate::domain::{ConnectionKey, OrganizationSlug, SourceKey, Timestamp};
use crate::seal::token::{self, Bearer};
use crate::store::StoreError;

/// How long a browser has for the whole way: as long as the forge keeps the code of a manifest.
pub(super) const SESSION_MS: i64 = 60 * 60 * 1000;
/// How long a `state` is good.
pub(super) const STATE_MS: i64 = 10 * 60 * 1000;

/// Which step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The form.
    Choose,
    /// The App is there; it is to be installed.
    Install,
    /// An owner was asked to install it.
    Awaiting,
}

/// A browser's way: what it is for, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Which of the two GitHubs.
    pub kind: Kind,
    /// The forge's base address.
    pub url: Url,
    /// Who gave the link: `api_token:…`, `cli`.
    pub by: String,
    /// Which step is due.
    pub step: Step,
    /// The App's source: an existing one, or the one that is made.
    pub source: Option<SourceKey>,
    /// Whether the App was there before.
    pub existing_app: bool,
    /// The connection that is to be bound, once there is one.
    pub connection: Option<ConnectionKey>,
    /// What the account is called, as far as somebody has said so before.
    pub suggested: Option<String>,
    /// The account.
    pub expected: Option<Expected>,
    /// What the new App is for.
    pub wants: Option<Wants>,
}

/// A browser with a live session.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Whose admin sent the link.
    pub organization: OrganizationSlug,
    /// The way.
    pub leg: Leg,
    hash: [u8; 32],
    cookie: String,
    expires_at: Timestamp,
}

/// What a `state` is bound to, beside its purpose.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StateAbout {
    /// The session's hash, in hex.
    session: String,
    /// The source, and with it the forge.
    source: SourceKey,
    /// The installation that is to be bound.
    pub(super) installation: Option<u64>,
}

/// A word of the cookie's, for one use: nobody who knows it knows the cookie.
fn derived(cookie: &str, what: &str, more: &str) -> String {
    let mut digest = Sha256::new();
    for part in [what, cookie, more] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// The S256 challenge of a verifier.
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

impl Visit {
    /// What the forms of this session carry, so that no other page can send them.
    #[must_use]
    pub fn form_token(&self) -> String {
        derived(&self.cookie, "form", "")
    }

    /// Whether a form is this session's.
    #[must_use]
    pub fn owns(&self, form_token: &str) -> bool {
        self.form_token().as_bytes().ct_eq(form_token.as_bytes()).into()
    }

    /// The verifier of a sign-in: known to whoever has cookie and state, and kept nowhere.
    pub(super) fn verifier(&self, state: &str) -> String {
        derived(&self.cookie, "verifier", state)
    }

    pub(super) fn source(&self) -> Result<&SourceKey, Refusal> {
        self.leg.source.as_ref().ok_or(Refusal::Step)
    }
}

fn about<T: Serialize>(what: &T) -> Result<String, Refusal> {
    serde_json::to_string(what).map_err(|_| Refusal::Changed)
}

impl Linking {
    /// The live session of a cookie.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn visit(&self, cookie: &str) -> Result<Option<Visit>, StoreError> {
        let Some(read) = token::parse(cookie).filter(|read| read.bearer == Bearer::Session) else {
            return Ok(None);
        };
        let found = self.store.ticket(&read.hash, TicketPurpose::Session, self.now()).await?;
        let Some(Ticket { organization, about, expires_at, .. }) = found else { return Ok(None) };
        // Written by another version: the link is made again.
        let Ok(leg) = serde_json::from_str(&about) else { return Ok(None) };
        Ok(Some(Visit { organization, leg, hash: read.hash, cookie: cookie.to_owned(), expires_at }))
    }

    /// Begins a session; gives the cookie's text.
    pub(super) async fn open(&self, organization: OrganizationSlug, leg: &Leg) -> Result<String, Refusal> {
        let (cookie, now) = (self.token(Bearer::Session)?, self.now());
        let expires_at = now.plus_ms(SESSION_MS);
        let ticket = Ticket { purpose: TicketPurpose::Session, organization, about: about(leg)?, expires_at };
        self.store.put_ticket(cookie.hash(), ticket, now).await?;
        Ok(cookie.reveal().to_owned())
    }

    /// Keeps how far a session is.
    pub(super) async fn save(&self, visit: &Visit) -> Result<(), Refusal> {
        let (organization, expires_at) = (visit.organization.clone(), visit.expires_at);
        let about = about(&visit.leg)?;
        let ticket = Ticket { purpose: TicketPurpose::Session, organization, about, expires_at };
        self.store.put_ticket(&visit.hash, ticket, self.now()).await?;
        Ok(())
    }

    /// Ends a session.
    pub(super) async fn close(&self, visit: &Visit) -> Result<(), Refusal> {
        self.store.redeem_ticket(&visit.hash, TicketPurpose::Session, self.now()).await?;
        Ok(())
    }

    /// A new `state` of this session.
    pub(super) async fn state(
        &self,
        visit: &Visit,
        purpose: TicketPurpose,
        installation: Option<u64>,
    ) -> Result<String, Refusal> {
        let (state, now) = (self.token(Bearer::State)?, self.now());
        let source = visit.source()?.clone();
        let about = about(&StateAbout { session: hex::encode(visit.hash), source, installation })?;
        let organization = visit.organization.clone();
        let ticket = Ticket { purpose, organization, about, expires_at: now.plus_ms(STATE_MS) };
        self.store.put_ticket(state.hash(), ticket, now).await?;
        Ok(state.reveal().to_owned())
    }

    /// Takes a `state` that came back, when it is this session's, for this purpose, at this source. One that is not stays
    /// as it was, so that nobody can use up another browser's.
    pub(super) async fn take_state(
        &self,
        visit: &Visit,
        purpose: TicketPurpose,
        source: &SourceKey,
        state: &str,
    ) -> Result<StateAbout, Refusal> {
        let read = token::parse(state).filter(|read| read.bearer == Bearer::State).ok_or(Refusal::State)?;
        let found = self.store.ticket(&read.hash, purpose, self.now()).await?.ok_or(Refusal::State)?;
        let about: StateAbout = serde_json::from_str(&found.about).map_err(|_| Refusal::State)?;
        let mine = about.session == hex::encode(visit.hash) && found.organization == visit.organization;
        if !mine || about.source != *source || visit.leg.source.as_ref() != Some(source) {
            return Err(Refusal::State);
        }
        let taken = self.store.redeem_ticket(&read.hash, purpose, self.now()).await?;
        taken.map(|_| about).ok_or(Refusal::State)
    }
}
