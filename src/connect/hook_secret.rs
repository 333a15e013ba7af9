//! Secrets that prove a source's deliveries, and what becomes of one that is replaced (e-63, S49).
//!
//! ```text
//!  both are kept ──▶ every door knows both ──▶ each hook is given the new one ──▶ a day later the old one is erased
//! ```
//!
//! Each step is written down before the next is taken, and each may be taken twice: whoever goes on after a crash sees in
//! the store how far it came. Nothing is refused meanwhile, because the old secret proves deliveries until it is erased.
//! Whoever writes a source's secrets writes the source, too, in one act.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use super::hooks::hook_url;
use super::paused::Expecting;
use super::{Connections, Installed, NotReady, line};
use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::health::MadeHook;
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Connection, Source};
use crate::domain::task::Task;
use crate::store::StoreError;

/// So long after a secret was kept, the doors of all processes know it: they look every few seconds.
pub(super) const DOORS_KNOW_MS: i64 = 10_000;
/// So long after the forge was told, the old secret still proves deliveries (e-63).
const OVERLAP_MS: i64 = 24 * 60 * 60 * 1000;

/// How far the replacement of a source's secrets has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is being replaced.
    Rest,
    /// Both are kept since then; the forge is to be told.
    Begun { kept_at: Timestamp },
    /// The forge was told; the old one proves deliveries until then.
    Overlap { until: Timestamp },
}

impl Stage {
    /// By what is shown of the source's credentials.
    pub(super) fn of(kept: &[CredentialAbout]) -> Self {
        let find = |kind| kept.iter().find(|about| about.kind == kind);
        let (now, before) = (CredentialKind::WebhookSecret, CredentialKind::WebhookSecretBefore);
        match (find(now), find(before).map(|before| before.expires_at)) {
            (Some(_), Some(Some(until))) => Self::Overlap { until },
            (Some(now), Some(None)) => Self::Begun { kept_at: now.created_at },
            _ => Self::Rest,
        }
    }

    /// Whether some process may not know the new secret yet, so that no hook may be given it. A moment that lies ahead
    /// was written by a clock that has been set back: it is not waited for.
    pub(super) const fn waits_for_doors(self, now: Timestamp) -> bool {
        match self {
            Self::Begun { kept_at } => {
                let passed = now.since(kept_at);
                passed >= 0 && passed < DOORS_KNOW_MS
            }
            Self::Rest | Self::Overlap { .. } => false,
        }
    }

    /// Whether the forge has to be told.
    pub(super) const fn is_begun(self) -> bool {
        matches!(self, Self::Begun { .. })
    }

    /// Since when both are kept and nobody has been told.
    pub(super) const fn kept_at(self) -> Option<Timestamp> {
        match self {
            Self::Begun { kept_at } => Some(kept_at),
            Self::Rest | Self::Overlap { .. } => None,
        }
    }

    /// Whether each of these hooks has the new secret.
    pub(super) fn is_told(self, hooks: &[MadeHook]) -> bool {
        match self {
            Self::Begun { kept_at } => {
                !hooks.is_empty() && hooks.iter().all(|hook| hook.given >= Some(kept_at))
            }
            Self::Rest | Self::Overlap { .. } => false,
        }
    }
}

/// The replacement of a connection's source, as it was read.
pub(super) struct Replacement {
    /// Read before the stage: whoever has gone on since has written it.
    source: Option<Versioned<Source>>,
    pub(super) stage: Stage,
}

impl Replacement {
    pub(super) async fn read(of: &Connections, connection: &Connection) -> Result<Self, StoreError> {
        let source = of.store.versioned_source(&connection.source).await?;
        let owner = CredentialOwner::Source(connection.source.clone());
        let stage = Stage::of(&of.store.credentials(&owner).await?);
        Ok(Self { source, stage })
    }
}

/// A fresh secret for hooks.
pub(super) fn fresh(of: &Connections, kind: CredentialKind) -> Result<SecretString, NotReady> {
    let bytes = of.random_bytes()?;
    Ok(SecretString::from(match kind {
        CredentialKind::SigningToken => format!("whsec_{}", STANDARD.encode(bytes)),
        _ => hex::encode(bytes),
    }))
}

/// Keeps fresh secrets beside those that the hooks have, because somebody wants it, by a task or without one. What was
/// kept so before and no hook has counts no more. `false`: somebody else has written the source, or has taken the task over.
pub(super) async fn begin(
    of: &Connections,
    (by, task): (&str, Option<&Task>),
    connection: &Connection,
    source: Versioned<Source>,
) -> Result<bool, NotReady> {
    let owner = CredentialOwner::Source(source.value.key.clone());
    let mut expects = vec![(RecordKey::Source(source.value.key.clone()), source.version)];
    expects.extend(task.map(|task| (RecordKey::Task(task.id.clone()), task.fence)));
    let is_repeated = Stage::of(&of.store.credentials(&owner).await?).is_begun();
    let detail = format!("the hooks of {} are to have another secret", source.value.key);
    let mut changes = vec![
        Change::PutSource(source.value),
        line(connection, by, "secret.rotation-begun", &detail, of.now()),
    ];
    for (kind, before) in CredentialKind::OF_HOOKS {
        let kept = of.store.credential(&owner, kind).await.map_err(NotReady::of_credential)?;
        let Some(old) = kept else { continue };
        let secret = fresh(of, kind)?;
        let about = CredentialAbout {
            last4: last4(secret.expose_secret()),
            // Which hooks have it is told by this: it never equals the one before, whatever the clock does.
            created_at: of.now().max(old.about.created_at.plus_ms(1)),
            ..old.about.clone()
        };
        let replaced = CredentialAbout { kind: before, expires_at: None, ..old.about };
        let pair = [(about, &secret), (replaced, &old.secret)];
        for (about, secret) in pair.into_iter().take(if is_repeated { 1 } else { 2 }) {
            let sealed = of.store.seal_credential(about, secret, of.now()).await?;
            changes.push(Change::PutCredential(Box::new(sealed)));
        }
    }
    Ok(of.store.apply(changes, expects).await?)
}

