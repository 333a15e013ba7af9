//! Who belongs. Only the organization's authority may say so; letting in needs the forge's own word, which no
//! payload is, so a joiner is `pending`. Who is said to have left is out at once: an admin until the forge is asked.

use super::work::Work;
use crate::domain::change::Reason;
use crate::domain::event::Person;
use crate::domain::organization::{Member, MemberState};

/// Whether the event may speak about the organization's members.
enum Say {
    /// It is about the authority's own account.
    Whole,
    /// It is about a group below it: nobody's membership, but the list may be out of date.
    Below,
    /// Another connection manages the members, or none.
    None,
}

fn say(work: &mut Work<'_>) -> Say {
    if !work.is_authority() {
        work.ignore(Reason::NoAuthority);
        return Say::None;
    }
    match (work.connection.account.external_id, work.event.about.group) {
        (Some(own), Some(told)) if own != told => {
            work.mark_roster_stale();
            work.apply();
            Say::Below
        }
        _ => Say::Whole,
    }
}

pub(super) fn joined(work: &mut Work<'_>, person: &Person) {
    if matches!(say(work), Say::Whole) {
        admit(work, person, "member.joined");
    }
}

pub(super) fn changed(work: &mut Work<'_>, person: &Person) {
    if matches!(say(work), Say::Whole) {
        admit(work, person, "member.changed");
    }
}

pub(super) fn invited(work: &mut Work<'_>, person: Option<&Person>) {
    if !matches!(say(work), Say::Whole) {
        return;
    }
    match person {
        Some(person) => admit(work, person, "member.invited"),
        None => {
            work.apply();
            work.mark_roster_stale();
            work.audit("member.invited", work.connection.key.to_string(), "by e-mail: nobody is named");
        }
    }
}

/// To be confirmed. Never grants: an active member stays one, a frozen one stays frozen, everybody else waits without a
/// role.
fn admit(work: &mut Work<'_>, person: &Person, action: &str) {
    if person.bot {
        return work.apply();
    }
    let known = work.known.member(person.id);
    let at = work.at();
    if known.and_then(|member| member.seen_at).is_some_and(|seen| at < seen) {
        return work.supersede(format!("a newer statement about {} was applied", person.login));
    }
    let mut member = known.cloned().unwrap_or_else(|| stranger(work, person));
    let was = known.map(|member| member.state);
    rename(&mut member, &person.login);
    if was != Some(MemberState::Active) && !member.is_frozen() {
        member.state = MemberState::Pending;
        member.role = None;
        "forge".clone_into(&mut member.role_source);
        member.removed_at = None;
        member.source = work.connection.key.clone();
    }
    member.seen_at = Some(at);
    work.doubt(person.id);
    if was != Some(member.state) {
        work.audit(action, subject(person), "pending until the forge confirms it");
    }
    work.put_member(member);
}

pub(super) fn removed(work: &mut Work<'_>, person: Option<&Person>) {
    if !matches!(say(work), Say::Whole) {
        return;
    }
    let Some(person) = person else {
        // Whoever it was: an organization is never emptied by a body that names nobody.
        work.apply();
        work.mark_roster_stale();
        let detail = "the forge names nobody: the list is to be read again";
        return work.audit("member.removed", work.connection.key.to_string(), detail);
    };
    let known = work.known.member(person.id);
    if person.bot && known.is_none() {
        return work.apply();
    }
    let at = work.at();
    work.doubt(person.id);
    if known.and_then(|member| member.seen_at).is_some_and(|seen| at < seen) {
        return work.supersede(format!("a newer statement about {} was applied", person.login));
    }
    let mut member = known.cloned().unwrap_or_else(|| stranger(work, person));
    rename(&mut member, &person.login);
    leave(work, member, known.is_some());
}

/// What becomes of somebody who is said to be gone. `is_known`: they were recorded before.
pub(super) fn leave(work: &mut Work<'_>, member: Member, is_known: bool) {
    let belongs = is_known && member.state != MemberState::Removed;
    if member.is_break_glass() {
        work.apply();
        work.audit("member.kept", named(&member), "the config file names them, and no event takes that away");
    } else if belongs && work.known.replay_suspected {
        // Perhaps the same bytes are true again, perhaps somebody sends them again.
        freeze(work, member, "the same removal came before: frozen until the forge confirms it");
    } else if belongs && member.was_admin() {
        // One event does not decide whether anybody is left to decide.
        freeze(work, member, "an admin: frozen until the forge confirms it");
    } else {
        take_out(work, member);
    }
}

/// Nothing is open for the person until the forge has been asked.
fn freeze(work: &mut Work<'_>, mut member: Member, why: &str) {
    if member.state == MemberState::Active {
        work.audit("member.frozen", named(&member), why);
    }
    member.state = MemberState::Pending;
    member.seen_at = member.seen_at.max(Some(work.at()));
    work.put_member(member);
}

/// Out, now. The record stays so that history has a name.
fn take_out(work: &mut Work<'_>, mut member: Member) {
    let at = work.at();
    if member.state != MemberState::Removed {
        work.audit("member.removed", named(&member), "");
    }
    if member.state != MemberState::Removed || member.removed_at.is_none() {
        member.removed_at = Some(at);
    }
    member.state = MemberState::Removed;
    member.seen_at = member.seen_at.max(Some(at));
    work.put_member(member);
}

pub(super) fn team_changed(work: &mut Work<'_>) {
    if matches!(say(work), Say::Whole) {
        work.apply();
        work.mark_roster_stale();
    }
}

fn stranger(work: &Work<'_>, person: &Person) -> Member {
    let connection = &work.connection;
    Member {
        organization: connection.organization.clone(),
        host: connection.host.clone(),
        external_id: person.id,
        login: person.login.clone(),
        previous_logins: Vec::new(),
        role: None,
        role_source: "forge".to_owned(),
        state: MemberState::Pending,
        source: connection.key.clone(),
        seen_at: None,
        last_confirmed_at: None,
        removed_at: None,
    }
}

/// Takes a person's new name, keeping the old one.
pub(super) fn rename(member: &mut Member, to: &str) {
    if to.is_empty() || member.login == to {
        return;
    }
    let old = std::mem::replace(&mut member.login, to.to_owned());
    remember(member, &old);
}

/// Adds a name of before, newest first, once.
pub(super) fn remember(member: &mut Member, old: &str) {
    member.previous_logins.retain(|login| login != old && *login != member.login);
    if !old.is_empty() && old != member.login {
        member.previous_logins.insert(0, old.to_owned());
    }
    member.previous_logins.truncate(16);
}

fn named(member: &Member) -> String {
    format!("{} ({})", member.login, member.external_id)
}

pub(super) fn subject(person: &Person) -> String {
    format!("{} ({})", person.login, person.id)
}
