//! What has to change so that the members are those of the roster: plain data, to be shown, weighed and done.

use std::iter::Peekable;

use serde::{Deserialize, Serialize};

use super::{Entry, HeldPerson, MemberRules, RoleMap, Roster, Standing};
use crate::domain::Timestamp;
use crate::domain::organization::{Member, MemberState, Role};

/// A statement this much older than the beginning of a reading may still be newer than what was read: the forge's
/// clock is not ours.
const DOUBT_MS: i64 = 10 * 60 * 1000;
/// A confirmation is written down anew when it is as old as this; every hour would be a write for every member.
const CONFIRM_MS: i64 = 6 * 60 * 60 * 1000;

/// Why somebody is put out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The forge does not list the person any more.
    Left,
    /// The person's place at the forge gives no role here.
    NoRole,
}

/// What is to be done about a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Let in.
    Join {
        /// As what.
        role: Role,
    },
    /// Give another role.
    ChangeRole {
        /// The role before.
        from: Option<Role>,
        /// The role from now on.
        to: Role,
    },
    /// Note the new name.
    Rename,
    /// Note that the person is invited: without any right.
    Invite,
    /// Note that the forge still says so.
    Confirm,
    /// Give back what an event has frozen: the person is not put out yet.
    Restore,
    /// Put out.
    Remove {
        /// Because of what.
        why: Why,
        /// The role before.
        from: Option<Role>,
    },
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The person's number.
    pub id: u64,
    /// The person's name today.
    pub login: String,
    /// What is to be done.
    pub what: What,
}

impl What {
    /// Whether an admin is none any more.
    #[must_use]
    pub const fn takes_admin(&self) -> bool {
        matches!(
            self,
            Self::Remove { from: Some(Role::Admin), .. } | Self::ChangeRole { from: Some(Role::Admin), .. }
        )
    }
}

impl Step {
    /// Whether it takes a role away for good. Who only waits to be let in loses none.
    #[must_use]
    pub const fn is_removal(&self) -> bool {
        matches!(self.what, What::Remove { from: Some(_), .. })
    }
}

/// Why somebody is left as they are, though the roster says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Nobody would be left to decide anything.
    LastAdmin,
    /// A person has set the role by hand; the forge would give this one.
    Pinned(Option<Role>),
    /// The operator's file names them.
    BreakGlass,
    /// Something was told of the person while the lists were read.
    NewerStatement,
    /// The lists contradict each other about the person.
    Contradiction,
    /// The forge counts more rows than it gave, so nobody is put out.
    CountsDiffer,
}

/// The difference between who belongs and who is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is to be done, by number.
    pub steps: Vec<Step>,
    /// Who is left as they are, with the name and the reason.
    pub kept: Vec<(u64, String, Kept)>,
    /// Active members before.
    pub managed: u64,
    /// People in the roster.
    pub listed: u64,
}

impl Plan {
    /// Whose membership has to be read singly before anything is said of it.
    pub fn doubtful(&self) -> impl Iterator<Item = u64> {
        let unclear = |kept: &Kept| matches!(kept, Kept::NewerStatement | Kept::Contradiction);
        self.kept.iter().filter(move |(_, _, kept)| unclear(kept)).map(|(id, ..)| *id)
    }

    /// The one who stays because nobody else could decide.
    #[must_use]
    pub fn last_admin(&self) -> Option<HeldPerson> {
        let last = self.kept.iter().find(|(_, _, kept)| *kept == Kept::LastAdmin);
        last.map(|(id, login, _)| HeldPerson { id: *id, login: login.clone(), role: Some(Role::Admin) })
    }

    /// The steps that take a role away.
    pub fn removals(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.is_removal())
    }
}

/// What is decided about one person.
enum Decision {
    Do(What),
    Keep(Kept),
    Nothing,
}

