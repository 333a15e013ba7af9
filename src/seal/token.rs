//! Tokens by which callers are known: `scmc_ci_…`, a random part, and a checksum that tells a typo from a stranger.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::cipher::random;
use super::error::SealError;
use crate::domain::access::TokenKind;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 digits of base 62 hold 256 bits.
const RANDOM_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;

/// What a token's prefix says it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// An API token.
    Api(TokenKind),
    /// The one-time code of the first start.
    Setup,
    /// The one-time code of a link that begins a browser's way.
    Link,
    /// A browser's session.
    Session,
    /// What a forge gives back with the browser (`state`).
    State,
}

impl Bearer {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Api(TokenKind::Ci),
        Self::Api(TokenKind::Read),
        Self::Api(TokenKind::Admin),
        Self::Setup,
        Self::Link,
        Self::Session,
        Self::State,
    ];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Api(TokenKind::Ci) => "scmc_ci_",
            Self::Api(TokenKind::Read) => "scmc_rd_",
            Self::Api(TokenKind::Admin) => "scmc_ad_",
            Self::Setup => "scmc_su_",
            Self::Link => "scmc_ln_",
            Self::Session => "scmc_se_",
            Self::State => "scmc_st_",
        }
    }
}

/// A token as it is shown once.
///
/// It cannot be compared, printed or serialised:
///
/// ```compile_fail
/// let one = scm_connect::seal::token::Token::generate(scm_connect::seal::token::Bearer::Setup).unwrap();
/// let same = one == one;
/// ```
#[derive(Debug)]
pub struct Token {
    text: SecretString,
    hash: [u8; 32],
}

/// A token that somebody sent: well formed, not yet looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// What its prefix says.
    pub bearer: Bearer,
    /// SHA-256 of its whole text: what the store knows it by.
    pub hash: [u8; 32],
}

/// The whole number in base 62, its last digit first. Too few digits would lose its upper bits.
fn base62<const BYTES: usize>(mut number: [u8; BYTES], digits: usize) -> String {
    let divide = |_| {
        let rest = number.iter_mut().fold(0_u16, |rest, byte| {
            let part = rest.wrapping_shl(8) | u16::from(*byte);
            *byte = u8::try_from(part / 62).unwrap_or(u8::MAX);
            part % 62
        });
        char::from(ALPHABET.get(usize::from(rest)).copied().unwrap_or(b'0'))
    };
    (0..digits).map(divide).collect()
}

fn checksum(text: &str) -> String {
    base62(crc32fast::hash(text.as_bytes()).to_be_bytes(), CHECK_CHARS)
}

impl Token {
    /// Makes a new token of 256 random bits.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(bearer: Bearer) -> Result<Self, SealError> {
        Ok(Self::of(bearer, random()?))
    }

    fn of(bearer: Bearer, random: [u8; 32]) -> Self {
        let body = format!("{}{}", bearer.prefix(), base62(random, RANDOM_CHARS));
        let text = format!("{body}{}", checksum(&body));
        let hash = Sha256::digest(text.as_bytes()).into();
        Self { text: SecretString::from(text), hash }
    }

    /// The text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.text.expose_secret()
    }

    /// SHA-256 of the text: all that is kept.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

/// Reads a token; `None` when it has no known prefix, a wrong length, foreign characters or a wrong checksum.
#[must_use]
pub fn parse(text: &str) -> Option<Presented> {
    let bearer = Bearer::ALL.into_iter().find(|bearer| text.starts_with(bearer.prefix()))?;
    let rest = text.strip_prefix(bearer.prefix())?;
    let known = rest.bytes().all(|byte| ALPHABET.contains(&byte));
    if rest.len() != RANDOM_CHARS + CHECK_CHARS || !known {
        return None;
    }
    let (body, check) = text.split_at_checked(text.len().checked_sub(CHECK_CHARS)?)?;
    (checksum(body) == check).then(|| Presented { bearer, hash: Sha256::digest(text.as_bytes()).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number that a token's random part stands for: the way back, written another way.
    fn number_in(token: &Token) -> [u8; 32] {
        let digits = &token.reveal()["scmc_su_".len()..][..RANDOM_CHARS];
        let mut number = [0_u8; 32];
        for digit in digits.bytes().rev() {
            let mut carry = ALPHABET.iter().position(|known| *known == digit).unwrap();
            for byte in number.iter_mut().rev() {
                carry += usize::from(*byte) * 62;
                *byte = (carry % 256) as u8;
                carry /= 256;
            }
            assert_eq!(carry, 0, "more than 256 bits");
        }
        number
    }

    #[test]
    fn s44_a_token_holds_all_of_its_256_random_bits() {
        let mut numbers = vec![[0; 32], [255; 32]];
        for bit in 0..256 {
            let mut number = [0; 32];
            number[bit / 8] = 1 << (bit % 8);
            numbers.push(number);
            numbers.push(number.map(|byte| !byte));
        }
        numbers.extend((0..200).map(|_| random::<32>().unwrap()));
        for number in numbers {
            let token = Token::of(Bearer::Setup, number);
            assert_eq!(number_in(&token), number);
            assert_eq!(parse(token.reveal()).unwrap().hash, *token.hash());
        }
    }
}
