//! R22, S32: random histories with events that are lost, doubled and late. The end is what the forge has, and nobody is
//! let in who was out all the while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scm_connect::domain::change::Change;
use scm_connect::domain::organization::{Member, MemberState};
use scm_connect::provider::github::Organization;

use super::super::github::Github;
use super::super::story::pass;
use super::{Desk, at_github};
use crate::harness::dice::Dice;

/// So few that the brake never holds them.
const PEOPLE: u64 = 4;
const STEPS: u64 = 30;

/// What happens, at the forge or between it and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Joins,
    Leaves,
    RisesOrFalls,
    Syncs,
    HearsOfOne,
    HearsALie,
    TimePasses,
}

const ALL: [Step; 7] = [
    Step::Joins,
    Step::Leaves,
    Step::RisesOrFalls,
    Step::Syncs,
    Step::HearsOfOne,
    Step::HearsALie,
    Step::TimePasses,
];

struct World {
    forge: Arc<Github>,
    desk: Desk,
    directory: Organization,
    /// Who is in at the forge.
    inside: BTreeMap<String, &'static str>,
    /// Who was in at the forge at some time since they were last out here: nobody else may be let in.
    may_come: BTreeSet<String>,
    /// Who was in here before the last step.
    active: BTreeSet<String>,
}

fn name(number: u64) -> String {
    format!("p{number}")
}

impl World {
    async fn new() -> Self {
        let forge = Github::cloud();
        let (desk, directory) = at_github(&forge).await;
        for number in 0..PEOPLE {
            forge.person(&name(number));
        }
        let (may_come, active) = (BTreeSet::new(), BTreeSet::new());
        Self { forge, desk, directory, inside: BTreeMap::new(), may_come, active }
    }

    async fn happens(&mut self, step: Step, dice: &mut Dice) {
        let who = name(dice.below(PEOPLE));
        let id = self.forge.person(&who);
        match step {
            Step::Joins if !self.inside.contains_key(&who) => {
                self.forge.member("acme", &who, "member");
                self.inside.insert(who.clone(), "member");
                self.may_come.insert(who);
            }
            Step::Leaves if self.inside.remove(&who).is_some() => {
                self.forge.leaves("acme", &who);
            }
            Step::RisesOrFalls if self.inside.contains_key(&who) => {
                let role = if self.inside[&who] == "admin" { "member" } else { "admin" };
                self.forge.gives_role("acme", &who, role);
                self.inside.insert(who, role);
            }
            Step::Joins | Step::Leaves | Step::RisesOrFalls => {}
            Step::Syncs => {
                self.desk.syncs(&self.directory).await.unwrap();
            }
            // Doubled, late, or in time: an event only ever makes us look.
            Step::HearsOfOne => {
                for _ in 0..=dice.below(2) {
                    self.desk.reads(&self.directory, id).await.unwrap();
                }
            }
            // A signed event that is not true, or not any more.
            Step::HearsALie => self.hears(id, &who, dice.below(2) == 0).await,
            Step::TimePasses => pass(&self.forge.book, 60 + dice.below(3600)).await,
        }
    }

    /// What a handler makes of an event: out at once, or waiting.
    async fn hears(&self, id: u64, who: &str, gone: bool) {
        let Some(known) = self.desk.members().await.into_iter().find(|member| member.external_id == id)
        else {
            return;
        };
        let (at, login) = (Some(self.desk.now()), who.to_owned());
        let told = match (gone, known.state) {
            // An admin is out until the forge is asked, and everybody else at once.
            (true, _) if known.was_admin() => {
                Member { state: MemberState::Pending, seen_at: at, login, ..known }
            }
            (true, _) => Member { state: MemberState::Removed, seen_at: at, removed_at: at, login, ..known },
            (false, MemberState::Removed) => Member {
                state: MemberState::Pending,
                role: None,
                seen_at: at,
                removed_at: None,
                login,
                ..known
            },
            (false, _) => return,
        };
        self.desk.store.apply(vec![Change::PutMember(Box::new(told))], Vec::new()).await.unwrap();
    }

    async fn is_sound(&mut self, trace: &[Step]) {
        let lines = self.desk.active().await;
        let active: BTreeSet<String> =
            lines.iter().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect();
        for who in (0..PEOPLE).map(name) {
            let came = active.contains(&who) && !self.active.contains(&who);
            assert!(!came || self.may_come.contains(&who), "{who} was let in and never was in: {trace:?}");
            if !active.contains(&who) && !self.inside.contains_key(&who) {
                self.may_come.remove(&who);
            }
        }
        self.active = active;
    }

    async fn is_the_forges(&self, trace: &[Step]) {
        let mut expected: Vec<String> =
            self.inside.iter().map(|(who, role)| format!("{who} {role}")).collect();
        expected.push("olga admin".into());
        expected.sort();
        assert_eq!(self.desk.active().await, expected, "{trace:?}");
    }
}

#[tokio::test]
async fn r22_s32_random_histories_end_as_the_forge_has_it() {
    let full = std::env::var_os("SCM_CONNECT_FULL").is_some();
    let mut dice = Dice::new("members", 20_260_601);
    let mut met: BTreeMap<Step, u64> = BTreeMap::new();
    for _ in 0..if full { 1_000 } else { 60 } {
        let mut world = World::new().await;
        let mut trace = Vec::new();
        for _ in 0..STEPS {
            let step = ALL[usize::try_from(dice.below(ALL.len() as u64)).unwrap()];
            trace.push(step);
            *met.entry(step).or_default() += 1;
            world.happens(step, &mut dice).await;
            world.is_sound(&trace).await;
        }
        // Every event of the last minutes is lost: the hourly reading alone must make it right.
        pass(&world.forge.book, 3600).await;
        world.desk.syncs(&world.directory).await.unwrap();
        world.is_the_forges(&trace).await;
        assert_eq!(world.forge.violations(), [""; 0]);
    }
    println!("{met:?}");
    assert!(ALL.iter().all(|step| met[step] >= 50), "{met:?}");
}
