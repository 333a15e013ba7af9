//! Brings the recorded organizations, sources and connections in line with the config file.

use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::connect::Connections;
use crate::domain::{Clock, Timestamp};
use crate::handler::{Have, declare as plan};
use crate::store::{ConnectionFilter, Page, Store};
use crate::telemetry::{Fault, report};

/// More than one page of each is no daemon's config.
const ALL: Page = Page { limit: 100_000, cursor: None };

/// Plans the difference and writes it in one act; writes nothing when there is none.
pub(super) async fn declare(config: &Config, store: &dyn Store, now: Timestamp) -> Result<(), Failure> {
    let failure = |error: crate::store::StoreError| Failure { exit: Exit::Store, message: error.to_string() };
    let have = Have {
        organizations: store.organizations(&ALL).await.map_err(failure)?.items,
        sources: store.sources().await.map_err(failure)?,
        connections: store.connections(&ConnectionFilter::default(), &ALL).await.map_err(failure)?.items,
    };
    let (changes, warnings) = plan(&config.declared(), &have, now);
    for warning in warnings {
        report!(Fault::ConfigChanged, "{warning}");
    }
    if changes.is_empty() {
        return Ok(());
    }
    tracing::info!(
        changes = changes.len(),
        "the config file's organizations, sources and connections are recorded"
    );
    store.apply(changes, Vec::new()).await.map_err(failure)?;
    store.wake_unbound(now).await.map_err(failure)?;
    Ok(())
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
