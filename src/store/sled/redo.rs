//! One frame of the records log: the rows that a group of acts writes, compressed and sealed.

use super::stage::Writes;
use crate::seal::{Keyring, Place, Purpose};
use crate::store::StoreError;

/// The only kind of frame in the records log so far.
pub(super) const WRITES: u8 = 1;

const DELETED: u32 = u32::MAX;
/// The most that one frame may unfold to; more is damage.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// Seals frames of the records log. The log's own sequence is not part of the seal: a frame is bound to this store by
/// the key, and to its place by the log's running hash.
#[derive(Clone)]
pub(super) struct RedoCipher {
    keyring: Keyring,
    purpose: Purpose,
}

impl RedoCipher {
    /// The keyring has a key of the instance.
    pub(super) const fn new(keyring: Keyring, purpose: Purpose) -> Self {
        Self { keyring, purpose }
    }

    pub(super) const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    fn place(&self) -> Place<'static> {
        Place { purpose: self.purpose, scope: "instance", row: b"frame", field: "writes" }
    }

    /// Seals with the newest key.
    pub(super) fn seal(&self, frame: &[u8]) -> Result<Vec<u8>, StoreError> {
        // Level 1 in memory cannot fail but for want of memory; the raw form is always a valid fallback.
        let packed = zstd::bulk::compress(frame, 1).unwrap_or_default();
        let (packed, mark) = if packed.is_empty() { (frame.to_vec(), 0) } else { (packed, 1) };
        let mut plain = vec![mark];
        plain.extend_from_slice(&packed);
        let sealed = self.keyring.seal(&self.place(), &plain);
        sealed.map_err(|error| StoreError::Unavailable(format!("a record cannot be sealed: {error}")))
    }

    pub(super) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged =
            |why: String| StoreError::Corrupt(format!("a frame of the records log cannot be opened: {why}"));
        let plain =
            self.keyring.open_sealed(&self.place(), sealed).map_err(|error| damaged(error.to_string()))?;
        match plain.as_slice() {
            [0, frame @ ..] => Ok(frame.to_vec()),
            [1, packed @ ..] => zstd::stream::decode_all(packed)
                .map_err(|error| damaged(error.to_string()))
                .and_then(|frame| {
                    if frame.len() > FRAME_BYTES_MAX {
                        Err(damaged("it is too large".into()))
                    } else {
                        Ok(frame)
                    }
                }),
            _ => Err(damaged("its form is unknown".into())),
        }
    }
}

/// Writes the rows down: `key length, key, value length, value` each; a deleted row has the length `u32::MAX`.
pub(super) fn encode(writes: &Writes) -> Vec<u8> {
    let mut frame = Vec::with_capacity(writes.len().saturating_mul(256));
    for (key, value) in writes {
        put(&mut frame, key);
        match value {
            Some(value) => put(&mut frame, value),
            None => frame.extend_from_slice(&DELETED.to_le_bytes()),
        }
    }
    frame
}

fn put(frame: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(DELETED);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(bytes);
}

/// Reads [`encode`] back.
pub(super) fn decode(mut frame: &[u8]) -> Result<Writes, StoreError> {
    let mut writes = Writes::new();
    while !frame.is_empty() {
        let key = take(&mut frame)?.ok_or_else(cut)?;
        let value = take(&mut frame)?;
        writes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
    }
    Ok(writes)
}

fn cut() -> StoreError {
    StoreError::Corrupt("a frame of the records log ends in the middle of a row".into())
}

fn take<'f>(frame: &mut &'f [u8]) -> Result<Option<&'f [u8]>, StoreError> {
    let (length, rest) = frame.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length);
    if length == DELETED {
        *frame = rest;
        return Ok(None);
    }
    let (bytes, rest) = rest.split_at_checked(length as usize).ok_or_else(cut)?;
    *frame = rest;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_being_written_as_a_frame() {
        let mut writes = Writes::new();
        writes.insert(b"a".to_vec(), Some(b"one".to_vec()));
        writes.insert(b"b".to_vec(), None);
        writes.insert(Vec::new(), Some(Vec::new()));
        assert_eq!(decode(&encode(&writes)).unwrap(), writes);
        let frame = encode(&writes);
        for cut in [1, 3, frame.len() - 1] {
            assert!(decode(&frame[..cut]).is_err(), "cut at {cut}");
        }
    }
}
