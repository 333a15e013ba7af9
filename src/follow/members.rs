//! Who belongs: the whole list.

use std::collections::{BTreeMap, BTreeSet};

use super::read::read_whole;
use super::{Follower, MembersSynced, Mode, STEPS_MAX, SyncError, Whose};
use crate::domain::Timestamp;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::{RecordKey, Versioned};
use crate::domain::organization::{Member, MemberState, Role};
use crate::domain::roster::{
    BRAKE, Hold, HoldState, Kept, Plan, Roster, Step, Subject, Weighed, What, Why, plan, plan_one,
};
use crate::handler::{Ground, carry_out};
use crate::provider::Directory;
use crate::telemetry::metric::{Metric, Value, count};
use crate::telemetry::{Fault, report};

/// People whose membership is read singly in one sync, because of doubts; the next one goes on.
const DOUBTS_MAX: usize = 50;
const WHY: &str = "the list of members";

/// The members before, by number.
type Members = BTreeMap<u64, Versioned<Member>>;

impl Follower {
    /// Reads the account's members whole, and makes the organization's members the same, as far as the brake lets it.
    ///
    /// # Errors
    /// When the forge or the store does not let it come to its end. Nobody is put out by what was read so far.
    pub async fn members(
        &self,
        directory: &dyn Directory,
        whose: Whose<'_>,
        mode: Mode,
    ) -> Result<MembersSynced, SyncError> {
        let key = &whose.connection.key;
        let rules = &whose.organization.members;
        let account = directory.account().await?;
        let subject = match mode {
            Mode::Apply => Subject::People,
            Mode::DryRun => Subject::PeopleShown,
        };
        let lists = directory.lists(subject, rules);
        let reading = self.whole(directory, key, subject, &lists).await?;
        let pages = self.pages(key, subject, &reading).await?;
        let Ok(roster) = Roster::of(&reading, pages) else {
            self.forget(key, subject).await?;
            return Err(SyncError::Lost);
        };
        let members = self.members_of(whose).await?;
        let recent = put_out_lately(&members, self.now());
        let mut plan = plan(&roster, members.iter().map(|found| &found.value), rules, self.now());
        let members: Members = members.into_iter().map(|found| (found.value.external_id, found)).collect();
        if mode == Mode::Apply {
            self.resolve(directory, whose, &members, &mut plan).await?;
        }
        let before = self.store.hold(&whose.organization.slug).await?;
        let of = (&whose.organization.slug, key);
        let weighed = BRAKE.part(&plan, of, before.as_ref().map(|found| &found.value), recent, self.now());
        let mut synced = MembersSynced {
            pages: reading.pages(),
            done: weighed.steps.len(),
            hold: weighed.hold.clone(),
            plan,
            ..MembersSynced::default()
        };
        if mode == Mode::DryRun {
            self.forget(key, subject).await?;
            return Ok(synced);
        }
        self.keep_hold(whose, before, &weighed).await?;
        let steps = self.ask_again(directory, whose, weighed.steps, &members, &mut synced).await?;
        self.carry_out(whose, &steps, &members, &mut synced).await?;
        tell_kept(&synced.plan, whose);
        let (began_at, is_settled) = (roster.began_at(), synced.left == 0);
        let read_before = whose.connection.members_read_at;
        let is_unheard = self.is_unheard(read_before, synced.has_news(whose.connection)).await?;
        self.note(key, |connection| {
            read_whole(connection, &account, subject, began_at, is_settled, self.now());
            if is_unheard {
                connection.health.unheard_at = Some(self.now());
            }
        })
        .await?;
        self.forget(key, subject).await?;
        Ok(synced)
    }