/// Compares a roster with the members recorded for its forge, given by rising number.
#[must_use]
pub fn plan<'a>(
    roster: &Roster,
    members: impl IntoIterator<Item = &'a Member>,
    rules: &MemberRules,
    now: Timestamp,
) -> Plan {
    let mut listed = roster.people().iter().peekable();
    let mut members = members.into_iter().peekable();
    let mut plan = Plan { listed: roster.people().len() as u64, ..Plan::default() };
    let mut admins = Admins::default();
    while let Some((id, entry, member)) = pair(&mut listed, &mut members) {
        if member.is_some_and(|member| member.state == MemberState::Active) {
            plan.managed = plan.managed.saturating_add(1);
        }
        let decision = if is_doubtful(roster, member) {
            match entry {
                None if member.is_none_or(|member| member.state == MemberState::Removed) => Decision::Nothing,
                _ => Decision::Keep(Kept::NewerStatement),
            }
        } else {
            decide(entry, member, rules, now)
        };
        let decision = match decision {
            Decision::Do(_) if was_settled(roster, member, now) => Decision::Keep(Kept::NewerStatement),
            Decision::Do(What::Remove { why: Why::Left, .. }) if !roster.counts_agree() => {
                Decision::Keep(Kept::CountsDiffer)
            }
            decision => decision,
        };
        admins.note(member, &decision);
        if matches!(decision, Decision::Keep(Kept::Pinned(_) | Kept::BreakGlass)) && entry.is_some() {
            // Another role than the forge's is no doubt about who is there.
            plan.note(id, entry, member, confirm(member, entry, now));
        }
        plan.note(id, entry, member, decision);
    }
    if admins.none_is_left() {
        plan.keep_an_admin();
    }
    plan
}

/// The same for one person, whose membership was read just now. `others`: whether another active admin is there.
#[must_use]
pub fn plan_one(
    id: u64,
    found: Option<&Entry>,
    member: Option<&Member>,
    rules: &MemberRules,
    others: bool,
    now: Timestamp,
) -> Plan {
    let is_active = member.is_some_and(|member| member.state == MemberState::Active);
    let mut plan =
        Plan { managed: u64::from(is_active), listed: u64::from(found.is_some()), ..Plan::default() };
    let decision = match decide(found, member, rules, now) {
        // Read by itself it is no contradiction: the higher place counts.
        Decision::Keep(Kept::Contradiction) => by_role(wanted(found, rules), member, found, now),
        // Whoever asked wants to know when.
        Decision::Nothing | Decision::Keep(Kept::Pinned(_)) if is_active => {
            match confirm(member, found, now) {
                Decision::Nothing => Decision::Do(What::Confirm),
                decision => decision,
            }
        }
        decision => decision,
    };
    let mut admins = Admins::default();
    admins.note(member, &decision);
    plan.note(id, found, member, decision);
    if admins.none_is_left() && !others {
        plan.keep_an_admin();
    }
    plan
}

type Pair<'r, 'm> = (u64, Option<&'r Entry>, Option<&'m Member>);

/// The next number of either side, with what each has under it.
fn pair<'r, 'm>(
    listed: &mut Peekable<impl Iterator<Item = (&'r u64, &'r Entry)>>,
    members: &mut Peekable<impl Iterator<Item = &'m Member>>,
) -> Option<Pair<'r, 'm>> {
    let (left, right) = (listed.peek().map(|(id, _)| **id), members.peek().map(|member| member.external_id));
    let id = match (left, right) {
        (Some(left), Some(right)) => left.min(right),
        (left, right) => left.or(right)?,
    };
    let entry = (left == Some(id)).then(|| listed.next()).flatten().map(|(_, entry)| entry);
    let member = (right == Some(id)).then(|| members.next()).flatten();
    Some((id, entry, member))
}

fn is_doubtful(roster: &Roster, member: Option<&Member>) -> bool {
    let since = roster.began_at().plus_ms(DOUBT_MS.saturating_neg());
    member.and_then(|member| member.seen_at).is_some_and(|seen| seen >= since)
}

/// Whether the person was read singly, and let in or put out by that, since the reading began.
fn was_settled(roster: &Roster, member: Option<&Member>, now: Timestamp) -> bool {
    let stamps = member.map(|member| [member.last_confirmed_at, member.removed_at]);
    // What lies ahead was written by a clock that has been set back, and says nothing.
    stamps.into_iter().flatten().flatten().any(|at| at > roster.began_at() && at <= now)
}

fn wanted(entry: Option<&Entry>, rules: &MemberRules) -> Option<Role> {
    let standings = entry.map(|entry| entry.standings.as_slice()).unwrap_or_default();
    standings.iter().fold(None, |role, standing| RoleMap::higher(role, rules.roles.role(*standing)))
}

fn decide(entry: Option<&Entry>, member: Option<&Member>, rules: &MemberRules, now: Timestamp) -> Decision {
    if let Some(member) = member.filter(|member| member.is_break_glass()) {
        return match wanted(entry, rules) {
            Some(Role::Admin) => stay(member, entry, now),
            _ => Decision::Keep(Kept::BreakGlass),
        };
    }
    let state = member.map(|member| member.state);
    let Some(entry) = entry else {
        return match (state, member) {
            (Some(MemberState::Active | MemberState::Pending), Some(member)) => {
                Decision::Do(What::Remove { why: Why::Left, from: member.role })
            }
            _ => Decision::Nothing,
        };
    };
    let has = |standing| entry.standings.contains(&standing);
    if has(Standing::Owner) && has(Standing::Member) {
        return Decision::Keep(Kept::Contradiction);
    }
    if entry.standings.iter().all(|standing| *standing == Standing::Invited) {
        return match state {
            Some(MemberState::Active) => Decision::Keep(Kept::Contradiction),
            Some(MemberState::Pending) if member.is_some_and(Member::is_frozen) => {
                Decision::Keep(Kept::Contradiction)
            }
            Some(MemberState::Pending) => Decision::Nothing,
            Some(MemberState::Removed) | None => Decision::Do(What::Invite),
        };
    }
    by_role(wanted(Some(entry), rules), member, Some(entry), now)
}

