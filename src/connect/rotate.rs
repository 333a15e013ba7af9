//! Replacing a GitLab token by its successor without ever losing both, or showing the old one again (e-24).
//!
//! Written down first: "it is being replaced". From then on nobody gets a client with the old token; whoever had one is
//! waited for. If the answer is lost, the mark stays, the token counts as void, and an admin enters a new one: to try
//! again would present the old one, which voids its whole family.

use secrecy::{ExposeSecret as _, SecretString};

use super::check::gone;
use super::{Connections, NotReady, Ready};
use crate::domain::Timestamp;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::known::RecordKey;
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::task::{Performed, Task, TaskState};
use crate::outbound::{OutboundError, Unreachable};
use crate::provider::ProviderError;
use crate::store::{Credential, Page, StoreError, TaskFilter};

/// Others that hold the token now are waited for so long.
const WAIT_MS: i64 = 30_000;

impl Connections {
    /// Replaces a connection's token.
    ///
    /// # Errors
    /// When the store refuses; what was written before stays written.
    pub async fn rotate(&self, task: &Task) -> Result<Performed, StoreError> {
        let Some(found) = self.connection(task).await? else { return Ok(gone()) };
        let connection = found.value;
        let owner = CredentialOwner::Connection(connection.key.clone());
        let Some(kept) = self.store.credential(&owner, CredentialKind::AccessToken).await? else {
            return Ok(Performed::Failed { error: "the connection has no token of its own".into() });
        };
        let ready = match self.forges.ready(&connection).await {
            Ok(ready) => ready,
            Err(NotReady::Store(error)) => return Err(error),
            Err(other) => return Ok(Performed::Failed { error: other.to_string() }),
        };
        let Ready::Gitlab(session) = ready else {
            return Ok(Performed::Failed { error: "only GitLab replaces tokens when asked".into() });
        };
        self.mark(&kept, Some(self.now())).await?;
        if self.others_work(&connection, task).await? {
            self.mark(&kept, None).await?;
            let at = Some(self.now().plus_ms(WAIT_MS));
            return Ok(Performed::Later { at, error: "another task uses the token now".into() });
        }
        match session.rotate(None).await {
            Ok(new) => {
                let end = new.expires_at.and_then(|day| day.and_hms_opt(0, 0, 0));
                let end = end.map(|at| Timestamp::from_ms(at.and_utc().timestamp_millis()));
                self.replaced(&connection, &kept, &new.token, end).await
            }
            Err(error) if was_not_done(&error) => {
                self.mark(&kept, None).await?;
                Ok(match error {
                    ProviderError::Throttled { until } => {
                        Performed::Later { at: Some(until), error: error.to_string() }
                    }
                    _ if error.passes() => Performed::Later { at: None, error: error.to_string() },
                    _ => Performed::Failed { error: error.to_string() },
                })
            }
            Err(error) => self.lost(&connection, &error).await,
        }
    }

    /// Notes that the token is being replaced, or that it is not.
    async fn mark(&self, kept: &Credential, since: Option<Timestamp>) -> Result<(), StoreError> {
        let about = CredentialAbout { rotating_since: since, ..kept.about.clone() };
        let sealed = self.store.seal_credential(about, &kept.secret, self.now()).await?;
        self.store.apply(vec![Change::PutCredential(Box::new(sealed))], Vec::new()).await.map(drop)
    }

    /// Whether another task may hold a client with the token: whoever begins later gets none.
    async fn others_work(&self, connection: &Connection, mine: &Task) -> Result<bool, StoreError> {
        let filter = TaskFilter {
            connection: Some(connection.key.clone()),
            state: Some(TaskState::Working),
            ..TaskFilter::default()
        };
        let working = self.store.tasks(&filter, &Page { limit: 200, cursor: None }).await?;
        Ok(working.items.iter().any(|task| task.id != mine.id))
    }

    /// The new token is kept before it is used.
    async fn replaced(
        &self,
        connection: &Connection,
        kept: &Credential,
        token: &SecretString,
        expires_at: Option<Timestamp>,
    ) -> Result<Performed, StoreError> {
        let now = self.now();
        let about = CredentialAbout {
            last4: last4(token.expose_secret()),
            expires_at,
            created_at: now,
            rotating_since: None,
            ..kept.about.clone()
        };
        let sealed = self.store.seal_credential(about, token, now).await?;
        let audit = self.line(connection, "secret.rotated", "the token was replaced by its successor");
        // Nothing may be in the way of this: without it both tokens are lost.
        self.store.apply(vec![Change::PutCredential(Box::new(sealed)), audit], Vec::new()).await?;
        Ok(Performed::noted(match expires_at {
            Some(end) => format!("the token was replaced; the new one ends {end}"),
            None => "the token was replaced".into(),
        }))
    }

    async fn lost(&self, connection: &Connection, error: &ProviderError) -> Result<Performed, StoreError> {
        let text = "the answer to the replacement of the token was lost: make a new token and enter it";
        let audit = self.line(connection, "secret.lost", text);
        let Some(found) = self.store.versioned_connection(&connection.key).await? else { return Ok(gone()) };
        let mut new = found.value;
        new.add_reason(ConnectionState::TokenInvalid);
        new.health.last_error = Some(format!("{text} ({error})"));
        let reasons = new.reasons.clone();
        new.health.note(&reasons, self.now());
        let expects = vec![(RecordKey::Connection(new.key.clone()), found.version)];
        let changes = vec![Change::PutConnection(Box::new(new)), audit];
        Ok(Performed::Done { changes, expects, note: text.into() })
    }

    fn line(&self, connection: &Connection, action: &str, detail: &str) -> Change {
        Change::Audit(AuditEntry {
            at: self.now(),
            organization: Some(connection.organization.clone()),
            actor: "system".into(),
            action: action.into(),
            subject: connection.key.to_string(),
            detail: detail.into(),
            ..AuditEntry::default()
        })
    }
}

/// Whether the forge has surely not replaced it: it said no, or was never reached.
const fn was_not_done(error: &ProviderError) -> bool {
    match error {
        ProviderError::Throttled { .. }
        | ProviderError::Misaddressed(_)
        | ProviderError::CredentialRefused
        | ProviderError::NotPermitted { .. }
        | ProviderError::Gone
        | ProviderError::Suspended
        | ProviderError::Clock { .. } => true,
        ProviderError::Refused { status, .. } => *status != 0,
        ProviderError::Unreachable(OutboundError::Resting { .. }) => true,
        ProviderError::Unreachable(OutboundError::Unreachable { why, .. }) => {
            matches!(why, Unreachable::Name | Unreachable::Connect | Unreachable::Busy | Unreachable::Tls(_))
        }
        ProviderError::Unreachable(_) | ProviderError::Odd(_) | ProviderError::Endless => false,
    }
}
