//! Connecting a GitHub account by an App, in an admin's browser.
//!
//! ```text
//!  link ──▶ session ──▶ form ──▶ manifest ──▶ App made, sealed ──▶ install ──▶ sign-in ──▶ proof ──▶ bound
//!  once     a cookie    choose   state         created             state       state       S31
//! ```
//!
//! Each arrow that leads to the forge and back carries a `state` of its own: 256 random bits, good once, for ten
//! minutes, for this purpose, this source and this browser. Nothing is bound before the proof; whatever is missing or
//! goes wrong refuses.

mod account;
mod bind;
mod choose;
mod create;
mod install;
mod link;
mod manifest;
mod permission;
mod proof;
mod refusal;
mod session;
mod vault;

use std::sync::Arc;

use url::Url;

pub use account::{AccountKind, Expected, is_login};
pub use bind::Bound;
pub use choose::{Choice, Chosen, Wrong};
pub use create::Created;
pub use install::{Installed, Next};
pub use link::{LINK_MS, LinkWish, NoLink, is_here_only};
pub use manifest::{Callbacks, manifest};
pub use permission::{Permission, Purpose, Wants};
pub use proof::{Facts, Unproven, prove};
pub use refusal::Refusal;
pub use session::{Leg, Step, Visit};
pub use vault::{AppAccess, NewApp, Vault};

use crate::connect::{Forges, NotReady};
use crate::domain::organization::Forge;
use crate::domain::{Clock, Timestamp};
use crate::provider::github::client::{App, Github};
use crate::seal::token::{Bearer, Token};
use crate::store::Store;

/// Makes a random token. `None`: the system gives no random bytes.
pub type Mint = Arc<dyn Fn(Bearer) -> Option<Token> + Send + Sync>;

/// Leads browsers through a connection.
pub struct Linking {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The way to the forges.
    pub forges: Arc<Forges>,
    /// What Apps are known by.
    pub vault: Arc<dyn Vault>,
    /// Makes links, sessions and states.
    pub mint: Mint,
    /// Tells the time.
    pub clock: Clock,
    /// The address under which people and forges reach us.
    pub public_url: Url,
}

impl std::fmt::Debug for Linking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linking").field("public_url", &self.public_url.as_str()).finish_non_exhaustive()
    }
}

impl Linking {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn token(&self, bearer: Bearer) -> Result<Token, Refusal> {
        (self.mint)(bearer).ok_or(Refusal::NoRandom)
    }

    /// The forge's API, as nobody yet.
    fn api(&self, leg: &Leg) -> Result<Github, Refusal> {
        self.forges.github(&self.forges.endpoint(Forge::Github, &leg.url)).map_err(Refusal::Forge)
    }

    /// The App of a leg, speaking as itself.
    fn app_at(&self, leg: &Leg, app: &AppAccess) -> Result<App, Refusal> {
        let endpoint = self.forges.endpoint(Forge::Github, &leg.url);
        let app = self.forges.app(&endpoint, &app.names.id.to_string(), &app.private_key);
        app.map_err(|why| match why {
            NotReady::Provider(error) => Refusal::Forge(error),
            NotReady::Store(error) => Refusal::Store(error),
            _ => Refusal::NoApp,
        })
    }
}
