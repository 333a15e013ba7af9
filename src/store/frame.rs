//! One kept delivery: as it came, compressed, sealed, and bound to its source and id. Both stores keep this form.

use std::borrow::Cow;
use std::cell::RefCell;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Delivery, Envelope};
use crate::domain::{DeliveryId, SourceKey, Timestamp};
use crate::seal::{Keyring, Place, Purpose};
use crate::store::StoreError;

/// zstd's level and its shortest match. Measured on the recorded bodies: 8.5 µs and 2.0 kB each, where level 1 takes
/// 13.3 µs and gives 1.5 kB, and level 3 takes 32 µs for no less. A quarter of a megabyte a second more on the disk at
/// 500 deliveries a second is the smaller price.
const LEVEL: i32 = -1;
const MATCH_BYTES_MIN: u32 = 7;
/// Scratch larger than that is let go of again: one large body must not weigh on every thread for ever.
const SCRATCH_BYTES_MAX: usize = 256 << 10;

/// Everything but the body, as it is written.
#[derive(Serialize)]
struct Head<'a> {
    received_at: Timestamp,
    envelope: &'a Envelope,
    headers: Vec<(&'a str, Value<'a>)>,
}

/// The same, read back.
#[derive(Deserialize)]
struct HeadRead {
    received_at: Timestamp,
    envelope: Envelope,
    headers: Vec<(String, Value<'static>)>,
}

/// A header's value: a text, as almost all are, or any bytes.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Value<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.into()),
            Err(_) => Self::Bytes(bytes.into()),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_owned().into(),
            Self::Bytes(bytes) => bytes.into_owned().into(),
        }
    }
}

/// A frame, opened.
#[derive(Debug)]
pub(in crate::store) struct Opened {
    pub(in crate::store) id: DeliveryId,
    pub(in crate::store) received_at: Timestamp,
    pub(in crate::store) delivery: Delivery,
}

/// The first sixteen bytes of SHA-256 over the parts, each led by its length.
pub(in crate::store) fn short_hash(parts: &[&[u8]]) -> [u8; 16] {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut short = [0; 16];
    short.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
    short
}

/// What makes two deliveries the same one: source, hook and the forge's id (delivery.md 4.2).
pub(in crate::store) fn dedupe_key(source: &SourceKey, hook_id: &str, external_id: &str) -> [u8; 16] {
    short_hash(&[source.as_str().as_bytes(), hook_id.as_bytes(), external_id.as_bytes()])
}

/// [`dedupe_key`] of a delivery.
pub(in crate::store) fn key_of(delivery: &Delivery) -> [u8; 16] {
    let envelope = delivery.envelope();
    dedupe_key(delivery.source(), &envelope.hook_id, &envelope.external_id)
}

/// What makes two bodies of a source the same one.
pub(in crate::store) fn body_hash(delivery: &Delivery) -> [u8; 16] {
    short_hash(&[delivery.source().as_str().as_bytes(), delivery.body()])
}

fn place<'a>(scope: &'a str, id: &'a DeliveryId) -> Place<'a> {
    Place { purpose: Purpose::DeliveryBody, scope, row: id.as_bytes(), field: "delivery" }
}

/// Whose key seals a source's deliveries.
pub(in crate::store) fn scope_of(source: &SourceKey) -> String {
    format!("source:{source}")
}

/// A thread's compressor and its buffers: all of them cost more to make than a small body costs to compress.
struct Press {
    compressor: zstd::bulk::Compressor<'static>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

thread_local! {
    static PRESS: RefCell<Option<Press>> = const { RefCell::new(None) };
}

impl Press {
    fn new() -> std::io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.set_parameter(zstd::zstd_safe::CParameter::MinMatch(MATCH_BYTES_MIN))?;
        Ok(Self { compressor, plain: Vec::new(), packed: Vec::new() })
    }

    /// `packed(head length, head, body)`, to be used before the next call.
    fn press(&mut self, head: &Head<'_>, body: &[u8]) -> std::io::Result<&[u8]> {
        self.plain.clear();
        self.plain.extend_from_slice(&[0; 4]);
        serde_json::to_writer(&mut self.plain, head)?;
        let length = self.plain.len().saturating_sub(4);
        if let Some(place) = self.plain.first_chunk_mut::<4>() {
            *place = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        }
        self.plain.extend_from_slice(body);
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
        self.compressor.compress_to_buffer(&self.plain, &mut self.packed)?;
        Ok(&self.packed)
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.plain, &mut self.packed] {
            if buffer.capacity() > SCRATCH_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
    }
}

