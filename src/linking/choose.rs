//! The form: on which account the App is installed, and what it is for.

use url::Url;

use super::account::{AccountKind, Expected, Spelled, look_up};
use super::manifest::manifest;
use super::permission::{Permission, Purpose, Wants};
use super::session::{Step, Visit};
use super::{Linking, Refusal};
use crate::domain::ci::{JobKnown, JobLookup};
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::ticket::TicketPurpose;
use crate::domain::{ConnectionKey, Host, SourceKey};
use crate::handler::plain_key;
use crate::provider::github::client::manifest_url;
use crate::seal::token::Bearer;

/// Names that are tried for a new source before a random one is taken.
const NUMBERED_MAX: u32 = 9;

/// What was filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Install on.
    pub account: AccountKind,
    /// The account's name, as it was typed.
    pub login: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether runs are followed.
    pub follows_ci: bool,
}

/// What is wrong with it. Nothing was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// No name.
    Empty,
    /// The forge spells it so.
    Spelling(String),
    /// It is of the other kind.
    Kind(AccountKind),
    /// There is no such account.
    Nobody,
    /// This organization has it already.
    Connected(ConnectionKey),
    /// An admin has rejected it.
    Rejected(ConnectionKey),
    /// The config declares how it is connected.
    Declared(ConnectionKey),
}

/// What comes of it.
#[derive(Debug)]
pub enum Chosen {
    /// The form again.
    Wrong(Wrong),
    /// A manifest, to be sent to the forge by the browser.
    Manifest {
        /// Where to.
        target: Url,
        /// What.
        manifest: String,
        /// What it asks for.
        permissions: Vec<&'static Permission>,
    },
    /// The App is there: on to its installation.
    Install,
}

impl Linking {
    /// Takes what was filled in.
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub async fn choose(&self, visit: &mut Visit, choice: Choice) -> Result<Chosen, Refusal> {
        if visit.leg.step != Step::Choose {
            return Err(Refusal::Step);
        }
        let login = choice.login.trim().to_owned();
        if login.is_empty() {
            return Ok(Chosen::Wrong(Wrong::Empty));
        }
        let api = self.api(&visit.leg)?;
        let told = look_up(&api, choice.account, &login).await.map_err(Refusal::Forge)?;
        let id = match told {
            Spelled::Exactly(id) => Some(id),
            Spelled::Untold => None,
            Spelled::Otherwise(right) => return Ok(Chosen::Wrong(Wrong::Spelling(right))),
            Spelled::Another(kind) => return Ok(Chosen::Wrong(Wrong::Kind(kind))),
            Spelled::Nobody => return Ok(Chosen::Wrong(Wrong::Nobody)),
        };
        let expected = Expected { kind: choice.account, login, id };
        let known = self.known(visit, &expected).await?;
        if let Some(wrong) = self.take_over(visit, &expected, &known).await? {
            return Ok(Chosen::Wrong(wrong));
        }
        visit.leg.expected = Some(expected.clone());
        if visit.leg.existing_app {
            visit.leg.step = Step::Install;
            self.save(visit).await?;
            return Ok(Chosen::Install);
        }
        let wants = Wants { purpose: choice.purpose, follows_ci: choice.follows_ci };
        let source = self.free_source(visit, &expected.login).await?;
        visit.leg.wants = Some(wants);
        visit.leg.source = Some(source.clone());
        self.save(visit).await?;
        let state = self.state(visit, TicketPurpose::Manifest, None).await?;
        let organization = (expected.kind == AccountKind::Organization).then_some(expected.login.as_str());
        Ok(Chosen::Manifest {
            target: manifest_url(&visit.leg.url, organization, &state),
            manifest: manifest(&self.public_url, &source, &expected.login, wants),
            permissions: wants.permissions(),
        })
    }

    /// What is recorded about the account.
    pub(super) async fn known(&self, visit: &Visit, expected: &Expected) -> Result<JobKnown, Refusal> {
        let host = Host::of(&visit.leg.url).map_err(|_| Refusal::Changed)?;
        let lookup = JobLookup {
            organization: Some(visit.organization.clone()),
            host,
            login: expected.login.clone(),
            full_path: expected.login.clone(),
            namespace: expected.id,
            project: None,
            check_in: String::new(),
            keys: Vec::new(),
        };
        Ok(self.store.known_to_job(&lookup).await?)
    }

    /// A connection that the organization has to the account already: one that a CI job has made, or that has a token, is
    /// taken up, and one whose App waits for its installation is gone on with.
    async fn take_over(
        &self,
        visit: &mut Visit,
        expected: &Expected,
        known: &JobKnown,
    ) -> Result<Option<Wrong>, Refusal> {
        let Some(found) = own(known, expected) else { return Ok(None) };
        if found.rejected_at.is_some() {
            return Ok(Some(Wrong::Rejected(found.key.clone())));
        }
        // Of a declared one, an installation of its own App is all that may be missing.
        let is_declared = self.forges.is_of_file(found);
        let is_its_own =
            visit.leg.source.as_ref() == Some(&found.source) && found.credential != "access_token";
        if is_declared && !is_its_own {
            return Ok(Some(Wrong::Declared(found.key.clone())));
        }
        let gone = found.reasons.contains(&ConnectionState::Uninstalled);
        if found.credential != "none" && found.installation.is_some() && !gone {
            return Ok(Some(Wrong::Connected(found.key.clone())));
        }
        visit.leg.connection = Some(found.key.clone());
        let own = Some(&found.source).filter(|_| found.credential == "app");
        let Some(made) = found.waiting_app.as_ref().or(own).filter(|_| !visit.leg.existing_app) else {
            return Ok(None);
        };
        if self.vault.app(made).await?.is_some_and(|app| app.sign_in().is_some()) {
            visit.leg.source = Some(made.clone());
            visit.leg.existing_app = true;
        }
        Ok(None)
    }

    /// A name for the new source, and for its connection, that nothing has.
    async fn free_source(&self, visit: &Visit, login: &str) -> Result<SourceKey, Refusal> {
        let host = Host::of(&visit.leg.url).map_err(|_| Refusal::Changed)?;
        let plain: String = plain_key(visit.leg.kind, &host, login).chars().take(54).collect();
        let plain = plain.trim_end_matches('-').to_owned();
        let numbered = (2..=NUMBERED_MAX).map(|n| format!("{plain}-{n}"));
        for name in std::iter::once(plain.clone()).chain(numbered) {
            if let Some(key) = self.free(&name).await? {
                return Ok(key);
            }
        }
        let random = hex::encode(self.token(Bearer::State)?.hash());
        let name = format!("{plain}-{}", random.get(..8).unwrap_or_default());
        self.free(&name).await?.ok_or(Refusal::Changed)
    }

    async fn free(&self, name: &str) -> Result<Option<SourceKey>, Refusal> {
        let keys = SourceKey::parse(name).ok().zip(ConnectionKey::parse(name).ok());
        let Some((source, connection)) = keys else { return Ok(None) };
        let taken = self.store.source(&source).await?.is_some()
            || self.store.connection(&connection).await?.is_some();
        Ok((!taken).then_some(source))
    }
}

/// The organization's own connection to the account.
fn own<'a>(known: &'a JobKnown, expected: &Expected) -> Option<&'a Connection> {
    let same = |it: &&Connection| match (it.account.external_id, expected.id) {
        (Some(id), Some(told)) => id == told,
        _ => it.account.login.eq_ignore_ascii_case(&expected.login),
    };
    known.own.iter().map(|found| &found.value).find(same)
}
