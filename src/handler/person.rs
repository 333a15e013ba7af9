//! People at a forge, member or not. Only what an authority's forge says of a member changes one.

use super::membership::{leave, remember, rename, subject};
use super::work::Work;
use crate::domain::ConnectionKey;
use crate::domain::event::Person;
use crate::domain::organization::Member;

/// Nothing of ours depends on it yet, but somebody may look for it.
pub(super) fn noted(work: &mut Work<'_>, action: &str, person: &Person) {
    work.apply();
    work.audit(action, subject(person), "");
}

/// The person has taken back at the forge what lets us sign them in: what they came in with ends (e-60).
pub(super) fn logged_out(work: &mut Work<'_>, person: &Person) {
    noted(work, "person.authorization-revoked", person);
    // The same bytes came before: what the person came in with since then is not theirs to end. And what the operator's
    // file gives does not hang on the forge.
    let ends = |member: &&Member| !work.known.replay_suspected && !member.is_break_glass();
    if let Some(member) = work.known.member(person.id).filter(ends) {
        work.end_access(member);
    }
}

/// Whose key, never which.
pub(super) fn key_changed(work: &mut Work<'_>, login: &str, added: bool) {
    work.apply();
    work.audit(if added { "person.key-added" } else { "person.key-removed" }, login, "");
}

/// A name is a name whoever tells it: membership does not hang on it.
pub(super) fn renamed(work: &mut Work<'_>, person: &Person, from: &str) {
    work.audit("person.renamed", subject(person), &format!("before: {from}"));
    let Some(mut member) = work.known.member(person.id).cloned() else { return work.apply() };
    if member.seen_at.is_some_and(|seen| work.at() < seen) {
        work.supersede(format!("a newer statement about {} was applied", member.login));
        if !member.previous_logins.iter().any(|login| login == from) && member.login != from {
            member.previous_logins.push(from.to_owned());
            member.previous_logins.truncate(16);
            work.put_member(member);
        }
        return;
    }
    rename(&mut member, &person.login);
    remember(&mut member, from);
    work.put_member(member);
}

/// Gone from the forge, so gone from everything that follows this forge.
pub(super) fn deleted(work: &mut Work<'_>, person: &Person) {
    let known = work.known.member(person.id).cloned();
    let follows = |source: &ConnectionKey| work.is_authority() || *source == work.connection.key;
    match known {
        Some(member) if follows(&member.source) => {
            work.doubt(person.id);
            leave(work, member, true);
        }
        _ => noted(work, "person.deleted", person),
    }
}
