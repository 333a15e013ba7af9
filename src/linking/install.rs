//! The installation: the browser is sent to the forge, and comes back with a number that proves nothing.

use std::num::NonZeroU64;

use url::Url;

use super::create::awaits;
use super::manifest::Callbacks;
use super::session::{Step, Visit, challenge};
use super::vault::AppAccess;
use super::{Linking, Refusal};
use crate::domain::SourceKey;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::RecordKey;
use crate::domain::ticket::TicketPurpose;
use crate::provider::github::client::{authorize_url, install_url};

/// What the forge sends a browser back with, after an installation.
#[derive(Debug, Clone, Default)]
pub struct Installed {
    /// Whose number anybody can write.
    pub installation: Option<String>,
    /// `install`, `update`, `request`.
    pub action: String,
    /// The `state`.
    pub state: String,
}

/// Where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The person signs in at the forge.
    SignIn(Url),
    /// An owner was asked.
    Awaiting,
}

impl Linking {
    /// The App of a session.
    pub(super) async fn app(&self, visit: &Visit) -> Result<AppAccess, Refusal> {
        let mut app = self.vault.app(visit.source()?).await?.ok_or(Refusal::NoApp)?;
        if app.names.slug.is_empty() {
            // The config does not say what it is called in addresses; the forge does.
            let about = self.app_at(&visit.leg, &app)?.about().await;
            app.names.slug = about.map_err(Refusal::Forge)?.slug;
        }
        Ok(app)
    }

    /// Where the browser goes to install the App.
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub async fn install(&self, visit: &Visit) -> Result<Url, Refusal> {
        if !matches!(visit.leg.step, Step::Install | Step::Awaiting) {
            return Err(Refusal::Step);
        }
        let app = self.app(visit).await?;
        let state = self.state(visit, TicketPurpose::Install, None).await?;
        Ok(install_url(&visit.leg.url, &app.names.slug, Some(&state)))
    }

    /// Where an owner installs the App who was asked to; for the page that waits.
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub async fn link_for_owner(&self, visit: &Visit) -> Result<Url, Refusal> {
        Ok(install_url(&visit.leg.url, &self.app(visit).await?.names.slug, None))
    }

    /// The browser is back. Nothing it says is believed: it begins the sign-in that will prove it, or refuse.
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub async fn installed(
        &self,
        visit: &mut Visit,
        source: &SourceKey,
        came: Installed,
    ) -> Result<Next, Refusal> {
        self.take_state(visit, TicketPurpose::Install, source, &came.state).await?;
        if came.action == "request" {
            self.await_owner(visit).await?;
            return Ok(Next::Awaiting);
        }
        let number = came.installation.and_then(|text| text.parse::<NonZeroU64>().ok());
        let number = number.ok_or(Refusal::NoInstallation)?;
        let app = self.app(visit).await?;
        let state = self.state(visit, TicketPurpose::Proof, Some(number.get())).await?;
        let back = Callbacks::of(&self.public_url, source).authorized;
        let challenge = challenge(&visit.verifier(&state));
        let (web, client_id) = (&visit.leg.url, app.names.client_id.ok_or(Refusal::NoApp)?);
        Ok(Next::SignIn(authorize_url(web, &client_id, back.as_str(), &state, &challenge, None)))
    }

    /// Somebody who owns nothing there has asked an owner: no data until then.
    async fn await_owner(&self, visit: &mut Visit) -> Result<(), Refusal> {
        visit.leg.step = Step::Awaiting;
        if let Some(key) = &visit.leg.connection
            && let Some(mut found) = self.store.versioned_connection(key).await?
        {
            awaits(&mut found.value);
            let entry = AuditEntry {
                at: self.now(),
                organization: Some(visit.organization.clone()),
                actor: visit.leg.by.clone(),
                action: "connection.approval-asked".into(),
                subject: key.to_string(),
                detail: "an owner of the account was asked at the forge to install the App".into(),
                ..AuditEntry::default()
            };
            let expects = vec![(RecordKey::Connection(key.clone()), found.version)];
            let changes = vec![Change::PutConnection(Box::new(found.value)), Change::Audit(entry)];
            // Changed meanwhile: whoever did knows more than this.
            self.store.apply(changes, expects).await?;
        }
        self.save(visit).await
    }
}
