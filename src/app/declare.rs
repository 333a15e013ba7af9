//! Brings the recorded organizations, sources and connections in line with the config file.

use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::connect::Connections;
use crate::domain::break_glass::BreakGlass;
use crate::domain::declared::Declared;
use crate::domain::known::RecordKey;
use crate::domain::organization::Organization;
use crate::domain::{Clock, OrganizationSlug, Timestamp};
use crate::handler::{Have, declare as plan};
use crate::store::{ConnectionFilter, Page, Store, StoreError};
use crate::telemetry::{Fault, report};

/// More than one page of each is no daemon's config.
const ALL: Page = Page { limit: 100_000, cursor: None };
/// Others that write the same members are waited for so often.
const TRIES_MAX: usize = 8;

/// Plans the difference and writes it in one act; writes nothing when there is none.
pub(super) async fn declare(config: &Config, store: &dyn Store, now: Timestamp) -> Result<(), Failure> {
    let failure = |error: StoreError| Failure { exit: Exit::Store, message: error.to_string() };
    let wanted = config.declared();
    for _ in 0..TRIES_MAX {
        let (have, expects) = recorded(store, &wanted).await.map_err(failure)?;
        let (changes, warnings) = plan(&wanted, &have, now);
        let count = changes.len();
        if count > 0 && !store.apply(changes, expects).await.map_err(failure)? {
            continue;
        }
        for warning in warnings {
            report!(Fault::ConfigChanged, "{warning}");
        }
        if count > 0 {
            tracing::info!(
                changes = count,
                "the config file's organizations, sources and connections are recorded"
            );
            store.wake_unbound(now).await.map_err(failure)?;
        }
        return Ok(());
    }
    let message = "the members that the config file names are written again and again; try again".to_owned();
    Err(Failure { exit: Exit::Store, message })
}

/// What is recorded, with the versions of the members that the plan stands on.
async fn recorded(store: &dyn Store, wanted: &Declared) -> Result<(Have, Vec<(RecordKey, u64)>), StoreError> {
    let mut have = Have {
        organizations: store.organizations(&ALL).await?.items,
        sources: store.sources().await?,
        connections: store.connections(&ConnectionFilter::default(), &ALL).await?.items,
        members: Vec::new(),
    };
    let mut expects: Vec<(RecordKey, u64)> = Vec::new();
    for (slug, person) in named(&have.organizations, wanted) {
        let key = RecordKey::Member(slug.clone(), person.host.clone(), person.external_id);
        if expects.iter().any(|(known, _)| *known == key) {
            continue;
        }
        let before = person.external_id.checked_sub(1);
        let found = store.members_numbered(&slug, &person.host, before, 1).await?;
        let found = found.into_iter().find(|found| person.is_of(&found.value));
        expects.push((key, found.as_ref().map_or(0, |found| found.version)));
        have.members.extend(found.map(|found| found.value));
    }
    Ok((have, expects))
}

/// The break-glass admins of before, and those that the file names.
fn named(recorded: &[Organization], wanted: &Declared) -> Vec<(OrganizationSlug, BreakGlass)> {
    let before = recorded.iter().map(|it| (&it.slug, &it.break_glass));
    let after = wanted.organizations.iter().map(|it| (&it.slug, &it.break_glass));
    let all = before.chain(after).filter_map(|(slug, person)| Some((slug.clone(), person.clone()?)));
    all.collect()
}

/// Connections whose declared credential is another one than before are looked at, at once. Where a store is away, their
/// next turn finds out.
pub(super) async fn notice(connections: &Connections, store: &dyn Store, clock: &Clock) {
    let Ok(cipher) = store.keyring().cipher("instance", clock().ms()) else { return };
    let name = move |bytes: &[u8]| hex::encode(cipher.fingerprint("declared credential", bytes));
    match connections.notice_declared(&name).await {
        Ok(changed) => {
            tracing::debug!(changed = changed.len(), "declared credentials that are other ones now")
        }
        Err(error) => tracing::debug!(%error, "declared credentials could not be compared"),
    }
}
