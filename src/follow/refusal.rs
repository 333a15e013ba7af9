//! A door that refuses what the forge sends: the secret there is not the one known here.

use super::{Follower, SyncError};
use crate::domain::organization::{Connection, ConnectionState};
use crate::telemetry::{Fault, report};

const WHY: &str = "the forge's deliveries are refused: it signs with another secret than the one known here; enter the \
     same one on both sides";

impl Follower {
    /// Shows, or stops showing, that a connection's door refuses what the forge sends.
    pub(super) async fn show_refusal(&self, connection: &Connection, refuses: bool) -> Result<(), SyncError> {
        let was = connection.health.last_error.as_deref() == Some(WHY);
        if refuses {
            let (source, key) = (connection.source.as_str(), connection.key.as_str());
            report!(Fault::SecretDiffers, source, connection = key, "the forge signs with another secret");
        }
        if refuses == was {
            return Ok(());
        }
        let now = self.now();
        self.note(&connection.key, |connection| {
            if refuses {
                connection.add_reason(ConnectionState::WebhookDisabled);
                connection.health.last_error = Some(WHY.into());
            } else {
                connection.clear_reasons(&[ConnectionState::WebhookDisabled]);
                connection.health.last_error = None;
            }
            let reasons = connection.reasons.clone();
            connection.health.note(&reasons, now);
        })
        .await
    }
}
