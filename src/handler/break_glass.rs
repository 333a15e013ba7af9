//! The admin whom the operator's file names, and what becomes of them when it does so no more.

use super::membership::rename;
use super::roster::standing;
use crate::domain::break_glass::BreakGlass;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::organization::{BREAK_GLASS, Connection, Member, MemberState, Role};
use crate::domain::task::{TaskKind, Wish};
use crate::domain::{ConnectionKey, OrganizationSlug, Timestamp};

/// Makes the person an admin of the organization. Nothing, when they are it already.
pub(super) fn raise(
    organization: &OrganizationSlug,
    wanted: &BreakGlass,
    known: Option<&Member>,
    now: Timestamp,
) -> Vec<Change> {
    let stranger = || Member {
        organization: organization.clone(),
        host: wanted.host.clone(),
        external_id: wanted.external_id,
        login: wanted.login.clone(),
        previous_logins: Vec::new(),
        role: None,
        role_source: "forge".to_owned(),
        state: MemberState::Pending,
        source: ConnectionKey::of_file(),
        seen_at: None,
        last_confirmed_at: None,
        removed_at: None,
    };
    let mut new = known.cloned().unwrap_or_else(stranger);
    if new.last_confirmed_at.is_none() {
        rename(&mut new, &wanted.login);
    }
    new.state = MemberState::Active;
    new.role = Some(Role::Admin);
    new.removed_at = None;
    BREAK_GLASS.clone_into(&mut new.role_source);
    if known == Some(&new) {
        return Vec::new();
    }
    let line = line(known, &new, "member.break-glass", "the config file names them", now);
    vec![Change::PutMember(Box::new(new)), line]
}

/// Takes the standing back. Whom the authority's forge may know waits, without a role, for its word; everybody else is out
/// with all that they could come in with.
pub(super) fn lower(known: &Member, authority: Option<&Connection>, now: Timestamp) -> Vec<Change> {
    if !known.is_break_glass() {
        return Vec::new();
    }
    let mut new = Member { role: None, role_source: "forge".to_owned(), ..known.clone() };
    let asks = |it: &&Connection| it.host == known.host && it.credential != "none" && !it.is_off();
    let mut changes = match authority.filter(asks) {
        Some(authority) => {
            new.state = MemberState::Pending;
            let wish = Wish::now(TaskKind::SyncPerson, &known.organization, &authority.key, "config", now);
            vec![Change::Wish(Box::new(Wish { subject: known.external_id.to_string(), ..wish }))]
        }
        None => {
            new.state = MemberState::Removed;
            new.removed_at = Some(now);
            vec![Change::EndAccess(known.id(), now)]
        }
    };
    changes.push(line(
        Some(known),
        &new,
        "member.break-glass-ended",
        "the config file names them no more",
        now,
    ));
    changes.push(Change::PutMember(Box::new(new)));
    changes
}

fn line(before: Option<&Member>, after: &Member, action: &str, why: &str, now: Timestamp) -> Change {
    Change::Audit(AuditEntry {
        at: now,
        organization: Some(after.organization.clone()),
        actor: "config".to_owned(),
        action: action.to_owned(),
        subject: format!("{} ({})", after.login, after.external_id),
        before: before.map(standing),
        after: Some(standing(after)),
        why: Some(why.to_owned()),
        ..AuditEntry::default()
    })
}
