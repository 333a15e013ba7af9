//! Random histories: shuffled, doubled, lost. The newest statement that arrived must hold at the end.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::*;

const MEMBER: u64 = 3;
const REPOSITORY: u64 = 1;
const LENGTH: usize = 30;

/// What happened at the forge, one step.
#[derive(Debug, Clone, Copy)]
enum Step {
    Join,
    Change,
    Leave,
    Rename,
    Archive(bool),
    Push,
    Suspend,
    Unsuspend,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{Archive, Change, Join, Leave, Push, Rename, Suspend, Unsuspend};
    let all = vec![
        Join,
        Change,
        Leave,
        Leave,
        Rename,
        Rename,
        Archive(true),
        Archive(false),
        Push,
        Suspend,
        Unsuspend,
    ];
    prop::sample::select(all)
}

/// The forge's side: each step's event, with the state of things at that time written into it.
fn history(steps: &[Step], last_is_deletion: bool) -> Vec<(Step, Event)> {
    let mut name = 0;
    let mut archived = false;
    let mut events = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let before = format!("acme/name-{name}");
        match step {
            Step::Rename => name += 1,
            Step::Archive(now) => archived = *now,
            _ => {}
        }
        let now = Repository { archived: Some(archived), ..repo(REPOSITORY, &format!("acme/name-{name}")) };
        let is_last = last_is_deletion && number + 1 == steps.len();
        let fact = match step {
            _ if is_last => Fact::RepositoryDeleted { repository: now },
            Step::Join => added(MEMBER),
            Step::Change => Fact::MemberChanged { person: person(MEMBER), role: None },
            Step::Leave => removed(MEMBER),
            Step::Rename => Fact::RepositoryRenamed { repository: now, from: before },
            Step::Archive(_) => Fact::RepositorySeen { repository: now },
            Step::Push => {
                Fact::Pushed { repository: now, git_ref: "refs/heads/main".to_owned(), after: None }
            }
            Step::Suspend => Fact::Suspended,
            Step::Unsuspend => Fact::Unsuspended,
        };
        events.push((*step, event(Some(1000 + number as i64), fact)));
    }
    events
}

/// The newest among the delivered events of one kind.
fn newest<'a>(delivered: &[&'a Event], of: fn(&Fact) -> bool) -> Option<&'a Event> {
    delivered.iter().copied().filter(|event| of(&event.fact)).max_by_key(|event| event.at)
}

fn of_member(fact: &Fact) -> bool {
    matches!(fact, Fact::MemberAdded { .. } | Fact::MemberChanged { .. } | Fact::MemberRemoved { .. })
}

fn settings(fact: &Fact) -> Option<&Repository> {
    match fact {
        Fact::RepositorySeen { repository }
        | Fact::RepositoryRenamed { repository, .. }
        | Fact::RepositoryDeleted { repository }
        | Fact::Pushed { repository, .. } => Some(repository),
        _ => None,
    }
}

fn check_member(world: &World, delivered: &[&Event]) {
    let Some(last) = newest(delivered, of_member) else { return assert!(world.members.is_empty()) };
    let expected = match last.fact {
        Fact::MemberRemoved { .. } => MemberState::Removed,
        _ => MemberState::Pending,
    };
    assert_eq!(world.member(MEMBER).state, expected);
}

fn check_project(world: &World, delivered: &[&Event]) {
    let Some(last) = newest(delivered, |fact| settings(fact).is_some()) else { return };
    let told = settings(&last.fact).unwrap();
    let project = world.project(REPOSITORY);
    assert_eq!(project.removed, matches!(last.fact, Fact::RepositoryDeleted { .. }));
    if !project.removed {
        assert_eq!((&project.full_path, Some(project.archived)), (&told.full_path, told.archived));
    }
    let names: BTreeSet<&str> = delivered
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::RepositoryRenamed { repository, from } => Some([from.as_str(), &repository.full_path]),
            _ => None,
        })
        .flatten()
        .filter(|name| *name != project.full_path)
        .collect();
    for name in names {
        assert!(project.previous_paths.iter().any(|path| path == name), "{name} is forgotten");
    }
    assert!(!project.previous_paths.contains(&project.full_path), "a name is its own alias");
}

fn check_connection(world: &World, delivered: &[&Event]) {
    let of = |fact: &Fact| matches!(fact, Fact::Suspended | Fact::Unsuspended);
    let last = newest(delivered, of).map(|event| event.fact == Fact::Suspended);
    let is_suspended = world.connection().reasons.contains(&ConnectionState::Suspended);
    assert_eq!(is_suspended, last.unwrap_or(false));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nobody who is out at the forge, as far as what arrived tells, is ever more than pending: only a reading of the
    /// forge's list makes anybody active, and it is modelled before the history begins.
    #[test]
    fn r22_s32_the_newest_statement_holds_whatever_the_order(
        steps in prop::collection::vec(step(), LENGTH),
        last_is_deletion in any::<bool>(),
        kept in subsequence((0..LENGTH).collect::<Vec<_>>(), LENGTH / 2..=LENGTH),
        doubled in prop::collection::vec(any::<Index>(), 0..10),
        order in any::<u64>(),
    ) {
        let history = history(&steps, last_is_deletion);
        let mut arriving: Vec<usize> = kept.clone();
        arriving.extend(doubled.iter().map(|index| kept[index.index(kept.len())]));
        arriving.sort_by_key(|number| crate::domain::id_of(&[&order.to_string(), &number.to_string()]));
        let mut world = World::new(Forge::Github);
        let mut delivered: Vec<&Event> = Vec::new();
        let mut out_since = None;
        for (turn, number) in arriving.iter().enumerate() {
            let event = &history[*number].1;
            world.deliver(event, 100_000 + turn as i64);
            delivered.push(event);
            if matches!(event.fact, Fact::MemberRemoved { .. }) {
                out_since = out_since.max(event.at);
            }
            let state = world.members.get(&MEMBER).map(|found| found.value.state);
            prop_assert_ne!(state, Some(MemberState::Active));
            if let Some(out) = out_since && newest(&delivered, of_member).unwrap().at == Some(out) {
                prop_assert_eq!(state, Some(MemberState::Removed), "re-admitted");
            }
            check_member(&world, &delivered);
            check_project(&world, &delivered);
            check_connection(&world, &delivered);
        }
    }

    /// Handling the same event twice is handling it once (apart from log lines).
    #[test]
    fn r21_a_copy_changes_no_record(steps in prop::collection::vec(step(), LENGTH), copied in any::<Index>()) {
        let history = history(&steps, false);
        let mut world = World::new(Forge::Github);
        for (turn, (_, event)) in history.iter().enumerate() {
            world.deliver(event, 100_000 + turn as i64);
        }
        let before = (world.projects.clone(), world.members.clone(), world.runs.clone());
        world.deliver(&history[copied.index(LENGTH)].1, 200_000);
        prop_assert_eq!((world.projects, world.members, world.runs), before);
    }
}
