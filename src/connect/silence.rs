//! Hooks that are there and tell nothing, though something happened: shown, and what they should have told is read (e-56).

use super::{Connections, wishes};
use crate::domain::change::Change;
use crate::domain::health::{SILENT_MS, is_silent};
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::task::TaskKind;
use crate::store::{DeliveryFilter, Page, StoreError};
use crate::telemetry::{Fault, hook, report};

impl Connections {
    /// Notes on a connection that was just looked at whether its hook is silent. When it begins to be, everything that it
    /// should have told is read at once.
    pub(super) async fn listen(&self, new: &mut Connection) -> Result<Vec<Change>, StoreError> {
        let (was, now) = (new.reasons.contains(&ConnectionState::WebhookSilent), self.now());
        let is = self.is_silent(new).await?;
        let is_own = new.source.as_str() == new.key.as_str();
        if is || was || is_own {
            hook::show_silent(&new.source, is);
        }
        if is == was {
            return Ok(Vec::new());
        }
        if !is {
            new.clear_reasons(&[ConnectionState::WebhookSilent]);
        } else {
            new.add_reason(ConnectionState::WebhookSilent);
            let (source, key) = (new.source.as_str(), new.key.as_str());
            report!(Fault::WebhookSilent, source, connection = key, "a hook tells nothing");
        }
        let reasons = new.reasons.clone();
        new.health.note(&reasons, now);
        let reads = new.read_anew("system", now).into_iter().chain([new.missed("system", now)]);
        Ok(wishes(reads.filter(|wish| is && wish.kind != TaskKind::CheckConnection)).collect())
    }

    async fn is_silent(&self, connection: &Connection) -> Result<bool, StoreError> {
        let (unheard, now) = (connection.health.unheard_at, self.now());
        let heard = connection.last_event_at.unwrap_or(connection.created_at);
        if !connection.is_told() || !is_silent(heard, unheard, now) {
            return Ok(false);
        }
        // It may have told what means nothing here, or what is about another connection of the same App.
        let filter = DeliveryFilter {
            source: Some(connection.source.clone()),
            since: Some(now.plus_ms(SILENT_MS.saturating_neg())),
            ..DeliveryFilter::default()
        };
        let mut cursor = None;
        loop {
            let found = self.store.deliveries(&filter, &Page { limit: 200, cursor }).await?;
            if !found.items.is_empty() {
                return Ok(false);
            }
            cursor = found.next;
            if cursor.is_none() {
                return Ok(true);
            }
        }
    }
}
