//! How a record is written in a row: a byte of format, a checksum, then JSON, packed when it is long.
//!
//! JSON because it can be exported as it is, and grows by added fields. Packed because a row is written anew with every
//! step of its delivery, and with it its neighbours in the database's page. Nothing secret is in a row:
//! what is secret was sealed before it came here.

use std::borrow::Cow;
use std::cell::RefCell;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zstd::bulk::{Compressor, Decompressor};

use crate::store::StoreError;

/// The largest value that sled keeps inside of its pages for sure (reference: a leaf of 17 such values stays below a
/// quarter of a segment). A larger one would become a blob file, which sled never syncs.
pub(super) const VALUE_BYTES_MAX: usize = 4096;

const PLAIN: u8 = 1;
const IN_PARTS: u8 = 2;
const PACKED: u8 = 3;

/// Shorter ones are not worth it.
const PACKED_MIN: usize = 192;
/// No record unfolds to more; more is damage.
const PLAIN_BYTES_MAX: usize = 16 << 20;

/// What rows look like: they are packed against it, so that one takes a quarter. Never changes; another one gets
/// another format.
const SAMPLE: &[u8] = br#"{"v":1,"r":{"at":1780000000000,"organization":"acme","actor":"webhook","action":"project.renamed","subject":"github.com/1296269","detail":"acme/site is now acme/www"}}{"v":2,"r":{"organization":"acme","connection":"acme-github","provider":"github","host":"github.com","external_id":1296269,"full_path":"acme/www","previous_paths":[],"default_branch":"main","visibility":"private","archived":false,"removed":false,"moved_away":false,"paused":false,"ci_state":"none","first_seen_at":1780000000000,"last_check_in_at":null}}{"record":{"id":"01a215ea-074e-720c-b34d-59d21bcb89cb","source":"acme-github","provider":"gitlab","organization":"acme","connection":"acme-gitlab","event":"pull_request","action":"synchronize","external_id":"72d3162e-cc78-11f0-81ab-4c9367dc0958","hook_id":"292430182","received_at":1780000000000,"state":"ignored","attempts":1,"duplicates":0,"last_error":null,"reason":"foreign-tenant","replay_suspected":true,"body_bytes":8123,"secret_slot":0,"finished_at":1780000000000,"due_at":null,"lane":"github:check_run:1296269"},"position":{"seq":100000,"file":99000,"offset":33000000,"len":2048},"fence":1,"aside":false,"blocks":true,"failing_since":null,"attempt":{"number":1,"started_at":1780000000000,"took_ms":null,"led_to":"superseded","error":null},"attempts_forgiven":0}{"record":{"id":"01a215ea-","source":"acme-github","provider":"github","organization":null,"connection":null,"event":"workflow_job","action":"completed","external_id":"","hook_id":"","received_at":17,"state":"queued","attempts":0,"duplicates":0,"last_error":null,"reason":null,"replay_suspected":false,"body_bytes":9000,"secret_slot":0,"finished_at":null,"due_at":1780000030000,"lane":"installation:42"},"position":{"seq":1,"file":1,"offset":64,"len":2000},"fence":1,"aside":false,"blocks":false,"failing_since":null,"attempt":{"number":1,"started_at":1780000000000,"took_ms":2,"led_to":"done","error":null},"attempts_forgiven":0}"#;

thread_local! {
    static PRESS: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPRESS: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn pack(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    PRESS.with_borrow_mut(|press| {
        let press = match press {
            Some(press) => press,
            None => press.insert(Compressor::with_dictionary(1, SAMPLE)?),
        };
        press.compress(plain)
    })
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(PLAIN_BYTES_MAX);
    UNPRESS.with_borrow_mut(|unpress| {
        let unpress = match unpress {
            Some(unpress) => unpress,
            None => unpress.insert(Decompressor::with_dictionary(SAMPLE)?),
        };
        unpress.decompress(packed, size.min(PLAIN_BYTES_MAX))
    })
}

/// Writes a record.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(record)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written as JSON: {error}")))?;
    // What cannot be packed is as good plain.
    let packed = if json.len() < PACKED_MIN { None } else { pack(&json).ok() };
    let (format, rest) = match packed {
        Some(packed) if packed.len() < json.len() => (PACKED, packed),
        _ => (PLAIN, json),
    };
    let mut value = Vec::with_capacity(rest.len().saturating_add(5));
    value.push(format);
    value.extend_from_slice(&crc32fast::hash(&rest).to_le_bytes());
    value.extend_from_slice(&rest);
    Ok(value)
}

/// Reads a record back, checking it.
pub(super) fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, StoreError> {
    let damaged = |what: &str| StoreError::Corrupt(format!("a row {what}; run `scm-connect store verify`"));
    let [format @ (PLAIN | PACKED), a, b, c, d, rest @ ..] = value else {
        return Err(damaged("has an unknown format"));
    };
    if crc32fast::hash(rest).to_le_bytes() != [*a, *b, *c, *d] {
        return Err(damaged("does not match its checksum"));
    }
    let json = match *format {
        PACKED => unpack(rest).map_err(|error| damaged(&format!("cannot be unpacked ({error})")))?.into(),
        _ => Cow::Borrowed(rest),
    };
    serde_json::from_slice(&json).map_err(|error| damaged(&format!("cannot be read ({error})")))
}

/// The row that stands for a value in so many parts.
pub(super) fn in_parts(parts: u32) -> Vec<u8> {
    let [a, b, c, d] = parts.to_le_bytes();
    vec![IN_PARTS, a, b, c, d]
}

/// In how many parts the value lies; `None` when it is whole.
pub(super) fn parts_of(value: &[u8]) -> Option<u32> {
    match value {
        [IN_PARTS, a, b, c, d] => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r09_a_flipped_bit_in_a_row_is_noticed() {
        for texts in [vec!["one", "two"], vec!["a row that is long enough to be packed"; 20]] {
            let good = encode(&texts).unwrap();
            assert_eq!(decode::<Vec<String>>(&good).unwrap(), texts);
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(decode::<Vec<String>>(&bad).is_err(), "bit {bit}");
            }
        }
    }
}
