//! A door that refuses what the forge sends: the secret there is not the one known here.

use super::{Follower, SyncError};
use crate::domain::health::SECRET_DIFFERS;
use crate::domain::organization::{Connection, ConnectionState};
use crate::telemetry::{Fault, report};

impl Follower {
    /// Shows, or stops showing, that a connection's door refuses what the forge sends.
    pub(super) async fn show_refusal(&self, connection: &Connection, refuses: bool) -> Result<(), SyncError> {
        if refuses {
            let (source, key) = (connection.source.as_str(), connection.key.as_str());
            report!(Fault::SecretDiffers, source, connection = key, "the forge signs with another secret");
        }
        if refuses == connection.health.secret_differs {
            return Ok(());
        }
        let now = self.now();
        self.note(&connection.key, |connection| {
            connection.health.secret_differs = refuses;
            if refuses {
                connection.add_reason(ConnectionState::WebhookDisabled);
                connection.health.last_error = Some(SECRET_DIFFERS.into());
            } else {
                if !connection.health.has_hook_off() {
                    connection.clear_reasons(&[ConnectionState::WebhookDisabled]);
                }
                connection.health.last_error.take_if(|error| error == SECRET_DIFFERS);
            }
            let reasons = connection.reasons.clone();
            connection.health.note(&reasons, now);
        })
        .await
    }
}
