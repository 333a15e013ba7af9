//! What comes of a call that brought nothing: each variant is what the caller does next.

use crate::domain::Timestamp;
use crate::outbound::OutboundError;

/// Why a forge's API gave nothing. Never holds a word of what it answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Wait until then; before, nothing may be sent with this credential.
    #[error("the forge allows no more requests until {until}")]
    Throttled {
        /// When the next request may be sent.
        until: Timestamp,
    },
    /// Try again later.
    #[error("{0}")]
    Unreachable(OutboundError),
    /// Something answered, and not what a forge's API does. Try again later; then somebody must look at the address.
    #[error("{0}")]
    Odd(OutboundError),
    /// The settings must change: an address that is never called, or a credential that was given for another one.
    #[error("{0}")]
    Misaddressed(OutboundError),
    /// The credential proves nothing any more: expired, revoked, or of another forge.
    #[error("the forge does not accept the credential; it may have expired or been revoked")]
    CredentialRefused,
    /// Our clock and the forge's differ too much for signed requests.
    #[error(
        "this machine's clock is {} seconds {} the forge's, and the forge refuses what is signed so; set the clock",
        .ahead_s.unsigned_abs(), if *.ahead_s > 0 { "ahead of" } else { "behind" }
    )]
    Clock {
        /// Seconds by which ours is ahead.
        ahead_s: i64,
    },
    /// The installation is suspended: stop, and wait for the event that ends it.
    #[error("the installation is suspended at the forge")]
    Suspended,
    /// The credential may not do this.
    #[error("the credential lacks {}", .needs.unwrap_or("a permission for this"))]
    NotPermitted {
        /// The permission or scope that is missing, as the forge calls it.
        needs: Option<&'static str>,
    },
    /// It is not there, or not shown to this credential. Confirm before anything is taken away because of it.
    #[error("the forge has no such thing, or does not show it to this credential")]
    Gone,
    /// The forge understood and refused; asking again changes nothing.
    #[error("the forge refuses this (status {status}{}{})", if .why.is_some() { ", " } else { "" }, .why.unwrap_or_default())]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The forge's own word for it, if it is one of the documented ones.
        why: Option<&'static str>,
    },
    /// A list could not be read to its end, so nothing may be concluded from what is missing in it.
    #[error("the forge's list has no end that could be reached")]
    Endless,
}

impl ProviderError {
    /// Names the permission, where the call knows what it needs.
    #[must_use]
    pub fn needing(self, what: &'static str) -> Self {
        match self {
            Self::NotPermitted { .. } => Self::NotPermitted { needs: Some(what) },
            other => other,
        }
    }

    /// Whether the same call may work later without anybody doing anything.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unreachable(_) | Self::Odd(_) | Self::Endless)
    }
}

impl From<OutboundError> for ProviderError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Forbidden { .. } | OutboundError::Elsewhere => Self::Misaddressed(error),
            OutboundError::Unreachable { .. } | OutboundError::Resting { .. } => Self::Unreachable(error),
            OutboundError::Odd { .. } => Self::Odd(error),
        }
    }
}
