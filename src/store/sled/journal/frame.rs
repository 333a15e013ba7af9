//! One frame: `len u32 | crc32 u32 | version u8 | kind u8 | reserved u16 | seq u64 | payload`, little endian.
//!
//! `len` counts the payload; the checksum covers all but itself. Every later version keeps this header.

use sha2::{Digest, Sha256};

use super::fields::Fields;

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 20;
/// The version that is written.
pub(super) const VERSION: u8 = 1;
/// The largest payload. Far over any body, and small enough that a damaged length cannot take the memory.
pub(super) const PAYLOAD_MAX: u32 = 128 << 20;

/// The running hash: SHA-256 over (hash before, frame).
pub(super) type Hash = [u8; 32];

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its number; the first one is 1, and none is left out.
    pub(crate) seq: u64,
    /// The caller's mark of what the payload is.
    pub(crate) kind: u8,
    /// The bytes that were appended.
    pub(crate) payload: Vec<u8>,
}

/// The header as it stands on disk, not yet believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    raw: [u8; HEADER_BYTES],
    pub(super) len: u32,
    crc: u32,
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) seq: u64,
}

impl Header {
    /// Splits the fields; `None` cannot happen with an array of this size.
    pub(super) fn parse(raw: [u8; HEADER_BYTES]) -> Option<Self> {
        let mut fields = Fields(&raw);
        let (len, crc) = (fields.u32()?, fields.u32()?);
        let [version, kind] = fields.array()?;
        let _reserved = fields.u16()?;
        let seq = fields.u64()?;
        Some(Self { raw, len, crc, version, kind, seq })
    }

    /// Whether this is the frame that belongs here, and whole. The sentence says what is wrong.
    pub(super) fn check(&self, seq: u64, payload: &[u8]) -> Result<(), String> {
        if checksum(&self.raw, payload) != self.crc {
            return Err("the checksum does not match".into());
        }
        if self.seq != seq {
            return Err(format!("frame {} stands here", self.seq));
        }
        Ok(())
    }

    /// The running hash after this frame.
    pub(super) fn chain(&self, before: &Hash, payload: &[u8]) -> Hash {
        chain(before, &self.raw, payload)
    }
}

/// Appends one encoded frame to `out` and returns the running hash after it.
pub(super) fn encode(out: &mut Vec<u8>, before: &Hash, seq: u64, kind: u8, len: u32, payload: &[u8]) -> Hash {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&len.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&[VERSION, kind, 0, 0]);
    header.extend_from_slice(&seq.to_le_bytes());
    let crc = checksum(&header, payload).to_le_bytes();
    for (to, from) in header.iter_mut().skip(4).zip(crc) {
        *to = from;
    }
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
    chain(before, &header, payload)
}

/// The checksum of header and payload, its own four bytes left out.
fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header.get(..4).unwrap_or_default());
    crc.update(header.get(8..).unwrap_or_default());
    crc.update(payload);
    crc.finalize()
}

fn chain(before: &Hash, header: &[u8], payload: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(header);
    hash.update(payload);
    hash.finalize().into()
}
