//! Checks: what the forge says of a connection today, written down with since when.

use super::hooks::{self, Mended};
use super::paused::Expecting;
use super::{Connections, NotReady, gone, line, probe, wishes};
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::known::RecordKey;
use crate::domain::organization::{Connection, ConnectionState};
use crate::domain::task::{Performed, Task, TaskKind, Wish};
use crate::handler::{Look, judge};
use crate::provider::ProviderError;
use crate::store::StoreError;
use crate::telemetry::{Fault, report};

const MINUTE_MS: i64 = 60_000;
/// Between two checks.
const EVERY_MS: i64 = 15 * MINUTE_MS;
/// After a refusal or a silence, so that a second one is known soon.
const SOON_MS: i64 = MINUTE_MS;
/// A check comes up to so much earlier or later, so that not all come at once.
const JITTER_MS: u64 = 180_000;

/// A time near `at`.
fn near(at: Timestamp, chance: u64) -> Timestamp {
    let span = JITTER_MS.saturating_mul(2);
    let step = i64::try_from(chance.checked_rem(span).unwrap_or(0)).unwrap_or(0);
    at.plus_ms(step.saturating_sub(i64::try_from(JITTER_MS).unwrap_or(0)))
}

impl Connections {
    /// The wish for a connection's next check.
    pub(super) fn next_check(&self, connection: &Connection, at: Timestamp) -> Change {
        let kind = TaskKind::CheckConnection;
        let (organization, key) = (&connection.organization, &connection.key);
        let wish = Wish::now(kind, organization, key, "system", self.now());
        Change::Wish(Box::new(Wish { due_at: at, ..wish }))
    }

    /// Looks at the forge, judges, and comes again in a quarter of an hour.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn check(&self, task: &Task) -> Result<Performed, StoreError> {
        let Some(found) = self.connection(task).await? else { return Ok(gone()) };
        if found.value.projects_lag {
            return self.brought(found).await;
        }
        let (look, mended) = match self.look(&found.value).await {
            Ok(looked) => looked,
            Err(NotReady::Off(why)) => return self.rested(&found, why).await,
            Err(NotReady::NoCredential) => return Ok(self.unasked(&found.value)),
            Err(NotReady::Store(error)) => return Err(error),
            Err(NotReady::Provider(error)) => (probe::meaning(&error), None),
            Err(other) => (Look::Unusable(other.to_string()), None),
        };
        let (version, old) = (found.version, found.value);
        let now = self.now();
        let mut new = judge(&old, &look, now);
        let (mut changes, mut expects) = match mended {
            Some(mended) => {
                new.health.old_secret_until = mended.old_secret_until;
                (mended.changes, mended.expects)
            }
            None => Expecting::default(),
        };
        expects.push((RecordKey::Connection(old.key.clone()), version));
        if matches!(look, Look::Found(_)) {
            changes.extend(self.listen(&mut new).await?);
        }
        let note = note(&new);
        let mut due = match &look {
            Look::Refused | Look::Silent(_) | Look::Gone => now.plus_ms(SOON_MS),
            Look::Found(found) if hooks::is_behind(found.hooks.as_ref()) => now.plus_ms(SOON_MS),
            _ => near(now.plus_ms(EVERY_MS), (self.chance)()),
        };
        changes.extend(told(&old, &new, now));
        changes.extend(announced(&old, &new, now));
        if old.is_off() != new.is_off() {
            let (projects, versions) = self.projects_paused(&mut new).await?;
            changes.extend(projects);
            expects.extend(versions);
            due = if new.projects_lag { now } else { due };
            self.forget(&new);
            if !new.is_off() {
                // Nothing was told in between.
                let others = new.read_anew("system", now).into_iter();
                changes.extend(wishes(others.filter(|wish| wish.kind != TaskKind::CheckConnection)));
            }
        }
        changes.push(self.next_check(&new, due));
        changes.push(Change::PutConnection(Box::new(new)));
        Ok(Performed::Done { changes, expects, note })
    }

    /// What a check comes to where there is nothing to ask by. An App may be installed, and a declared credential may
    /// come, without anybody telling: then it is looked at again.
    fn unasked(&self, connection: &Connection) -> Performed {
        let note = "nothing was asked: the connection has no credential".to_owned();
        if connection.credential == "none" {
            return Performed::noted(note);
        }
        let due = near(self.now().plus_ms(EVERY_MS), (self.chance)());
        let changes = vec![self.next_check(connection, due)];
        Performed::Done { changes, expects: Vec::new(), note }
    }

    /// Lets go of what was minted for a connection that is off (S34).
    pub(super) fn forget(&self, connection: &Connection) {
        if let Some(installation) = connection.installation {
            self.forges.forget_installation(&connection.host, installation);
        }
    }

    /// What the forge says, and what has come of the hooks where somebody looked at them.
    async fn look(&self, connection: &Connection) -> Result<(Look, Option<Mended>), NotReady> {
        // A suspension ends at the forge, and only a look shows it when the event was lost.
        let suspended = connection.reasons.contains(&ConnectionState::Suspended);
        let is_ours = connection.paused_at.is_some() || connection.rejected_at.is_some();
        let ready = match suspended && !is_ours {
            true => self.forges.ready_anyway(connection).await?,
            false => self.forges.ready(connection).await?,
        };
        let mut seen = match probe::look(&ready, &connection.account).await {
            Ok(seen) => seen,
            Err(error) => return Ok((probe::meaning(&error), None)),
        };
        match hooks::mend(self, connection, &ready, &seen.found).await {
            Ok(mut mended) => {
                seen.found.hooks = mended.state.take();
                Ok((Look::Found(Box::new(seen.found)), Some(mended)))
            }
            Err(NotReady::Provider(error @ ProviderError::Throttled { .. })) => {
                Ok((probe::meaning(&error), None))
            }
            Err(NotReady::Provider(_)) => Ok((Look::Found(Box::new(seen.found)), None)),
            Err(other) => Err(other),
        }
    }
}

