//! One webhook request: raw, proven, and as it is remembered.
//!
//! A [`Delivery`] can be made in two ways only: by [`Delivery::authenticate`], which asks the source for proof, and
//! by `Delivery::restore`, which belongs to the store. So nothing unproven can be stored or handled.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConnectionKey, DeliveryId, OrganizationSlug, SourceKey, Timestamp};

/// What came over the wire: nothing in it is believed.
#[derive(Debug, Clone)]
pub struct RawDelivery {
    /// The source named by the URL.
    pub source: SourceKey,
    /// Header names in lower case with their values, in the order of arrival, repeats kept.
    pub headers: Vec<(String, Bytes)>,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl RawDelivery {
    /// The header's only value. `None` when it is absent, not UTF-8, or sent with two different values.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value);
        let first = values.next()?;
        if values.any(|other| other != first) {
            return None;
        }
        std::str::from_utf8(first).ok()
    }

    /// Whether the header is there at all, readable or not.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n == name)
    }
}

/// How the body's bytes hold the JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// The body is the document.
    Json,
    /// One form field `payload` holds it.
    Form,
}

/// What a source reads from a proven delivery's headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The forge's own id of the delivery; kept by a redelivery.
    pub external_id: String,
    /// Which hook sent it; empty when the forge does not say.
    pub hook_id: String,
    /// The forge's name of the event, from the header.
    pub event: String,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// Which of the source's secrets proved it (0 = the first).
    pub secret_slot: u8,
    /// Until when an equal `external_id` means "the same delivery"; `None` = as long as the record is kept.
    pub same_within_ms: Option<i64>,
}

/// Why a request is refused. The web edge maps each to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No signature or token where one is needed.
    #[error("the delivery carries no proof")]
    ProofMissing,
    /// A signature or token that does not match any live secret.
    #[error("the delivery's proof does not match")]
    ProofWrong,
    /// A signed time too far from ours.
    #[error("the delivery's signed time is outside of the tolerance")]
    Stale,
    /// Not a delivery at all: named headers are missing or malformed.
    #[error("this is no delivery: {0}")]
    Malformed(&'static str),
    /// A content type that no forge sends.
    #[error("the content type is neither JSON nor a form")]
    MediaType,
}

/// Decides whether a raw delivery is genuine.
pub trait Authenticate {
    /// Checks the proof over the raw bytes, then reads the envelope from the headers.
    ///
    /// # Errors
    /// When the proof is missing or wrong, or the request is no delivery.
    fn authenticate(&self, raw: &RawDelivery, now: Timestamp) -> Result<Envelope, Rejected>;

    /// How often a refusal for want of proof hashes the body: always so often, whatever the headers say. The edge adds
    /// to it what makes all sources alike, those among them that do not exist.
    fn passes(&self) -> usize {
        1
    }
}

/// The header by which a delivery that was read out of a forge's log is told from one that came through the door.
const ORIGIN: &str = "x-scm-connect-origin";
/// In place of a secret's slot where no secret proved the delivery.
pub const NO_SLOT: u8 = u8::MAX;

/// A webhook request that its source has proven.
#[derive(Debug, Clone)]
pub struct Delivery {
    source: SourceKey,
    envelope: Envelope,
    headers: Vec<(String, Bytes)>,
    body: Bytes,
}

impl Delivery {
    /// The only way from outside to a delivery.
    ///
    /// # Errors
    /// Whatever `by` finds wrong with it.
    pub fn authenticate(raw: RawDelivery, by: &dyn Authenticate, now: Timestamp) -> Result<Self, Rejected> {
        Self::prove(raw, by, now).map_err(|(_, rejected)| rejected)
    }

    /// The same, and gives back what was not proven, so that it can be proven in another way.
    ///
    /// # Errors
    /// Whatever `by` finds wrong with it.
    pub fn prove(
        raw: RawDelivery,
        by: &dyn Authenticate,
        now: Timestamp,
    ) -> Result<Self, (Box<RawDelivery>, Rejected)> {
        let envelope = match by.authenticate(&raw, now) {
            Ok(envelope) => envelope,
            Err(rejected) => return Err((Box::new(raw), rejected)),
        };
        let mut headers = raw.headers;
        headers.retain(|(name, _)| is_kept(name));
        Ok(Self { source: raw.source, envelope, headers, body: raw.body })
    }

