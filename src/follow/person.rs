//! Who belongs: one person, read by themselves because of an event or because too much time has passed.

use super::members::put_out_lately;
use super::{Follower, SyncError, Whose};
use crate::domain::change::Change;
use crate::domain::known::Versioned;
use crate::domain::organization::{Member, MemberState};
use crate::domain::roster::{BRAKE, Pressure, Step, What, plan_one};
use crate::handler::{Ground, carry_out};
use crate::provider::Directory;

/// So often it is tried anew when the member changes while it is read.
const TRIES: u32 = 4;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonSynced {
    /// The member is as the forge says.
    Settled,
    /// The forge says the person is gone, and too many went lately: the whole list is to be read.
    Held,
    /// The member changed again and again meanwhile.
    Restless,
}

/// What the store knows of the others.
struct Others {
    has_admin: bool,
    managed: u64,
    recent: u64,
}

impl Follower {
    /// Reads one person's membership, and makes the member the same.
    ///
    /// # Errors
    /// When the forge does not answer or the store refuses: then the member stays as it is.
    pub async fn person(
        &self,
        directory: &dyn Directory,
        whose: Whose<'_>,
        id: u64,
        why: &str,
    ) -> Result<PersonSynced, SyncError> {
        for _ in 0..TRIES {
            let before = self.member(whose, id).await?;
            let login = before.as_ref().map(|found| found.value.login.clone()).unwrap_or_default();
            let rules = &whose.organization.members;
            let found = directory.person(id, &login, rules).await?;
            let member = before.as_ref().map(|found| &found.value);
            // Who cannot be the last admin need not be counted.
            let plan = plan_one(id, found.as_ref(), member, rules, true, self.now());
            let Some(step) = plan.steps.first() else { return self.ends_access(member).await };
            if takes_away(step, member) {
                let others = self.others(whose, id).await?;
                if !others.has_admin && member.is_some_and(Member::was_admin) {
                    return Ok(PersonSynced::Held);
                }
                let listed = others.managed.saturating_add(1);
                if BRAKE.weigh(1, others.recent, others.managed, listed) != Pressure::Free {
                    return Ok(PersonSynced::Held);
                }
            }
            if self.settle(whose, step, before.as_ref(), why).await? {
                return Ok(PersonSynced::Settled);
            }
        }
        Ok(PersonSynced::Restless)
    }

    async fn settle(
        &self,
        whose: Whose<'_>,
        step: &Step,
        before: Option<&Versioned<Member>>,
        why: &str,
    ) -> Result<bool, SyncError> {
        let ground = Ground {
            organization: &whose.organization.slug,
            host: &whose.connection.host,
            connection: &whose.connection.key,
            why,
            now: self.now(),
        };
        let (changes, expects) = carry_out(step, before, &ground);
        Ok(self.store.apply(changes, vec![expects]).await?)
    }

    /// An event has put the person out already, reversibly; now that the forge has confirmed it, what they could come
    /// in with ends for good.
    async fn ends_access(&self, member: Option<&Member>) -> Result<PersonSynced, SyncError> {
        if let Some(gone) = member.filter(|member| member.state == MemberState::Removed) {
            let ends = Change::EndAccess(gone.id(), self.now());
            self.store.apply(vec![ends], Vec::new()).await?;
        }
        Ok(PersonSynced::Settled)
    }

    async fn others(&self, whose: Whose<'_>, id: u64) -> Result<Others, SyncError> {
        let all = self.members_of(whose).await?;
        let is_active = |found: &&Versioned<Member>| found.value.state == MemberState::Active;
        Ok(Others {
            has_admin: all.iter().any(|found| found.value.is_admin() && found.value.external_id != id),
            managed: all.iter().filter(is_active).count() as u64,
            recent: put_out_lately(&all, self.now()),
        })
    }
}

/// Whether the step takes something away for good from who belongs, or did before an event: the membership, or the right
/// to decide.
fn takes_away(step: &Step, member: Option<&Member>) -> bool {
    let belongs = |member: &Member| member.state == MemberState::Active || member.is_frozen();
    match step.what {
        What::Remove { .. } => member.is_some_and(belongs),
        What::ChangeRole { .. } => member.is_some_and(Member::was_admin),
        _ => false,
    }
}
