//! What the steps of a plan change: the member's record, what the person could come in with, a line that says why.

use super::membership::rename;
use super::work::audit_entry_by;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{BREAK_GLASS, Member, MemberState, PINNED, Role};
use crate::domain::roster::{Step, What, Why};
use crate::domain::{ConnectionKey, Host, OrganizationSlug, Timestamp};

/// Where a plan is carried out, and because of what.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Whose members.
    pub organization: &'a OrganizationSlug,
    /// The forge that knows them.
    pub host: &'a Host,
    /// The connection that says so.
    pub connection: &'a ConnectionKey,
    /// What led to it, in a few words: `the list`, `an event`.
    pub why: &'a str,
    /// When.
    pub now: Timestamp,
}

/// What a step changes, and the version of the member that it stands on.
#[must_use]
pub fn carry_out(
    step: &Step,
    before: Option<&Versioned<Member>>,
    ground: &Ground<'_>,
) -> (Vec<Change>, (RecordKey, u64)) {
    let key = RecordKey::Member(ground.organization.clone(), ground.host.clone(), step.id);
    let expects = (key, before.map_or(0, |found| found.version));
    let old = before.map(|found| &found.value);
    let mut member = old.cloned().unwrap_or_else(|| stranger(step, ground));
    rename(&mut member, &step.login);
    member.source = ground.connection.clone();
    match step.what {
        What::Join { role } => {
            member.state = MemberState::Active;
            member.removed_at = None;
            let pinned = old.is_some_and(|old| old.state != MemberState::Removed && old.is_pinned());
            if !pinned {
                member.role = Some(role);
                "forge".clone_into(&mut member.role_source);
            }
        }
        What::ChangeRole { to, .. } => {
            member.state = MemberState::Active;
            member.role = Some(to);
        }
        What::Restore => member.state = MemberState::Active,
        What::Rename | What::Confirm => {}
        What::Invite => {
            member.state = MemberState::Pending;
            member.role = None;
            member.removed_at = None;
            "forge".clone_into(&mut member.role_source);
        }
        What::Remove { .. } => {
            member.state = MemberState::Removed;
            member.removed_at = member.removed_at.or(Some(ground.now));
            // A role that a person has set ends with the membership; the last one stays to be shown.
            "forge".clone_into(&mut member.role_source);
        }
    }
    let is_said = !matches!(step.what, What::Invite | What::Restore | What::Remove { why: Why::Left, .. });
    if is_said {
        member.last_confirmed_at = Some(ground.now);
    }
    let mut changes = Vec::new();
    if matches!(step.what, What::Remove { .. }) {
        changes.push(Change::EndAccess(member.id(), ground.now));
    }
    changes.extend(line(step, old, &member, ground).map(Change::Audit));
    changes.push(Change::PutMember(Box::new(member)));
    (changes, expects)
}

fn stranger(step: &Step, ground: &Ground<'_>) -> Member {
    Member {
        organization: ground.organization.clone(),
        host: ground.host.clone(),
        external_id: step.id,
        login: step.login.clone(),
        previous_logins: Vec::new(),
        role: None,
        role_source: "forge".to_owned(),
        state: MemberState::Pending,
        source: ground.connection.clone(),
        seen_at: None,
        last_confirmed_at: None,
        removed_at: None,
    }
}

fn line(step: &Step, old: Option<&Member>, new: &Member, ground: &Ground<'_>) -> Option<AuditEntry> {
    let action = match step.what {
        What::Join { .. } => "member.joined",
        What::ChangeRole { .. } => "member.role-changed",
        What::Rename => "member.renamed",
        What::Invite => "member.invited",
        What::Remove { .. } => "member.removed",
        What::Restore => "member.kept",
        What::Confirm => return None,
    };
    let why = match step.what {
        What::Remove { why: Why::Left, .. } => format!("{}: not there any more", ground.why),
        What::Remove { why: Why::NoRole, .. } => {
            format!("{}: the place there gives no role here", ground.why)
        }
        What::Restore => format!("{}: not there any more, and put out by nobody's yes yet", ground.why),
        _ => ground.why.to_owned(),
    };
    let subject = format!("{} ({})", new.login, new.external_id);
    let entry = audit_entry_by("sync", ground.now, Some(ground.organization), action, subject, "");
    Some(AuditEntry { before: old.map(standing), after: Some(standing(new)), why: Some(why), ..entry })
}

/// `active, admin (pinned), ada`.
pub(super) fn standing(member: &Member) -> String {
    let state = match member.state {
        MemberState::Pending => "pending",
        MemberState::Active => "active",
        MemberState::Removed => "removed",
    };
    let role = match member.role {
        Some(Role::Admin) => ", admin",
        Some(Role::Member) => ", member",
        Some(Role::ReadOnly) => ", read_only",
        None => "",
    };
    let by = match member.role_source.as_str() {
        PINNED => " (pinned)",
        BREAK_GLASS => " (break-glass)",
        _ => "",
    };
    format!("{state}{role}{by}, {}", member.login)
}
