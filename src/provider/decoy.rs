//! Work without a use: a refusal must cost the same whether its source exists, and however many secrets it has.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Hashes the body so often, as a proof with that many secrets would.
pub fn hash_for_nothing(body: &[u8], passes: usize) {
    for _ in 0..passes {
        if let Ok(mac) = Hmac::<Sha256>::new_from_slice(&[0; 32]) {
            std::hint::black_box(mac.chain_update(body).finalize().into_bytes());
        }
    }
}
