//! The secret of a hook that somebody set up by hand, replaced: a new one is made and shown once, for whoever enters it at
//! the forge. When they have is seen by what the hook sends: the old one counts until a delivery was proven by the new one,
//! and for a further day.

use secrecy::SecretString;
use url::Url;

use super::super::hook_secret::{self, DOORS_KNOW_MS, Stage};
use super::super::hooks::hook_url;
use super::super::{Connections, Refusal, Undone};
use crate::domain::Timestamp;
use crate::domain::credential::{CredentialKind, CredentialOwner};
use crate::domain::organization::{Connection, Forge};
use crate::store::{DeliveryFilter, Page, StoreError};

/// Others that write the same source are waited for so often.
const TRIES_MAX: usize = 8;
/// Pages of a source's newest deliveries that are looked through for one that the new secret has proven.
const PAGES_MAX: usize = 5;
/// The place of the new secret among those that a door tries.
const NEW: u8 = 0;

impl Connections {
    /// Makes another secret for a hook that somebody set up by hand; gives the hook's address and the secret, which is
    /// shown only now. One that was made before and has proven nothing yet counts no more.
    ///
    /// # Errors
    /// [`Undone`]; nothing is changed then.
    pub async fn new_hook_secret(
        &self,
        connection: &Connection,
        by: &str,
    ) -> Result<(Url, SecretString), Undone> {
        let url = hook_url(self, connection)?;
        for _ in 0..TRIES_MAX {
            let found = self.store.versioned_source(&connection.source).await?;
            let found = found.filter(|found| !found.value.removed).ok_or_else(no_hook)?;
            if self.forges.is_declared(&connection.key) || found.value.created_by == "config" {
                return Err(Refusal::declared().into());
            }
            let is_by_hand = connection.kind.forge() == Forge::Github
                && connection.credential == "access_token"
                && connection.health.hooks.is_empty();
            if !is_by_hand {
                return Err(no_hook().into());
            }
            let owner = CredentialOwner::Source(found.value.key.clone());
            if let Stage::Overlap { until } = Stage::of(&self.store.credentials(&owner).await?) {
                let message =
                    format!("it was replaced lately: the one before counts until {}", until.rfc3339());
                return Err(Refusal::new("secret-replaced", message).help("try again then").into());
            }
            if hook_secret::begin(self, (by, None), connection, found).await? {
                let kept = self.store.credential(&owner, CredentialKind::WebhookSecret).await?;
                return Ok((url, kept.ok_or_else(no_hook)?.secret));
            }
        }
        Err(Undone::Busy)
    }

    /// Whether the secret that was kept then has proven a delivery.
    pub(in super::super) async fn has_proven(
        &self,
        connection: &Connection,
        kept_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let filter = DeliveryFilter {
            source: Some(connection.source.clone()),
            // A door that did not know it yet called the old one by this place.
            since: Some(kept_at.plus_ms(DOORS_KNOW_MS)),
            ..DeliveryFilter::default()
        };
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let found = self.store.deliveries(&filter, &Page { limit: 200, cursor }).await?;
            if found.items.iter().any(|one| one.secret_slot == NEW) {
                return Ok(true);
            }
            cursor = found.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(false)
    }
}

fn no_hook() -> Refusal {
    Refusal::new("no-hook", "it has no hook that somebody set up by hand")
        .help("hooks that were made here are given another secret by scm-connect secrets rotate")
}
