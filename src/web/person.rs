//! Tokens that stand for a person: they open what the person may open now, as the forge has lately confirmed it.

use super::Front;
use super::error::Problem;
use crate::domain::Timestamp;
use crate::domain::access::{TokenKind, TokenRecord};
use crate::domain::change::Change;
use crate::domain::organization::{Connection, Member, MemberState, Role};
use crate::follow::single;

/// Who comes in so long after the forge has last confirmed them is asked about anew.
const CONFIRMED_MS: i64 = 10 * 60 * 1000;
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

/// Refuses a token whose person does not belong any more, waits for the forge's word, or may no longer do so much. The
/// break-glass admin needs no forge's word.
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
    if member.is_break_glass() {
        return Ok(());
    }
    let source = front.store.connection(&member.source).await?;
    let read_at = source.as_ref().and_then(|source| source.members_read_at);
    let confirmations = [member.last_confirmed_at, read_at];
    // What a clock that was ahead has written down confirms nothing either.
    let confirmed_within = |ms: i64| {
        let lately = |at: Timestamp| front.now().since(at).checked_abs().is_some_and(|apart| apart <= ms);
        confirmations.into_iter().flatten().any(lately)
    };
    if !confirmed_within(CONFIRMED_MS) {
        ask_again(front, &member, source.as_ref()).await?;
    }
    if confirmed_within(UNCONFIRMED_MS_MAX) {
        return Ok(());
    }
    let confirmed = confirmations.into_iter().flatten().max();
    if source.is_some_and(|source| is_within_grace(&source, confirmed, front.now())) {
        return Ok(());
    }
    Err(Problem::unauthorized("member-unconfirmed", "the forge has not confirmed the membership for an hour")
        .help("look at the connection: scm-connect connections show"))
}

/// Of a connection that is off nobody can be confirmed, through no fault of theirs. Whoever was, when it went off, comes in
/// for a while longer (e-57, e-58).
fn is_within_grace(source: &Connection, confirmed: Option<Timestamp>, now: Timestamp) -> bool {
    let was_confirmed =
        confirmed.zip(source.off_since()).is_some_and(|(at, off)| off.since(at) <= UNCONFIRMED_MS_MAX);
    was_confirmed && source.access_ends_at().is_some_and(|end| now < end)
}

/// Has the person read by themselves. Whoever comes in often causes one such reading, not many: equal wishes are one task.
async fn ask_again(front: &Front, member: &Member, source: Option<&Connection>) -> Result<(), Problem> {
    if source.is_some_and(|source| source.credential != "none" && !source.is_off()) {
        let wish = single(member, "token", front.now());
        front.store.apply(vec![Change::Wish(Box::new(wish))], Vec::new()).await?;
    }
    Ok(())
}
