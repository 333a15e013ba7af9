//! Replacing a GitLab token by its successor without ever losing both, or showing the old one again (e-24).
//!
//! Written down first: "it is being replaced". From then on nobody gets a client with the old token; whoever had one is
//! waited for. If the answer is lost, the mark stays, the token counts as void, and an admin enters a new one: to try
//! again would present the old one, which voids its whole family.
//!
//! Whoever writes a connection's token writes the connection too, in one act. So a token is marked, freed and replaced
//! only while the connection is as it was read: what an admin enters or ends meanwhile is never written over.

use secrecy::{ExposeSecret as _, SecretString};

use super::super::rest::held;
use super::super::{Connections, NotReady, Ready, line, wishes};
use super::{Part, WAIT_MS, refused};
use crate::domain::change::Change;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::task::{Performed, Task};
use crate::domain::{ConnectionKey, Timestamp};
use crate::outbound::{OutboundError, Unreachable};
use crate::provider::ProviderError;
use crate::store::{Credential, StoreError};

/// Others that write the same connection are waited for so often.
const TRIES_MAX: usize = 16;

/// A token that this run has marked.
struct Marked {
    kept: Credential,
    since: Timestamp,
}

impl Connections {
    /// Replaces a connection's token. What was written before an error stays written.
    pub(super) async fn rotate_token(
        &self,
        task: &Task,
        found: &Versioned<Connection>,
    ) -> Result<Part, StoreError> {
        let connection = &found.value;
        let owner = CredentialOwner::Connection(connection.key.clone());
        let kept = self.store.credential(&owner, CredentialKind::AccessToken).await;
        let kept = match kept.map_err(NotReady::of_credential) {
            Ok(Some(kept)) => kept,
            Ok(None) => return Ok(Part::Nothing("the connection has no token of its own".into())),
            Err(NotReady::Store(error)) => return Err(error),
            Err(other) => return Ok(Part::failed(other.to_string())),
        };
        let ready = match self.forges.ready(connection).await {
            Ok(ready) => ready,
            Err(NotReady::Off(why)) => return Ok(Part::Stop(held(task, connection, why, self.now()))),
            Err(NotReady::Store(error)) => return Err(error),
            Err(other) => return Ok(Part::failed(other.to_string())),
        };
        let Ready::Gitlab(session) = ready else {
            let why = "only GitLab replaces tokens when asked: make a new one, and enter it";
            return Ok(Part::Nothing(why.into()));
        };
        let Some(marked) = self.mark(task, found, kept).await? else {
            return Ok(Part::later(Some(self.now()), "the connection has changed"));
        };
        if self.others_work(connection, |other| other.id != task.id).await? {
            self.free(&connection.key, &marked).await?;
            let at = Some(self.now().plus_ms(WAIT_MS));
            return Ok(Part::later(at, "another task uses the token now"));
        }
        match session.rotate(None).await {
            Ok(new) => {
                let end = new.expires_at.and_then(|day| day.and_hms_opt(0, 0, 0));
                let end = end.map(|at| Timestamp::from_ms(at.and_utc().timestamp_millis()));
                self.replaced(connection, &marked, &new.token, end).await
            }
            Err(error) if was_not_done(&error) => {
                self.free(&connection.key, &marked).await?;
                Ok(Part::Stop(refused(&error)))
            }
            Err(error) => self.lost(connection, &marked, &error).await.map(Part::Stop),
        }
    }

    /// Notes that the token is being replaced. `None`: somebody has written the connection since it was read, or has
    /// taken the task over.
    async fn mark(
        &self,
        task: &Task,
        found: &Versioned<Connection>,
        kept: Credential,
    ) -> Result<Option<Marked>, StoreError> {
        let since = self.now();
        let about = CredentialAbout { rotating_since: Some(since), ..kept.about.clone() };
        let sealed = self.store.seal_credential(about, &kept.secret, since).await?;
        let expects = vec![
            (RecordKey::Connection(found.value.key.clone()), found.version),
            (RecordKey::Task(task.id.clone()), task.fence),
        ];
        // Written with the connection, so that whoever has read the token before does not write over the mark.
        let connection = Change::PutConnection(Box::new(found.value.clone()));
        let changes = vec![Change::PutCredential(Box::new(sealed)), connection];
        Ok(self.store.apply(changes, expects).await?.then_some(Marked { kept, since }))
    }

