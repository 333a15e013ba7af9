//! Tokens that stand for a person: they open what the person may open now, as the forge has lately confirmed it.

use super::Front;
use super::error::Problem;
use crate::domain::Timestamp;
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::organization::{Member, MemberState, Role};

/// A membership that the forge has not confirmed for so long opens nothing more.
const UNCONFIRMED_MS_MAX: i64 = 60 * 60 * 1000;

/// Whether a role carries a token of this kind. Roles go down as well as up, so it is asked each time.
pub(super) const fn carries(role: Option<Role>, kind: TokenKind) -> bool {
    match (role, kind) {
        (Some(Role::Admin), _) | (Some(Role::Member), TokenKind::Ci | TokenKind::Read) => true,
        (Some(Role::ReadOnly), TokenKind::Read) => true,
        (Some(Role::Member | Role::ReadOnly), _) | (None, _) => false,
    }
}

/// Refuses a token whose person does not belong any more, waits for the forge's word, or may no longer do so much.
pub(super) async fn check(front: &Front, token: &TokenRecord) -> Result<(), Problem> {
    let Some(id) = &token.member else { return Ok(()) };
    let invalid = || Problem::unauthorized("token-invalid", "the token is not known here");
    let member = front.store.member(id).await?.ok_or_else(invalid)?;
    if member.state != MemberState::Active || member.organization != token.organization {
        return Err(invalid());
    }
    if !carries(member.role, token.kind) {
        return Err(Problem::forbidden());
    }
    let confirmed = confirmed_at(front, &member).await?;
    if confirmed.is_some_and(|at| front.now().since(at) <= UNCONFIRMED_MS_MAX) {
        return Ok(());
    }
    Err(Problem::unauthorized("member-unconfirmed", "the forge has not confirmed the membership for an hour")
        .help("look at the connection: scm-connect connections show"))
}

/// When the forge last said that the person belongs: by themselves, or in a list that left them as they were.
pub(super) async fn confirmed_at(front: &Front, member: &Member) -> Result<Option<Timestamp>, Problem> {
    let source = front.store.connection(&member.source).await?;
    Ok(member.last_confirmed_at.max(source.and_then(|source| source.members_read_at)))
}
