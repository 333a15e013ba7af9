//! How a record is written in a row: a byte of format, a checksum, then JSON.
//!
//! JSON because it can be read by people, exported as it is, and grows by added fields. Nothing secret is in a row:
//! what is secret was sealed before it came here.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// The largest value that sled keeps inside of its pages for sure (reference: a leaf of 17 such values stays below a
/// quarter of a segment). A larger one would become a blob file, which sled never syncs.
pub(super) const VALUE_BYTES_MAX: usize = 4096;

const FORMAT: u8 = 1;
const IN_PARTS: u8 = 2;

/// Writes a record.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    let mut value = vec![FORMAT, 0, 0, 0, 0];
    serde_json::to_writer(&mut value, record)
        .map_err(|error| StoreError::Unavailable(format!("a record cannot be written as JSON: {error}")))?;
    let checksum = crc32fast::hash(value.get(5..).unwrap_or_default()).to_le_bytes();
    if let Some(place) = value.get_mut(1..5) {
        place.copy_from_slice(&checksum);
    }
    Ok(value)
}

/// Reads a record back, checking it.
pub(super) fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, StoreError> {
    let damaged = |what: &str| StoreError::Corrupt(format!("a row {what}; run `scm-connect store verify`"));
    let [FORMAT, a, b, c, d, json @ ..] = value else { return Err(damaged("has an unknown format")) };
    if crc32fast::hash(json).to_le_bytes() != [*a, *b, *c, *d] {
        return Err(damaged("does not match its checksum"));
    }
    serde_json::from_slice(json).map_err(|error| damaged(&format!("cannot be read ({error})")))
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
        let good = encode(&vec!["one", "two"]).unwrap();
        assert_eq!(decode::<Vec<String>>(&good).unwrap(), ["one", "two"]);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<Vec<String>>(&bad).is_err(), "bit {bit}");
        }
    }
}
