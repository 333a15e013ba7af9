//! Sealing and opening with one data key.
//!
//! A sealed value: `version u8 | key id u32 | nonce 24 | ciphertext and tag` (XChaCha20-Poly1305, RFC draft
//! `draft-irtf-cfrg-xchacha`). Its key is derived from the data key for the purpose by HKDF-SHA256 (RFC 5869).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use chacha20poly1305::aead::{Aead, AeadInOut, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::SealError;
use super::place::{Place, Purpose};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
/// Bytes in front of the ciphertext.
const HEAD_BYTES: usize = 1 + 4 + NONCE_BYTES;

/// Thirty-two secret bytes.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Fresh random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

/// Gives each value a nonce of its own: sixteen random bytes of this process, then a counter.
///
/// Two processes share the random part with a chance of 2⁻¹²⁸, and within one the counter never repeats.
#[derive(Debug)]
pub(super) struct Nonces {
    process: [u8; 16],
    next: AtomicU64,
}

impl Nonces {
    pub(super) fn new() -> Result<Self, SealError> {
        Ok(Self { process: random()?, next: AtomicU64::new(0) })
    }

    fn next(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        let count = self.next.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        nonce.iter_mut().zip(self.process.iter().chain(&count)).for_each(|(place, byte)| *place = *byte);
        nonce
    }
}

/// Seals and opens for one scope. Cheap to clone.
#[derive(Clone)]
pub struct Cipher {
    id: u32,
    key: Arc<Key>,
    /// One for each purpose, derived when it is first used.
    derived: Arc<[OnceLock<XChaCha20Poly1305>; Purpose::COUNT]>,
    nonces: Arc<Nonces>,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cipher {{ key id: {}, key: [REDACTED] }}", self.id)
    }
}

impl Cipher {
    pub(super) fn new(id: u32, key: Key, nonces: Arc<Nonces>) -> Self {
        let derived = Arc::new([const { OnceLock::new() }; Purpose::COUNT]);
        Self { id, key: Arc::new(key), derived, nonces }
    }

    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    fn aead(&self, purpose: Purpose) -> XChaCha20Poly1305 {
        match self.derived.get(purpose as usize) {
            Some(derived) => derived.get_or_init(|| self.derive(purpose)).clone(),
            None => self.derive(purpose),
        }
    }

    fn derive(&self, purpose: Purpose) -> XChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        // Thirty-two bytes are far below HKDF's limit of 255 blocks, so this cannot fail.
        let _ = Hkdf::<Sha256>::new(None, self.key.as_slice())
            .expand(purpose.as_str().as_bytes(), key.as_mut_slice());
        XChaCha20Poly1305::new(&(*key).into())
    }

    /// Seals a value into a buffer of its own.
    #[must_use]
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len().saturating_add(HEAD_BYTES).saturating_add(16));
        self.seal_into(place, plain, &mut out);
        out
    }

    /// Seals a value behind what the buffer holds.
    pub fn seal_into(&self, place: &Place<'_>, plain: &[u8], out: &mut Vec<u8>) {
        let nonce = self.nonces.next();
        out.push(VERSION);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let aad = place.bytes(VERSION, self.id);
        let body = out.get_mut(start..).unwrap_or_default();
        // Fails only for values over 256 GiB, which no caller can hold in memory.
        let tag = self.aead(place.purpose).encrypt_inout_detached(&XNonce::from(nonce), &aad, body.into());
        match tag {
            Ok(tag) => out.extend_from_slice(&tag),
            Err(_) => out.truncate(start),
        }
    }

    /// Opens a value that was sealed with this key for this place.
    ///
    /// # Errors
    /// [`SealError::Refused`] when it was changed, moved, or sealed with another key.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if key_id(sealed) != Some(self.id) {
            return Err(SealError::Refused);
        }
        let nonce: [u8; NONCE_BYTES] =
            sealed.get(5..HEAD_BYTES).and_then(|bytes| bytes.try_into().ok()).ok_or(SealError::Refused)?;
        let body = sealed.get(HEAD_BYTES..).ok_or(SealError::Refused)?;
        let aad = place.bytes(VERSION, self.id);
        let payload = Payload { msg: body, aad: &aad };
        let plain = self.aead(place.purpose).decrypt(&XNonce::from(nonce), payload);
        plain.map(Zeroizing::new).map_err(|_| SealError::Refused)
    }

    /// A keyed fingerprint, to notice that a secret has changed without keeping it.
    #[must_use]
    pub fn fingerprint(&self, label: &str, secret: &[u8]) -> [u8; 16] {
        let mut short = [0; 16];
        // HMAC takes keys of any length, so this is always there.
        if let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.key.as_slice()) {
            mac.update(&(label.len() as u64).to_le_bytes());
            mac.update(label.as_bytes());
            mac.update(secret);
            short.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(place, byte)| *place = byte);
        }
        short
    }
}

/// The id of the key with which a value was sealed.
pub(super) fn key_id(sealed: &[u8]) -> Option<u32> {
    let [VERSION, rest @ ..] = sealed else { return None };
    rest.first_chunk::<4>().map(|id| u32::from_le_bytes(*id))
}
