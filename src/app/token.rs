//! Tokens of the API as the edge wants them: made, and read.

use crate::domain::access::TokenKind;
use crate::seal::token::{self, Bearer, Presented, Token};

/// A new one: its text, to be shown once, and the SHA-256 to keep. `None`: the system gives no random bytes.
pub(super) fn mint(kind: TokenKind) -> Option<(String, [u8; 32])> {
    let token = Token::generate(Bearer::Api(kind)).ok()?;
    Some((token.reveal().to_owned(), *token.hash()))
}

/// What a text claims to be, if it can be a token of the API at all.
pub(super) fn check(text: &str) -> Option<(TokenKind, [u8; 32])> {
    match token::parse(text)? {
        Presented { bearer: Bearer::Api(kind), hash } => Some((kind, hash)),
        Presented { .. } => None,
    }
}
