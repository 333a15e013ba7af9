//! The brake: a few may leave at once, many wait for a person's yes. A leaver should be fast; an outage, a wrong token
//! or a break-in at the forge should not empty the organization.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Plan, Step};
use crate::domain::organization::Role;
use crate::domain::{ConnectionKey, OrganizationSlug, Timestamp, id_of};

/// How much is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake {
    /// Fewer never wait.
    pub few: u64,
    /// More always wait.
    pub many: u64,
    /// So many parts of the whole; more than one of them waits.
    pub parts: u64,
    /// Removals by events within this time count with those of a list.
    pub window_ms: i64,
    /// A hold ends so long after it began; then everything is planned anew.
    pub hold_ms: i64,
}

/// The brake that is in force.
pub const BRAKE: Brake =
    Brake { few: 5, many: 10, parts: 4, window_ms: 10 * 60 * 1000, hold_ms: 24 * 60 * 60 * 1000 };

/// Whether removals may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// They may.
    Free,
    /// Somebody has to look.
    Held(HoldCause),
}

/// Why removals are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// The forge's list is empty.
    EmptyList,
    /// Too many at once.
    TooMany,
    /// Nobody else could decide anything.
    LastAdmin,
}

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Nobody has decided yet.
    Waiting,
    /// An admin said yes: these people may be put out until it expires.
    Approved,
    /// An admin said no: these people stay until it expires.
    Refused,
}

/// A person who waits to be put out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldPerson {
    /// The number at the forge.
    pub id: u64,
    /// The name.
    pub login: String,
    /// The role that ends.
    pub role: Option<Role>,
}

/// Removals that wait for a person. One per organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Whose members.
    pub organization: OrganizationSlug,
    /// The connection whose list says so.
    pub connection: ConnectionKey,
    /// Why.
    pub cause: HoldCause,
    /// Since when.
    pub since: Timestamp,
    /// From then on it counts no more.
    pub expires_at: Timestamp,
    /// Active members at the time.
    pub managed: u64,
    /// Who.
    pub people: Vec<HeldPerson>,
    /// Who stays beside them, whatever is decided, because nobody else could decide anything: they go as soon as
    /// somebody else can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_admin: Option<HeldPerson>,
    /// Where it stands.
    pub state: HoldState,
    /// Who decided.
    pub decided_by: Option<String>,
}

impl Hold {
    /// Names exactly these people: a yes to one list is no yes to another.
    #[must_use]
    pub fn id(&self) -> String {
        let numbers: Vec<String> = self.people.iter().map(|person| person.id.to_string()).collect();
        let since = self.since.ms().to_string();
        let mut parts = vec!["hold", self.organization.as_str(), since.as_str()];
        parts.extend(numbers.iter().map(String::as_str));
        id_of(&parts)
    }

    /// Whether it still counts.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Everybody whom the list does not have and who is here still.
    pub fn everybody(&self) -> impl Iterator<Item = &HeldPerson> {
        self.people.iter().chain(&self.last_admin)
    }

    fn numbers(&self) -> BTreeSet<u64> {
        self.people.iter().map(|person| person.id).collect()
    }
}

/// What of a plan is done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// These steps, in the plan's order.
    pub steps: Vec<Step>,
    /// The hold that is in force from now on; `None`: nothing is held.
    pub hold: Option<Hold>,
}

impl Brake {
    /// Whether so many may be put out at once. `recent`: how many were put out within [`Brake::window_ms`].
    #[must_use]
    pub const fn weigh(&self, removals: u64, recent: u64, managed: u64, listed: u64) -> Pressure {
        if removals == 0 {
            return Pressure::Free;
        }
        if listed == 0 {
            return Pressure::Held(HoldCause::EmptyList);
        }
        let (all, whole) = (removals.saturating_add(recent), managed.saturating_add(recent));
        let too_many = all > self.many || all.saturating_mul(self.parts) > whole;
        if all >= self.few && too_many { Pressure::Held(HoldCause::TooMany) } else { Pressure::Free }
    }

    /// Parts a plan into what is done now and what waits. What a person has decided before counts until it expires, for
    /// exactly the people it was decided about. The last admin is shown with what waits.
    #[must_use]
    pub fn part(
        &self,
        plan: &Plan,
        of: (&OrganizationSlug, &ConnectionKey),
        before: Option<&Hold>,
        recent: u64,
        now: Timestamp,
    ) -> Weighed {
        let before = before.filter(|hold| hold.is_live(now));
        let Weighed { steps, hold } = self.part_removals(plan, of, before, recent, now);
        let hold = match (hold, plan.last_admin()) {
            (Some(hold), last_admin) => Some(Hold { last_admin, ..hold }),
            (None, Some(person)) => Some(self.alone(person, plan, of, before, now)),
            (None, None) => None,
        };
        Weighed { steps, hold }
    }

    /// Nobody waits but the last admin.
    fn alone(
        &self,
        person: HeldPerson,
        plan: &Plan,
        of: (&OrganizationSlug, &ConnectionKey),
        before: Option<&Hold>,
        now: Timestamp,
    ) -> Hold {
        let before = before.filter(|hold| hold.people.is_empty());
        Hold {
            organization: of.0.clone(),
            connection: of.1.clone(),
            cause: HoldCause::LastAdmin,
            since: before.map_or(now, |hold| hold.since),
            expires_at: before.map_or_else(|| now.plus_ms(self.hold_ms), |hold| hold.expires_at),
            managed: before.map_or(plan.managed, |hold| hold.managed),
            people: Vec::new(),
            last_admin: Some(person),
            state: HoldState::Waiting,
            decided_by: None,
        }
    }

    fn part_removals(
        &self,
        plan: &Plan,
        of: (&OrganizationSlug, &ConnectionKey),
        before: Option<&Hold>,
        recent: u64,
        now: Timestamp,
    ) -> Weighed {
        let named = before.map(Hold::numbers).unwrap_or_default();
        let state = before.map(|hold| hold.state);
        let is_named = |step: &Step| step.is_removal() && named.contains(&step.id);
        let refused = |step: &Step| state == Some(HoldState::Refused) && is_named(step);
        let approved = |step: &Step| state == Some(HoldState::Approved) && is_named(step);
        let open: Vec<&Step> = plan.removals().filter(|step| !refused(step) && !approved(step)).collect();
        let pressure = self.weigh(open.len() as u64, recent, plan.managed, plan.listed);
        let Pressure::Held(cause) = pressure else {
            let steps = plan.steps.iter().filter(|step| !refused(step)).cloned().collect();
            let decided = before.filter(|hold| hold.state != HoldState::Waiting);
            return Weighed { steps, hold: decided.cloned() };
        };
        let goes = |step: &&Step| !step.is_removal() || approved(step);
        let steps = plan.steps.iter().filter(goes).cloned().collect();
        let waiting = before.filter(|hold| hold.state == HoldState::Waiting && !hold.people.is_empty());
        let hold = Hold {
            organization: of.0.clone(),
            connection: of.1.clone(),
            cause,
            since: waiting.map_or(now, |hold| hold.since),
            expires_at: waiting.map_or_else(|| now.plus_ms(self.hold_ms), |hold| hold.expires_at),
            managed: plan.managed,
            people: open.into_iter().map(HeldPerson::of).collect(),
            last_admin: None,
            state: HoldState::Waiting,
            decided_by: None,
        };
        Weighed { steps, hold: Some(hold) }
    }
}

impl HeldPerson {
    fn of(step: &Step) -> Self {
        let role = match step.what {
            super::What::Remove { from, .. } => from,
            _ => None,
        };
        Self { id: step.id, login: step.login.clone(), role }
    }
}