/// What a check came to, in a sentence.
fn note(connection: &Connection) -> String {
    let lacking = connection.health.capabilities.iter().filter(|one| !one.ok);
    let lacking: Vec<String> = lacking.map(|one| format!("{} needs {}", one.feature, one.needs)).collect();
    let error = connection.health.last_error.as_ref();
    let mut note = match (connection.state(), error) {
        (ConnectionState::Connected, None) => "all is well".to_owned(),
        // One answer alone is no verdict: the next check comes soon, and decides.
        (ConnectionState::Connected, Some(error)) => {
            format!("this look failed, and another will decide: {error}")
        }
        (state, None) => format!("it is {}", state.as_str()),
        (state, Some(error)) => format!("it is {}: {error}", state.as_str()),
    };
    if !lacking.is_empty() {
        note = format!("{note}; {}", lacking.join(", "));
    }
    note
}

/// A line for the log when the state has changed.
fn told(old: &Connection, new: &Connection, now: Timestamp) -> Option<Change> {
    let (before, after) = (old.state(), new.state());
    let detail = || format!("{} is now {}", before.as_str(), after.as_str());
    (before != after).then(|| line(new, "system", "connection.state", &detail(), now))
}

/// The end of the credential has come nearer than the last announcement of it: once for each step.
fn announced(old: &Connection, new: &Connection, now: Timestamp) -> Option<Change> {
    let health = &new.health;
    let (days, end) = health.notice_days.zip(health.expires_at)?;
    if (old.health.notice_days, old.health.expires_at) == (health.notice_days, health.expires_at) {
        return None;
    }
    let detail = format!("its credential ends within {days} days, at {}", end.rfc3339());
    report!(Fault::CredentialExpiring, connection = %new.key, days, ends = end.rfc3339(), "a credential ends soon");
    Some(line(new, "system", "connection.credential-expiring", &detail, now))
}
