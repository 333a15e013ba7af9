//! The contract on the embedded store, and what is true of it alone.

use std::sync::Arc;

use crate::domain::Timestamp;
use crate::store::Store;
use crate::store::contract::{Bench, contract};

async fn on_sled() -> Bench {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let reopen = move || -> std::pin::Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> {
        let dir = Arc::clone(&dir);
        Box::pin(async move {
            let now = Timestamp::from_ms(1_780_000_000_000);
            let store = super::open(&dir.path().join("store"), &dir.path().join("master.key"), now).unwrap();
            Arc::new(store) as Arc<dyn Store>
        })
    };
    Bench::new("sled", Box::new(reopen)).await
}

contract!(on_sled);
