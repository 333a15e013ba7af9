//! Installation tokens: minted when needed, by one caller for all, renewed before they end. Each allows what it is used for
//! and no more, whatever the installation was granted (S53); they are kept in memory alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::carrier::{Ask, Carrier, now_s};
use super::error::granted;
use super::scope::{Level, Permissions};
use super::wire::Installation;
use crate::domain::Timestamp;
use crate::outbound::{Carried, Credential};
use crate::provider::ProviderError;
use crate::provider::pace::Purpose;

/// Renewed this long before the end, so that no request is overtaken by it.
const MARGIN: Duration = Duration::from_secs(300);
/// No token is believed to live longer, whatever the answer says.
const LIFE_MAX_S: i64 = 3600;

/// What a token is used for: the one permission that it is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) permission: &'static str,
    pub(super) level: Level,
}

/// What every installation has: to see what there is.
pub(super) const METADATA: Grant = Grant { permission: "metadata", level: Level::Read };

/// A token, and how long it may be used by a clock that nobody sets.
#[derive(Debug)]
pub(super) struct Minted {
    pub(super) credential: Credential,
    pub(super) permissions: Permissions,
    minted: Instant,
    ends: Instant,
}

impl Minted {
    pub(super) fn age(&self) -> Duration {
        self.minted.elapsed()
    }

    fn is_good(&self) -> bool {
        self.ends.saturating_duration_since(Instant::now()) > MARGIN
    }
}

/// The tokens of one installation.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Speaks as the App.
    app: Carrier,
    installation: u64,
    /// Held while a token is minted: whoever comes meanwhile waits for that one.
    current: Mutex<HashMap<Grant, Arc<Minted>>>,
}

#[derive(Deserialize)]
struct Answered {
    token: String,
    expires_at: String,
    #[serde(default)]
    permissions: Permissions,
}

impl Tokens {
    pub(super) fn new(app: Carrier, installation: u64) -> Self {
        Self { app, installation, current: Mutex::default() }
    }

    pub(super) fn reader(&self) -> String {
        format!("{} at {}", self.app.reader(), self.installation)
    }

    /// A token for this use that is good for some time.
    pub(super) async fn current(&self, purpose: Purpose, grant: Grant) -> Result<Arc<Minted>, ProviderError> {
        let mut current = self.current.lock().await;
        if let Some(minted) = current.get(&grant).filter(|minted| minted.is_good()) {
            return Ok(Arc::clone(minted));
        }
        let minted = Arc::new(self.mint(purpose, grant).await?);
        current.insert(grant, Arc::clone(&minted));
        Ok(minted)
    }

    /// Lets go of a token that was refused, unless somebody has replaced it already.
    pub(super) async fn forget(&self, refused: &Arc<Minted>) {
        self.current.lock().await.retain(|_, minted| !Arc::ptr_eq(minted, refused));
    }

    async fn mint(&self, purpose: Purpose, grant: Grant) -> Result<Minted, ProviderError> {
        let path = format!("app/installations/{}/access_tokens", self.installation);
        let app = Carrier { purpose, ..self.app.clone() };
        let wanted = json!({ "permissions": { grant.permission: grant.level } });
        let body = Some(Bytes::from(wanted.to_string()));
        // Boxed, because a carrier of installations has its tokens from a carrier.
        let asked = Box::pin(app.carry(Ask { method: Method::POST, body, ..Ask::get(path) }));
        let answer = asked.await?;
        let answer = match granted(answer) {
            Err(ProviderError::NotPermitted { .. }) => return Err(self.refused(&app).await?),
            // What the installation was not granted.
            Err(ProviderError::Refused { status: 422, .. }) => {
                return Err(ProviderError::NotPermitted { needs: None });
            }
            other => other?,
        };
        let Answered { token, expires_at, permissions } = answer.json()?;
        let ends_s = Timestamp::parse_rfc3339(&expires_at).map_or(i64::MAX, |at| at.ms().div_euclid(1000));
        let life_s = ends_s.saturating_sub(now_s(&answer, &app.client)).clamp(0, LIFE_MAX_S);
        let now = Instant::now();
        let life = Duration::from_secs(u64::try_from(life_s).unwrap_or_default());
        let credential = Credential::new(SecretString::from(token), Carried::Bearer, app.client.endpoint());
        Ok(Minted { credential, permissions, minted: now, ends: now.checked_add(life).unwrap_or(now) })
    }

    /// Why a token was refused: a suspended installation looks like a missing permission.
    async fn refused(&self, app: &Carrier) -> Result<ProviderError, ProviderError> {
        let path = format!("app/installations/{}", self.installation);
        let answer = granted(Box::pin(app.carry(Ask::get(path))).await?)?;
        let installation: Installation = answer.json()?;
        Ok(match installation.suspended_at {
            Some(_) => ProviderError::Suspended,
            None => ProviderError::NotPermitted { needs: None },
        })
    }
}