    /// Writes what waits for a person from now on, with a line in the audit log when it is something new.
    async fn keep_hold(
        &self,
        whose: Whose<'_>,
        before: Option<Versioned<Hold>>,
        weighed: &Weighed,
    ) -> Result<(), SyncError> {
        let slug = &whose.organization.slug;
        let version = before.as_ref().map_or(0, |found| found.version);
        let before = before.map(|found| found.value);
        if before == weighed.hold {
            return Ok(());
        }
        let (change, action, count) = match &weighed.hold {
            Some(hold) => (Change::PutHold(Box::new(hold.clone())), "members.held", hold.people.len()),
            None => (Change::DropHold(slug.clone()), "members.hold-ended", 0),
        };
        let entry = AuditEntry {
            at: self.now(),
            organization: Some(slug.clone()),
            actor: "sync".into(),
            action: action.into(),
            subject: whose.connection.key.to_string(),
            before: before.map(|hold| format!("{} waited", hold.people.len())),
            after: Some(format!("{count} wait")),
            why: Some(WHY.into()),
            ..AuditEntry::default()
        };
        if count > 0 {
            report!(
                Fault::RemovalsHeld,
                organization = slug.as_str(),
                people = count,
                "too many would be put out at once; they wait for an admin's yes"
            );
        }
        // If somebody has decided meanwhile, their word counts, and the next sync heeds it.
        let expects = vec![(RecordKey::Hold(slug.clone()), version)];
        self.store.apply(vec![change, Change::Audit(entry)], expects).await?;
        Ok(())
    }

    /// Everybody about whom there are doubts is asked about singly; what follows is weighed with the rest of the plan.
    async fn resolve(
        &self,
        directory: &dyn Directory,
        whose: Whose<'_>,
        members: &Members,
        plan: &mut Plan,
    ) -> Result<(), SyncError> {
        let mut admins = admins_then(&plan.steps, members);
        for id in plan.doubtful().take(DOUBTS_MAX).collect::<Vec<u64>>() {
            let login = plan.kept.iter().find(|(of, ..)| *of == id).map(|(_, login, _)| login.clone());
            let login = login.unwrap_or_default();
            let again = self.asked(directory, whose, (id, &login), members, &admins).await?;
            if again.as_ref().is_some_and(|step| step.what.takes_admin()) {
                // Whoever is asked about next is not kept company by them.
                admins.remove(&id);
            }
            plan.steps.extend(again);
        }
        plan.steps.sort_by_key(|step| step.id);
        Ok(())
    }

    /// Whoever is missing in the list is asked about singly.
    async fn ask_again(
        &self,
        directory: &dyn Directory,
        whose: Whose<'_>,
        steps: Vec<Step>,
        members: &Members,
        synced: &mut MembersSynced,
    ) -> Result<Vec<Step>, SyncError> {
        let admins = admins_then(&steps, members);
        let mut sure = Vec::with_capacity(steps.len());
        let asked: BTreeSet<u64> = synced.plan.doubtful().collect();
        for step in steps {
            if asked.contains(&step.id) || !matches!(step.what, What::Remove { why: Why::Left, .. }) {
                sure.push(step);
                continue;
            }
            let again = self.asked(directory, whose, (step.id, &step.login), members, &admins).await?;
            let is_gone = again.as_ref().is_some_and(|again| matches!(again.what, What::Remove { .. }));
            synced.still_there = synced.still_there.saturating_add(usize::from(!is_gone));
            sure.extend(again);
        }
        Ok(sure)
    }

    /// What is to be done about one person, read just now.
    async fn asked(
        &self,
        directory: &dyn Directory,
        whose: Whose<'_>,
        (id, login): (u64, &str),
        members: &Members,
        admins: &BTreeSet<u64>,
    ) -> Result<Option<Step>, SyncError> {
        let rules = &whose.organization.members;
        let found = directory.person(id, login, rules).await?;
        let member = members.get(&id).map(|found| &found.value);
        let others = admins.iter().any(|other| *other != id);
        let plan = plan_one(id, found.as_ref(), member, rules, others, self.now());
        Ok(plan.steps.into_iter().next())
    }

