//! Asking a store again that cannot answer now, for as long as a lease lasts.

use std::future::Future;
use std::time::Duration;

use crate::store::StoreError;

/// The waits between tries, 17.75 s in all: less than a lease.
const WAITS_MS: [u64; 7] = [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000];

/// Calls until the store answers, or until it is time to let go. Only "not now" is asked again.
pub(super) async fn ask<T, Fut>(mut call: impl FnMut() -> Fut) -> Result<T, StoreError>
where
    Fut: Future<Output = Result<T, StoreError>>,
{
    for wait_ms in WAITS_MS {
        match call().await {
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
            answer => return answer,
        }
    }
    call().await
}