/// What is to be written now: until when the old secret counts, once the forge has been told, and that it is erased,
/// once that has come.
pub(super) async fn go_on(
    of: &Connections,
    connection: &Connection,
    replacement: Replacement,
    is_told: bool,
) -> Result<(Expecting, Option<Timestamp>), NotReady> {
    let now = of.now();
    let (until, is_new) = match replacement.stage {
        Stage::Begun { .. } if is_told => (Some(now.plus_ms(OVERLAP_MS)), true),
        Stage::Overlap { until } if until <= now => (None, true),
        Stage::Overlap { until } => (Some(until), false),
        Stage::Begun { .. } | Stage::Rest => (None, false),
    };
    let Some(found) = replacement.source.filter(|_| is_new) else {
        return Ok((Expecting::default(), until));
    };
    let expects = vec![(RecordKey::Source(found.value.key.clone()), found.version)];
    let Some(end) = until else {
        return Ok(((retired((connection, "system"), found.value, now), expects), until));
    };
    let owner = CredentialOwner::Source(found.value.key.clone());
    let mut changes = Vec::new();
    for (_, before) in CredentialKind::OF_HOOKS {
        changes.push(counts_until(of, &owner, before, end).await?);
    }
    let (source, end) = (found.value.key.as_str(), end.rfc3339());
    let detail = format!("the hooks of {source} have another secret; the old one counts until {end}");
    changes.push(line(connection, "system", "secret.rotated", &detail, now));
    changes.push(Change::PutSource(found.value));
    Ok(((changes, expects), until))
}

/// That what was replaced is erased, to be written over the source that was read.
pub(super) fn retired((connection, by): (&Connection, &str), source: Source, now: Timestamp) -> Vec<Change> {
    let owner = CredentialOwner::Source(source.key.clone());
    let detail = format!("the old secret of the hooks of {} counts no more", source.key);
    let before = CredentialKind::OF_HOOKS.into_iter().map(|(_, before)| before);
    let mut changes: Vec<Change> =
        before.map(|before| Change::DropCredential(owner.clone(), before)).collect();
    changes.push(line(connection, by, "secret.retired", &detail, now));
    changes.push(Change::PutSource(source));
    changes
}

/// That a secret that was replaced proves nothing from then on.
async fn counts_until(
    of: &Connections,
    owner: &CredentialOwner,
    before: CredentialKind,
    until: Timestamp,
) -> Result<Change, NotReady> {
    match of.store.credential(owner, before).await.map_err(NotReady::of_credential) {
        Ok(Some(kept)) => {
            let about = CredentialAbout { expires_at: Some(until), ..kept.about };
            let sealed = of.store.seal_credential(about, &kept.secret, of.now()).await?;
            Ok(Change::PutCredential(Box::new(sealed)))
        }
        // What does not open proves nothing any more.
        Ok(None) | Err(NotReady::Unreadable) => Ok(Change::DropCredential(owner.clone(), before)),
        Err(error) => Err(error),
    }
}

/// Gives an App's hook the secret that is kept now.
pub(super) async fn tell_app(
    of: &Connections,
    connection: &Connection,
    app: &Installed,
) -> Result<bool, NotReady> {
    let owner = CredentialOwner::Source(connection.source.clone());
    let kept = of.store.credential(&owner, CredentialKind::WebhookSecret).await;
    let Some(kept) = kept.map_err(NotReady::of_credential)? else { return Ok(false) };
    app.app.session().set_app_hook(&hook_url(of, connection)?, Some(&kept.secret)).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s49_the_old_secrets_day_begins_when_the_last_hook_has_the_new_one() {
        let kept_at = Timestamp::from_ms(50_000);
        let hook = |given: Option<i64>| MadeHook {
            place: "project".into(),
            of: 1,
            id: 2,
            alert_status: String::new(),
            given: given.map(|ms| kept_at.plus_ms(ms)),
        };
        let told = |given: &[Option<i64>]| {
            let hooks: Vec<MadeHook> = given.iter().map(|ms| hook(*ms)).collect();
            (Stage::Begun { kept_at }).is_told(&hooks)
        };
        assert!(told(&[Some(0), Some(7)]));
        assert!(!told(&[Some(0), Some(-1)]), "one of them has an older one");
        assert!(!told(&[None, Some(0)]), "nobody knows what it has");
        assert!(!told(&[]), "they are not there this moment");
        assert!(!Stage::Rest.is_told(&[hook(Some(0))]), "there is nothing to tell");
    }

    #[test]
    fn no_hook_is_given_a_secret_that_some_door_may_not_know() {
        let (kept_at, rest) = (Timestamp::from_ms(1_000_000), Stage::Rest);
        let waits = |ms| (Stage::Begun { kept_at }).waits_for_doors(kept_at.plus_ms(ms));
        assert!(waits(0) && waits(DOORS_KNOW_MS - 1));
        assert!(!waits(DOORS_KNOW_MS) && !rest.waits_for_doors(kept_at));
        assert!(!waits(-86_400_000), "a clock that was set back is not waited for");
    }
}