    /// Does the steps: those that put nobody out many at a time, each removal in an act of its own.
    async fn carry_out(
        &self,
        whose: Whose<'_>,
        steps: &[Step],
        members: &Members,
        synced: &mut MembersSynced,
    ) -> Result<(), SyncError> {
        synced.done = 0;
        let goes_out = |step: &&Step| matches!(step.what, What::Remove { .. });
        let (out, rest): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(goes_out);
        for chunk in rest.chunks(STEPS_MAX).chain(out.chunks(1)) {
            // An admin goes only when nobody is missing who was to be one from now on.
            let takes_admin =
                |step: &&Step| matches!(step.what, What::Remove { from: Some(Role::Admin), .. });
            if synced.left > 0 && chunk.iter().any(takes_admin) {
                synced.left = synced.left.saturating_add(chunk.len());
                continue;
            }
            if self.act(whose, chunk, members).await? {
                synced.did(chunk);
                continue;
            }
            // Somebody has written one of them since they were read: the others go on alone.
            for step in chunk {
                if self.act(whose, &[*step], members).await? {
                    synced.did(&[*step]);
                } else {
                    synced.left = synced.left.saturating_add(1);
                }
            }
        }
        Ok(())
    }

    async fn act(&self, whose: Whose<'_>, steps: &[&Step], members: &Members) -> Result<bool, SyncError> {
        let ground = Ground {
            organization: &whose.organization.slug,
            host: &whose.connection.host,
            connection: &whose.connection.key,
            why: WHY,
            now: self.now(),
        };
        let (mut changes, mut expects) = (Vec::new(), Vec::new());
        for step in steps {
            let (new, expected) = carry_out(step, members.get(&step.id), &ground);
            changes.extend(new);
            expects.push(expected);
        }
        Ok(self.store.apply(changes, expects).await?)
    }
}

/// Who may decide everything once these steps are done.
fn admins_then(steps: &[Step], members: &Members) -> BTreeSet<u64> {
    let now = members.values().filter(|found| found.value.is_admin()).map(|found| found.value.external_id);
    let mut admins: BTreeSet<u64> = now.collect();
    for step in steps {
        match step.what {
            What::Join { role: Role::Admin } | What::ChangeRole { to: Role::Admin, .. } => {
                admins.insert(step.id);
            }
            What::ChangeRole { .. } | What::Remove { .. } => {
                admins.remove(&step.id);
            }
            _ => {}
        }
    }
    admins
}

/// How many were put out within the brake's time.
pub(super) fn put_out_lately(members: &[Versioned<Member>], now: Timestamp) -> u64 {
    let lately = |member: &Member| {
        member.state == MemberState::Removed
            && member.role.is_some()
            && member.removed_at.is_some_and(|at| now.since(at) < BRAKE.window_ms)
    };
    members.iter().filter(|found| lately(&found.value)).count() as u64
}

fn tell_kept(plan: &Plan, whose: Whose<'_>) {
    for (_, login, _) in plan.kept.iter().filter(|(_, _, kept)| *kept == Kept::LastAdmin) {
        report!(
            Fault::LastAdminKept,
            organization = whose.organization.slug.as_str(),
            login,
            "the forge no longer has the last admin as one; they stay until there is another"
        );
    }
}

impl MembersSynced {
    /// Counts steps that were done. What an event told of is no drift: there were doubts about it, or nothing to be done.
    fn did(&mut self, steps: &[&Step]) {
        self.done = self.done.saturating_add(steps.len());
        let told: BTreeSet<u64> = self.plan.doubtful().collect();
        let drifted = steps.iter().filter(|step| step.what != What::Confirm && !told.contains(&step.id));
        count(Metric::ReconcileDrift, &[Value::Word("member")], drifted.count() as u64);
    }

    /// Whether somebody has to decide.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.state == HoldState::Waiting)
    }
}