/// What follows of the role that the forge's word gives.
fn by_role(wanted: Option<Role>, member: Option<&Member>, entry: Option<&Entry>, now: Timestamp) -> Decision {
    let active = member.filter(|member| member.state == MemberState::Active);
    let is_pending = member.is_some_and(|member| member.state == MemberState::Pending);
    match (wanted, active) {
        (None, Some(member)) => Decision::Do(What::Remove { why: Why::NoRole, from: member.role }),
        (None, None) if is_pending => {
            let from = member.and_then(|member| member.role);
            Decision::Do(What::Remove { why: Why::NoRole, from })
        }
        (None, None) => Decision::Nothing,
        (Some(role), None) => Decision::Do(come_back(member, role)),
        (Some(role), Some(member)) if member.is_pinned() => match member.role == Some(role) {
            false => Decision::Keep(Kept::Pinned(Some(role))),
            true => stay(member, entry, now),
        },
        (Some(role), Some(member)) if member.role != Some(role) => {
            Decision::Do(What::ChangeRole { from: member.role, to: role })
        }
        (Some(_), Some(member)) => stay(member, entry, now),
    }
}

/// Who is let in is what the forge says. Who was frozen loses or gets a role by that, or is what they were.
fn come_back(member: Option<&Member>, role: Role) -> What {
    match member.filter(|member| member.is_frozen()) {
        Some(frozen) if frozen.is_pinned() => What::Join { role: frozen.role.unwrap_or(role) },
        Some(frozen) if frozen.role != Some(role) => What::ChangeRole { from: frozen.role, to: role },
        _ => What::Join { role },
    }
}

fn confirm(member: Option<&Member>, entry: Option<&Entry>, now: Timestamp) -> Decision {
    member.map_or(Decision::Nothing, |member| stay(member, entry, now))
}

fn stay(member: &Member, entry: Option<&Entry>, now: Timestamp) -> Decision {
    let is_fresh = |at: Timestamp| (0..CONFIRM_MS).contains(&now.since(at));
    let is_old = !member.last_confirmed_at.is_some_and(is_fresh);
    if entry.is_some_and(|entry| entry.login != member.login) {
        Decision::Do(What::Rename)
    } else if is_old {
        Decision::Do(What::Confirm)
    } else {
        Decision::Nothing
    }
}

/// Counts who may decide, before and after.
#[derive(Debug, Default)]
struct Admins {
    before: u64,
    after: u64,
}

impl Admins {
    fn note(&mut self, member: Option<&Member>, decision: &Decision) {
        let was = member.is_some_and(Member::was_admin);
        let is = match decision {
            Decision::Do(What::Join { role } | What::ChangeRole { to: role, .. }) => *role == Role::Admin,
            Decision::Do(What::Remove { .. }) => false,
            // Whoever is frozen and left so decides nothing.
            _ => member.is_some_and(Member::is_admin),
        };
        self.before = self.before.saturating_add(u64::from(was));
        self.after = self.after.saturating_add(u64::from(is));
    }

    const fn none_is_left(&self) -> bool {
        self.before > 0 && self.after == 0
    }
}

impl Plan {
    fn note(&mut self, id: u64, entry: Option<&Entry>, member: Option<&Member>, decision: Decision) {
        let login = || {
            let names = [entry.map(|entry| &entry.login), member.map(|member| &member.login)];
            names.into_iter().flatten().next().cloned().unwrap_or_default()
        };
        match decision {
            Decision::Do(what) => self.steps.push(Step { id, login: login(), what }),
            Decision::Keep(kept) => self.kept.push((id, login(), kept)),
            Decision::Nothing => {}
        }
    }

    /// Takes back what would leave nobody to decide: for the one with the smallest number.
    fn keep_an_admin(&mut self) {
        if let Some(place) = self.steps.iter().position(|step| step.what.takes_admin()) {
            let step = self.steps.remove(place);
            self.kept.push((step.id, step.login, Kept::LastAdmin));
        }
    }
}
