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
}

impl Bearer {
    const ALL: [Self; 4] =
        [Self::Api(TokenKind::Ci), Self::Api(TokenKind::Read), Self::Api(TokenKind::Admin), Self::Setup];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Api(TokenKind::Ci) => "scmc_ci_",
            Self::Api(TokenKind::Read) => "scmc_rd_",
            Self::Api(TokenKind::Admin) => "scmc_ad_",
            Self::Setup => "scmc_su_",
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

fn base62(mut number: u128, length: usize) -> String {
    let mut digits = Vec::with_capacity(length);
    for _ in 0..length {
        let digit = usize::try_from(number % 62).unwrap_or(0);
        digits.push(ALPHABET.get(digit).copied().unwrap_or(b'0'));
        number /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

fn checksum(text: &str) -> String {
    base62(u128::from(crc32fast::hash(text.as_bytes())), CHECK_CHARS)
}

impl Token {
    /// Makes a new token of 256 random bits.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(bearer: Bearer) -> Result<Self, SealError> {
        let bytes: [u8; 32] = random()?;
        let (low, high) = bytes.split_at(16);
        let half = |part: &[u8]| part.try_into().map(u128::from_be_bytes).unwrap_or_default();
        let body =
            format!("{}{}{}", bearer.prefix(), base62(half(low), 22), base62(half(high), RANDOM_CHARS - 22));
        let text = format!("{body}{}", checksum(&body));
        let hash = Sha256::digest(text.as_bytes()).into();
        Ok(Self { text: SecretString::from(text), hash })
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
