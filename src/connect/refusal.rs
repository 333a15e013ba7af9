//! Why a connection is not made, or not changed: a stable code, a sentence, what to do next.

use super::NotReady;
use crate::provider::ProviderError;
use crate::store::StoreError;

/// Nothing was stored or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The stable code.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// What to do next.
    pub help: Option<&'static str>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Undone {
    /// For a reason that the caller can do something about.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others change the same records all the time.
    #[error("too many change this at the same time")]
    Busy,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    pub(super) fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }

    /// Whose the account is, is told to nobody (e-8).
    pub(super) fn unavailable() -> Self {
        Self::new("account-unavailable", "this account cannot be connected to this organization")
            .help("if it is yours, ask whoever runs this server")
    }

    /// What is in the operator's file is changed there.
    pub(super) fn declared() -> Self {
        Self::new(
            "declared-in-config",
            "the connection is declared in the config file, which alone may change this",
        )
        .help("change it there and send SIGHUP, or restart")
    }

    /// A secret of a hook that is in the operator's file is ended there.
    pub(super) fn declared_secret() -> Self {
        let message = "its hook's secret is declared in the config file, which alone may end it";
        Self::new("declared-in-config", message).help(
            "enter another one at the forge and in webhook_secrets (or signing_tokens), take the leaked one out there, \
             and send SIGHUP: from then on it proves nothing",
        )
    }
}

impl From<ProviderError> for Refusal {
    fn from(error: ProviderError) -> Self {
        let why = error.to_string();
        match error {
            ProviderError::Throttled { .. } => {
                Self::new("forge-waits", why).help("nothing was stored; try again then")
            }
            ProviderError::Unreachable(_) | ProviderError::Endless | ProviderError::Clock { .. } => {
                Self::new("forge-unreachable", why).help("nothing was stored; look at the address and the network")
            }
            ProviderError::Odd(_) => Self::new("forge-unreachable", why)
                .help("nothing was stored; is this the address that people type to see the forge?"),
            ProviderError::Misaddressed(_) => Self::new("url-forbidden", why).help(
                "the operator allows plain http (limits.allow_http_forges) and private networks (limits.allow_private_forges) in the config file",
            ),
            ProviderError::CredentialRefused => Self::new("credential-refused", why)
                .help("make a new token at the forge, and enter it whole"),
            ProviderError::Suspended => {
                Self::new("installation-suspended", why).help("unsuspend it at the forge first")
            }
            ProviderError::NotPermitted { .. } => {
                Self::new("scope-missing", why).help("grant it at the forge, then try again")
            }
            ProviderError::Gone => Self::new("account-unknown", why).help("check the spelling of the account"),
            ProviderError::Refused { .. } => Self::new("forge-refused", why),
        }
    }
}

impl From<ProviderError> for Undone {
    fn from(error: ProviderError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<NotReady> for Undone {
    fn from(error: NotReady) -> Self {
        match error {
            NotReady::Store(error) => Self::Store(error),
            NotReady::Provider(error) => error.into(),
            NotReady::Key(why) => {
                Self::Refused(Refusal::new("credential-invalid", format!("the App's private key {why}")))
            }
            NotReady::Random => Self::Busy,
            other => Self::Refused(Refusal::new("credential-invalid", other.to_string())),
        }
    }
}