    /// Notes that the token is not replaced after all.
    async fn free(&self, key: &ConnectionKey, marked: &Marked) -> Result<bool, StoreError> {
        let about = CredentialAbout { rotating_since: None, ..marked.kept.about.clone() };
        self.write(key, marked, &about, &marked.kept.secret, &|_| Vec::new()).await
    }

    /// Writes the token's row as long as it is the one that this run has marked, whatever else happens to the
    /// connection. `false`: an admin has entered another token or has ended the connection, which counts.
    async fn write(
        &self,
        key: &ConnectionKey,
        marked: &Marked,
        about: &CredentialAbout,
        secret: &SecretString,
        more: &(dyn Fn(&Connection) -> Vec<Change> + Send + Sync),
    ) -> Result<bool, StoreError> {
        for _ in 0..TRIES_MAX {
            let Some(found) = self.store.versioned_connection(key).await? else { return Ok(false) };
            let kept = self.store.credential(&about.owner, CredentialKind::AccessToken).await?;
            if kept.is_none_or(|kept| kept.about.rotating_since != Some(marked.since)) {
                return Ok(false);
            }
            let sealed = self.store.seal_credential(about.clone(), secret, self.now()).await?;
            let mut changes = more(&found.value);
            changes.push(Change::PutCredential(Box::new(sealed)));
            let connection = Connection { credential_last4: about.last4.clone(), ..found.value };
            changes.push(Change::PutConnection(Box::new(connection)));
            if self.store.apply(changes, vec![(RecordKey::Connection(key.clone()), found.version)]).await? {
                return Ok(true);
            }
        }
        Err(StoreError::Unavailable("the connection is written again and again".into()))
    }

    /// The new token is kept before it is used; and another token may see other things (e-46).
    async fn replaced(
        &self,
        connection: &Connection,
        marked: &Marked,
        token: &SecretString,
        expires_at: Option<Timestamp>,
    ) -> Result<Part, StoreError> {
        let now = self.now();
        let about = CredentialAbout {
            last4: last4(token.expose_secret()),
            expires_at,
            created_at: now,
            rotating_since: None,
            ..marked.kept.about.clone()
        };
        let detail = "the token was replaced by its successor";
        let more = |it: &Connection| {
            let mut changes = vec![line(it, "system", "secret.rotated", detail, now)];
            changes.extend(wishes(it.read_anew("system", now)));
            changes
        };
        if !self.write(&connection.key, marked, &about, token, &more).await? {
            let text =
                "somebody has entered another token, or has ended the connection, while it was replaced";
            return Ok(Part::failed(format!("{text}: the successor was not kept")));
        }
        Ok(Part::Did(match expires_at {
            Some(end) => format!("the token was replaced; the new one ends {end}"),
            None => "the token was replaced".into(),
        }))
    }

    /// Nobody knows the successor. The mark stays, so that the old token is not shown again.
    async fn lost(
        &self,
        connection: &Connection,
        marked: &Marked,
        error: &ProviderError,
    ) -> Result<Performed, StoreError> {
        let text = "the answer to the replacement of the token was lost: make a new token and enter it";
        let owner = &marked.kept.about.owner;
        for _ in 0..TRIES_MAX {
            let Some(found) = self.store.versioned_connection(&connection.key).await? else { break };
            let kept = self.store.credential(owner, CredentialKind::AccessToken).await?;
            if kept.is_none_or(|kept| kept.about.rotating_since != Some(marked.since)) {
                break;
            }
            let mut new = found.value;
            new.add_reason(ConnectionState::TokenInvalid);
            new.health.last_error = Some(format!("{text} ({error})"));
            let reasons = new.reasons.clone();
            new.health.note(&reasons, self.now());
            let expects = vec![(RecordKey::Connection(new.key.clone()), found.version)];
            let lost = line(&new, "system", "secret.lost", text, self.now());
            if self.store.apply(vec![Change::PutConnection(Box::new(new)), lost], expects).await? {
                return Ok(Performed::Failed { error: text.into() });
            }
        }
        Ok(Performed::Failed { error: "the answer was lost, and somebody has entered another token".into() })
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
