//! Repositories by number: names, transfers, deletions, late statements.

use super::*;
use crate::domain::change::Verdict;
use crate::domain::project::ProjectState;

fn seen(told: i64, path: &str) -> Event {
    event(Some(told), Fact::RepositorySeen { repository: repo(1, path) })
}

fn renamed(told: i64, from: &str, to: &str) -> Event {
    event(Some(told), Fact::RepositoryRenamed { repository: repo(1, to), from: from.to_owned() })
}

fn deleted(told: Option<i64>) -> Event {
    event(told, Fact::RepositoryDeleted { repository: repo(1, "acme/one") })
}

#[test]
fn any_event_about_an_unknown_repository_makes_it_known() {
    let repository = || repo(1, "acme/one");
    let facts = [
        Fact::RepositorySeen { repository: repository() },
        Fact::RepositoryRenamed { repository: repository(), from: "acme/zero".to_owned() },
        Fact::RepositoryTransferred { repository: repository(), from: None, from_account: None },
        Fact::Pushed { repository: repository(), git_ref: "refs/heads/main".to_owned(), after: None },
        Fact::ChangeRequested { repository: repository(), number: 1, state: "open".to_owned(), head: None },
        Fact::CollaboratorChanged { repository: repository(), person: Some(person(3)) },
    ];
    for fact in facts {
        let mut world = World::new(Forge::Github);
        let changes = world.deliver(&event(Some(10), fact.clone()), 100);
        assert_eq!(changes.verdict, Verdict::Done, "{fact:?}");
        let project = world.project(1);
        assert_eq!((project.full_path.as_str(), project.first_seen_at), ("acme/one", at(100)), "{fact:?}");
        assert!(world.members.is_empty(), "{fact:?}");
    }
}

#[test]
fn what_is_not_told_stays() {
    let mut world = World::new(Forge::Github);
    let whole = Repository {
        default_branch: Some("main".to_owned()),
        visibility: Some(Visibility::Internal),
        archived: Some(true),
        ..repo(1, "acme/one")
    };
    world.deliver(&event(Some(10), Fact::RepositorySeen { repository: whole }), 100);
    world.deliver(&seen(11, ""), 101);
    let project = world.project(1);
    assert_eq!(project.full_path, "acme/one");
    assert_eq!(project.default_branch.as_deref(), Some("main"));
    assert_eq!((project.visibility, project.archived), (Some(Visibility::Internal), true));
}

#[test]
fn r22_an_older_rename_adds_an_alias_and_nothing_else() {
    let mut world = World::new(Forge::Github);
    world.deliver(&renamed(20, "acme/two", "acme/three"), 100);
    world.deliver(&renamed(10, "acme/one", "acme/two"), 200);
    assert_eq!(world.project(1).full_path, "acme/three");
    assert_eq!(world.project(1).previous_paths, ["acme/two", "acme/one"]);
    let again = world.deliver(&renamed(10, "acme/one", "acme/two"), 5000);
    assert!(matches!(again.verdict, Verdict::Superseded(_)));
}

#[test]
fn a_name_that_comes_back_is_no_alias_of_itself() {
    let mut world = World::new(Forge::Github);
    world.deliver(&seen(10, "acme/one"), 100);
    world.deliver(&renamed(20, "acme/one", "acme/two"), 200);
    world.deliver(&renamed(30, "acme/two", "acme/one"), 300);
    assert_eq!(world.project(1).full_path, "acme/one");
    assert_eq!(world.project(1).previous_paths, ["acme/two"]);
}

#[test]
fn a_deletion_is_kept_so_that_late_statements_do_not_undo_it() {
    for known_before in [true, false] {
        let mut world = World::new(Forge::Github);
        if known_before {
            world.deliver(&seen(10, "acme/one"), 100);
        }
        world.deliver(&deleted(Some(20)), 200);
        assert_eq!(world.project(1).state(), ProjectState::Removed);
        for late in [19, 20] {
            let changes = world.deliver(&seen(late, "acme/one"), 300);
            assert!(matches!(changes.verdict, Verdict::Superseded(_)), "{late}");
            assert!(world.project(1).removed, "{late}");
        }
        world.deliver(&seen(21, "acme/one"), 400);
        assert!(!world.project(1).removed, "a newer word brings it back");
    }
}

#[test]
fn a_deletion_with_the_time_of_an_earlier_change_still_counts() {
    let mut world = World::new(Forge::Github);
    world.deliver(&seen(30, "acme/one"), 100);
    world.deliver(&deleted(Some(20)), 200);
    assert!(world.project(1).removed);
}

#[test]
fn s35_deleted_and_made_again_under_the_same_name_is_a_stranger() {
    let mut world = World::new(Forge::Github);
    world.deliver(&seen(10, "acme/one"), 100);
    world.deliver(&deleted(Some(20)), 200);
    world.deliver(&event(Some(30), Fact::RepositorySeen { repository: repo(2, "acme/one") }), 300);
    assert!(world.project(1).removed && !world.project(2).removed);
    assert_eq!(world.project(2).previous_paths, Vec::<String>::new());
}

#[test]
fn a_transfer_between_connections_of_the_organization_keeps_the_project() {
    let fact = Fact::RepositoryTransferred {
        repository: repo(1, "other/one"),
        from: Some("acme/one".to_owned()),
        from_account: Some(ACME),
    };
    let mut moved = event(Some(20), fact);
    moved.about =
        About { account: Some(AccountRef { id: Some(200), login: "other".to_owned() }), ..About::default() };
    let gone = vec![repo(1, "acme/one")];
    let lost = Fact::RepositoriesSelected { selection: String::new(), added: Vec::new(), removed: gone };
    let lost = event(Some(20), lost);
    // The new owner hears of its gain and the old one of its loss, in any order.
    for order in [[&moved, &lost], [&lost, &moved]] {
        let mut world = World::new(Forge::Github);
        let other = connection("app-other", "acme", Forge::Github, "other", Some(200));
        world.put(Change::PutConnection(Box::new(other)));
        world.deliver(&seen(10, "acme/one"), 100);
        for (turn, event) in order.into_iter().enumerate() {
            world.deliver(event, 200 + turn as i64);
        }
        let project = world.project(1);
        assert_eq!((&project.connection, project.full_path.as_str()), (&key("app-other"), "other/one"));
        assert_eq!(project.previous_paths, ["acme/one"]);
        assert_eq!((project.first_seen_at, project.moved_away, project.removed), (at(100), false, false));
    }
}

#[test]
fn s35_a_gitlab_project_that_went_elsewhere_has_moved_away() {
    let mut world = World::new(Forge::Gitlab);
    let about = |login: &str| About {
        account: Some(AccountRef { id: None, login: login.to_owned() }),
        project: Some(1),
        ..About::default()
    };
    let told = |when, login, fact| Event { about: about(login), ..event(Some(when), fact) };
    world.deliver(&told(10, "acme", Fact::RepositorySeen { repository: repo(1, "acme/one") }), 100);
    let moved = |from: &str, to: &str| Fact::RepositoryTransferred {
        repository: repo(1, to),
        from: Some(from.to_owned()),
        from_account: None,
    };
    world.deliver(&told(20, "stranger", moved("acme/one", "stranger/one")), 200);
    assert_eq!(world.project(1).state(), ProjectState::MovedAway);
    world.deliver(&told(30, "acme", moved("stranger/one", "acme/one")), 300);
    assert_eq!(world.project(1).state(), ProjectState::NotSetUp);
}
