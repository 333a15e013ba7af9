//! Whether the operator's file believes in something else than it did before: between two starts, too.
//!
//! A declared secret is never kept. What is kept is a name of it that tells nothing without the store's own key (ruling 16).

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{Connections, How, Way};
use crate::domain::ConnectionKey;
use crate::store::StoreError;

const MARK: &str = "declared-credentials";
/// What anybody may know: when its name has changed, the store's key has, and every other name with it.
const PROBE: &[u8] = b"probe";

/// Gives a secret a name that tells nothing.
pub type Name = dyn Fn(&[u8]) -> String + Send + Sync;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Names {
    probe: String,
    of: BTreeMap<ConnectionKey, String>,
}

impl Connections {
    /// Has everything read of declared connections that are believed by something else, or elsewhere, than when this was
    /// last asked, whichever process asked it. Gives them.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn notice_declared(&self, name: &Name) -> Result<Vec<ConnectionKey>, StoreError> {
        let known = self.store.mark(MARK).await?;
        let version = known.as_ref().map_or(0, |known| known.version);
        let before: Option<Names> = known.and_then(|known| serde_json::from_str(&known.value).ok());
        let ways = self.forges.ways();
        let believed = ways.declared.iter().filter_map(|(key, way)| Some((key.clone(), name(&bytes(way)?))));
        let now = Names { probe: name(PROBE), of: believed.collect() };
        if before.as_ref() == Some(&now) {
            return Ok(Vec::new());
        }
        let comparable = before.filter(|before| before.probe == now.probe);
        let is_other = |key: &&ConnectionKey| {
            comparable.as_ref().is_some_and(|before| before.of.get(*key) != now.of.get(*key))
        };
        let changed: Vec<ConnectionKey> = now.of.keys().filter(is_other).cloned().collect();
        // First the wishes: whoever dies in between finds the old names, and wishes once more.
        self.read_anew(&changed, "config").await?;
        let text = serde_json::to_string(&now).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        self.store.set_mark(MARK, version, text).await?;
        Ok(changed)
    }
}

/// What it is believed by, and where. `None`: it is not.
fn bytes(way: &Way) -> Option<Vec<u8>> {
    let how = match way.how.as_ref()? {
        How::Token(token) => format!("token {}", token.expose_secret()),
        How::App { issuer, key } => format!("app {issuer} {}", key.expose_secret()),
    };
    Some([way.endpoint.binding().as_bytes(), how.as_bytes()].concat())
}