/// Compresses and seals: `id, length of the source key, source key, sealed(packed(head length, head, body))`.
pub(in crate::store) fn close(
    keyring: &Keyring,
    id: DeliveryId,
    delivery: &Delivery,
    received_at: Timestamp,
) -> Result<Vec<u8>, StoreError> {
    let unavailable = |why: String| StoreError::Unavailable(format!("a delivery cannot be sealed: {why}"));
    let headers = delivery.headers().iter().map(|(name, value)| (name.as_str(), Value::of(value))).collect();
    let head = Head { received_at, envelope: delivery.envelope(), headers };
    let source = delivery.source().as_str();
    let scope = scope_of(delivery.source());
    let cipher = keyring.cipher(&scope, received_at.ms()).map_err(|error| unavailable(error.to_string()))?;
    let sealed = PRESS.with_borrow_mut(|press| {
        let press = match press {
            Some(press) => press,
            None => press.insert(Press::new()?),
        };
        let packed = press.press(&head, delivery.body())?;
        let mut frame = Vec::with_capacity(packed.len().saturating_add(source.len()).saturating_add(128));
        frame.extend_from_slice(id.as_bytes());
        frame.push(u8::try_from(source.len()).unwrap_or(u8::MAX));
        frame.extend_from_slice(source.as_bytes());
        cipher.seal_into(&place(&scope, &id), packed, &mut frame);
        press.shrink();
        Ok(frame)
    });
    sealed.map_err(|error: std::io::Error| unavailable(error.to_string()))
}

/// The parts of a frame: its delivery's id, its source's key, and what is sealed.
fn parts(frame: &[u8]) -> Option<(DeliveryId, &[u8], &[u8])> {
    let (id, rest) = frame.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first()?;
    let (source, sealed) = rest.split_at_checked(usize::from(*length))?;
    Some((DeliveryId::from_bytes(*id), source, sealed))
}

/// The number of the key with which a frame was sealed.
pub(in crate::store) fn key_number(frame: &[u8]) -> Option<u32> {
    parts(frame).and_then(|(_, _, sealed)| crate::seal::key_number(sealed))
}

/// Whether the key is here with which a frame was sealed.
pub(in crate::store) fn knows_key(keyring: &Keyring, frame: &[u8]) -> bool {
    parts(frame).is_some_and(|(_, _, sealed)| keyring.knows(sealed))
}

/// Seals a frame anew that was sealed with a key which has been replaced; `None` when it was not.
pub(in crate::store) fn renewed(keyring: &Keyring, frame: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let damaged = || StoreError::Corrupt("a kept delivery cannot be opened to be sealed anew".into());
    let (id, source, sealed) = parts(frame).ok_or_else(damaged)?;
    let source = std::str::from_utf8(source).ok().and_then(|text| SourceKey::parse(text).ok());
    let scope = scope_of(&source.ok_or_else(damaged)?);
    let Some(anew) = keyring.reseal(&place(&scope, &id), sealed).map_err(|_| damaged())? else {
        return Ok(None);
    };
    let head = frame.len().saturating_sub(sealed.len());
    let mut renewed = frame.get(..head).unwrap_or_default().to_vec();
    renewed.extend_from_slice(&anew);
    Ok(Some(renewed))
}

/// The size is not bounded here: only what this store has sealed itself gets so far, and it begins with its size.
fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static UNPRESS: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else {
        return zstd::stream::decode_all(packed);
    };
    UNPRESS.with_borrow_mut(|unpress| {
        let unpress = match unpress {
            Some(unpress) => unpress,
            None => unpress.insert(zstd::bulk::Decompressor::new()?),
        };
        unpress.decompress(packed, size)
    })
}

/// Opens a frame.
pub(in crate::store) fn open(keyring: &Keyring, frame: &[u8]) -> Result<Opened, StoreError> {
    let damaged = |why: &str| StoreError::Corrupt(format!("a kept delivery cannot be opened: {why}"));
    let (id, source, sealed) = parts(frame).ok_or_else(|| damaged("it is too short"))?;
    let source = std::str::from_utf8(source).ok().and_then(|text| SourceKey::parse(text).ok());
    let source = source.ok_or_else(|| damaged("its source has no valid name"))?;
    let scope = scope_of(&source);
    let packed =
        keyring.open_sealed(&place(&scope, &id), sealed).map_err(|error| damaged(&error.to_string()))?;
    let plain = unpack(&packed).map_err(|error| damaged(&error.to_string()))?;
    let (length, rest) = plain.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let (head, body) = rest.split_at_checked(length).ok_or_else(|| damaged("its head is cut"))?;
    let head: HeadRead = serde_json::from_slice(head).map_err(|error| damaged(&error.to_string()))?;
    let headers = head.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    let delivery = Delivery::restore(source, head.envelope, headers, Bytes::copy_from_slice(body));
    Ok(Opened { id, received_at: head.received_at, delivery })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_no_text_comes_back_byte_for_byte() {
        for bytes in [&b"text"[..], b"", b"\xff\x00\xfe", "\u{e4}\u{1}".as_bytes()] {
            let written = serde_json::to_vec(&Value::of(bytes)).unwrap();
            let read: Value<'static> = serde_json::from_slice(&written).unwrap();
            assert_eq!(read.into_bytes(), bytes);
        }
    }
}
