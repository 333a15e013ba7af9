//! The lamp: lit as long as deliveries can be taken and kept, so that whoever comes back knows since when nobody did.

use crate::domain::Timestamp;
use crate::domain::lamp::Lamp;
use crate::store::{Store, StoreError};

const MARK: &str = "lamp";

/// The lamp as it stands; `None`: it was never lit, or what was kept of it cannot be read.
pub(super) async fn lamp(store: &dyn Store) -> Result<Option<Lamp>, StoreError> {
    let known = store.mark(MARK).await?;
    Ok(known.and_then(|known| serde_json::from_str(&known.value).ok()))
}

/// Lights the lamp. Any of several processes may: it is dark only when none does.
///
/// # Errors
/// When the store cannot keep anything now: then no delivery could be kept either, and it stays dark.
pub async fn light(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let known = store.mark(MARK).await?;
    let version = known.as_ref().map_or(0, |known| known.version);
    let before: Option<Lamp> = known.and_then(|known| serde_json::from_str(&known.value).ok());
    let count = before.as_ref().map_or(0, |lamp| lamp.dark.len());
    let lamp = Lamp::lit(before, now);
    let Ok(text) = serde_json::to_string(&lamp) else { return Ok(()) };
    // If another process was quicker, it is lit.
    if store.set_mark(MARK, version, text).await?
        && lamp.dark.len() > count
        && let Some(dark) = lamp.dark.last()
    {
        let (from, until) = (dark.from.rfc3339(), dark.until.rfc3339());
        tracing::info!(code = "not-listening", from, until, "nobody listened; what was missed is looked for");
    }
    Ok(())
}