    /// What a forge's log says that it sent: read with our own credential, at an address that we asked, which is the
    /// proof. For catching up alone; `tests/it/tidy.rs` says so.
    #[must_use]
    pub(crate) fn fetched(raw: RawDelivery, envelope: Envelope) -> Self {
        let mut headers = raw.headers;
        headers.retain(|(name, _)| is_kept(name));
        headers.push((ORIGIN.to_owned(), Bytes::from_static(b"log")));
        Self { source: raw.source, envelope, headers, body: raw.body }
    }

    /// Brings back what was stored. For the store alone; `tests/it/tidy.rs` says so.
    #[must_use]
    pub(crate) fn restore(
        source: SourceKey,
        envelope: Envelope,
        headers: Vec<(String, Bytes)>,
        body: Bytes,
    ) -> Self {
        Self { source, envelope, headers, body }
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> &SourceKey {
        &self.source
    }

    /// What its headers said.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The kept headers, names in lower case; nothing secret is among them.
    #[must_use]
    pub fn headers(&self) -> &[(String, Bytes)] {
        &self.headers
    }

    /// The raw body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Headers that are worth keeping: the forges' own, never a token, a cookie or a proxy's address list.
fn is_kept(name: &str) -> bool {
    let forge =
        name.starts_with("x-github-") || name.starts_with("x-gitlab-") || name.starts_with("webhook-");
    let plain = matches!(name, "content-type" | "user-agent" | "idempotency-key");
    let secret = matches!(name, "x-gitlab-token" | "webhook-signature");
    (forge || plain) && !secret
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Stored, its turn has not come.
    Queued,
    /// A worker has it.
    Working,
    /// To be tried again later, or until somebody binds its account.
    Waiting,
    /// Handled.
    Done,
    /// Genuine, but it means nothing here; `reason` says why.
    Ignored,
    /// Something newer was known already.
    Superseded,
    /// Given up; `reason` says why. Kept until somebody looks.
    Dead,
}

impl DeliveryState {
    /// All states, in the order of a delivery's life.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Working, Self::Waiting, Self::Done, Self::Ignored, Self::Superseded, Self::Dead];

    /// The name used in the API, metrics and on disk.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Ignored => "ignored",
            Self::Superseded => "superseded",
            Self::Dead => "dead",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Nothing more will happen to it by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Ignored | Self::Superseded | Self::Dead)
    }
}

/// What is remembered of a delivery, apart from its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// Our id.
    pub id: DeliveryId,
    /// Where it came from.
    pub source: SourceKey,
    /// `github` or `gitlab`.
    pub provider: String,
    /// Whose it turned out to be.
    pub organization: Option<OrganizationSlug>,
    /// Which connection it was about.
    pub connection: Option<ConnectionKey>,
    /// The forge's event name, control characters removed.
    pub event: String,
    /// The event's action, where it has one.
    pub action: Option<String>,
    /// The forge's delivery id.
    pub external_id: String,
    /// The hook that sent it.
    pub hook_id: String,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often a worker has begun with it.
    pub attempts: u32,
    /// How many copies came after the first.
    pub duplicates: u32,
    /// What the last attempt met, at most 1 KiB.
    pub last_error: Option<String>,
    /// Why it is ignored, waiting, superseded or dead: a stable word.
    pub reason: Option<String>,
    /// The same body came before under another id.
    pub replay_suspected: bool,
    /// Size of the raw body in bytes.
    pub body_bytes: u64,
    /// Which secret proved it.
    pub secret_slot: u8,
    /// When it came to rest.
    pub finished_at: Option<Timestamp>,
    /// When it will be tried next.
    pub due_at: Option<Timestamp>,
    /// What it queues behind.
    pub lane: String,
}

/// One try at a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counting from 1.
    pub number: u32,
    /// When a worker took it.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds; `None` while it runs or when the process died in it.
    pub took_ms: Option<u64>,
    /// The state it led to.
    pub led_to: Option<DeliveryState>,
    /// What went wrong, at most 1 KiB.
    pub error: Option<String>,
}

/// What a delivery queues behind: one at a time per lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lane {
    /// Its name: kind and numbers.
    pub key: String,
    /// A failing head holds the others back, for 15 minutes at most. Otherwise it steps aside at once.
    pub blocks: bool,
}
