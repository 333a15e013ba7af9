//! One kept delivery: as it came, compressed, sealed, and bound to its source and id. Both stores keep this form.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Delivery, Envelope};
use crate::domain::{DeliveryId, SourceKey, Timestamp};
use crate::seal::{Keyring, Place, Purpose};
use crate::store::StoreError;

/// Everything but the body.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct Head {
    pub(in crate::store) received_at: Timestamp,
    pub(in crate::store) dedupe: [u8; 16],
    pub(in crate::store) body_hash: [u8; 16],
    pub(in crate::store) envelope: Envelope,
    headers: Vec<(String, Vec<u8>)>,
}

/// A frame, opened.
#[derive(Debug)]
pub(in crate::store) struct Opened {
    pub(in crate::store) id: DeliveryId,
    pub(in crate::store) head: Head,
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

thread_local! {
    // A context costs more to make than a small body costs to compress.
    static PRESS: std::cell::RefCell<Option<zstd::bulk::Compressor<'static>>> = const { std::cell::RefCell::new(None) };
}

fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    PRESS.with_borrow_mut(|press| {
        if press.is_none() {
            *press = Some(zstd::bulk::Compressor::new(1)?);
        }
        press.as_mut().map_or_else(|| zstd::bulk::compress(plain, 1), |press| press.compress(plain))
    })
}

/// Compresses and seals: `id, length of the source key, source key, sealed(packed(head length, head, body))`.
pub(in crate::store) fn close(
    keyring: &Keyring,
    id: DeliveryId,
    dedupe: [u8; 16],
    body_hash: [u8; 16],
    delivery: &Delivery,
    received_at: Timestamp,
) -> Result<Vec<u8>, StoreError> {
    let unavailable = |why: String| StoreError::Unavailable(format!("a delivery cannot be sealed: {why}"));
    let headers = delivery.headers().iter().map(|(name, value)| (name.clone(), value.to_vec())).collect();
    let head = Head { received_at, dedupe, body_hash, envelope: delivery.envelope().clone(), headers };
    let head = serde_json::to_vec(&head).map_err(|error| unavailable(error.to_string()))?;
    let mut plain = Vec::with_capacity(head.len().saturating_add(delivery.body().len()).saturating_add(4));
    plain.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
    plain.extend_from_slice(&head);
    plain.extend_from_slice(delivery.body());
    let packed = compress(&plain).map_err(|error| unavailable(error.to_string()))?;
    let source = delivery.source().as_str();
    let scope = scope_of(delivery.source());
    let cipher = keyring.cipher(&scope, received_at.ms()).map_err(|error| unavailable(error.to_string()))?;
    let mut frame = Vec::with_capacity(packed.len().saturating_add(source.len()).saturating_add(128));
    frame.extend_from_slice(id.as_bytes());
    frame.push(u8::try_from(source.len()).unwrap_or(u8::MAX));
    frame.extend_from_slice(source.as_bytes());
    cipher.seal_into(&place(&scope, &id), &packed, &mut frame);
    Ok(frame)
}

/// The parts of a frame: its delivery's id, its source's key, and what is sealed.
fn parts(frame: &[u8]) -> Option<(DeliveryId, &[u8], &[u8])> {
    let (id, rest) = frame.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first()?;
    let (source, sealed) = rest.split_at_checked(usize::from(*length))?;
    Some((DeliveryId::from_bytes(*id), source, sealed))
}

/// Whether the key is here with which a frame was sealed.
pub(in crate::store) fn knows_key(keyring: &Keyring, frame: &[u8]) -> bool {
    parts(frame).is_some_and(|(_, _, sealed)| keyring.knows(sealed))
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
    // The size is not bounded here: only what this store has sealed itself gets so far.
    let plain = zstd::stream::decode_all(packed.as_slice()).map_err(|error| damaged(&error.to_string()))?;
    let (length, rest) = plain.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let (head, body) = rest.split_at_checked(length).ok_or_else(|| damaged("its head is cut"))?;
    let head: Head = serde_json::from_slice(head).map_err(|error| damaged(&error.to_string()))?;
    let headers =
        head.headers.iter().map(|(name, value)| (name.clone(), Bytes::from(value.clone()))).collect();
    let delivery = Delivery::restore(source, head.envelope.clone(), headers, Bytes::copy_from_slice(body));
    Ok(Opened { id, head, delivery })
}
