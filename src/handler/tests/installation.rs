//! The life of an installation and of its account.

use super::*;
use crate::domain::change::Verdict;

fn installed(repositories: &[u64]) -> Fact {
    Fact::Installed {
        selection: "selected".to_owned(),
        permissions: BTreeMap::from([("metadata".to_owned(), "read".to_owned())]),
        repositories: repositories.iter().map(|id| repo(*id, &format!("acme/r{id}"))).collect(),
        requester: None,
    }
}

fn selected(add: &[u64], remove: &[u64]) -> Fact {
    let list = |ids: &[u64]| ids.iter().map(|id| repo(*id, &format!("acme/r{id}"))).collect();
    Fact::RepositoriesSelected { selection: "selected".to_owned(), added: list(add), removed: list(remove) }
}

fn through(installation: u64, told: i64, fact: Fact) -> Event {
    let mut event = event(Some(told), fact);
    event.about.installation = Some(installation);
    event
}

/// Installed with two repositories, and one member who was confirmed.
fn world() -> World {
    let mut world = World::new(Forge::Github);
    world.deliver(&event(Some(10), installed(&[1, 2])), 100);
    world.deliver(&event(None, added(3)), 101);
    world.confirm(3, Role::Member);
    world
}

#[test]
fn an_installation_brings_its_repositories_and_its_permissions() {
    let world = world();
    let connection = world.connection();
    assert_eq!((connection.installation, connection.credential.as_str()), (Some(INSTALLATION), "app"));
    assert_eq!(connection.repository_selection.as_deref(), Some("selected"));
    assert_eq!(connection.permissions["metadata"], "read");
    assert_eq!(connection.state(), ConnectionState::Connected);
    assert_eq!(world.project(2).full_path, "acme/r2");
}

#[test]
fn a_suspension_pauses_projects_and_freezes_members() {
    let mut world = world();
    world.change_connection(|connection| connection.roster_stale_since = None);
    world.deliver(&event(Some(20), Fact::Suspended), 200);
    assert_eq!(world.connection().state(), ConnectionState::Suspended);
    assert!(world.projects.values().all(|found| found.value.paused));
    assert_eq!(world.member(3).state, MemberState::Active);
    world.deliver(&event(Some(30), Fact::Unsuspended), 300);
    assert_eq!(world.connection().state(), ConnectionState::Connected);
    assert!(world.projects.values().all(|found| !found.value.paused));
    assert_eq!(world.connection().roster_stale_since, Some(at(300)));
}

#[test]
fn r22_an_older_installation_event_changes_nothing() {
    for late in [Fact::Suspended, Fact::PermissionsAccepted { permissions: BTreeMap::new() }] {
        let mut world = world();
        world.deliver(&event(Some(20), Fact::Suspended), 200);
        world.deliver(&event(Some(30), Fact::Unsuspended), 300);
        let before = world.connection().clone();
        let changes = world.deliver(&event(Some(25), late.clone()), 400);
        assert!(matches!(changes.verdict, Verdict::Superseded(_)), "{late:?}");
        let after = Connection { last_event_at: before.last_event_at, ..world.connection().clone() };
        assert_eq!(after, before, "{late:?}");
    }
}

#[test]
fn what_uninstalling_leaves_is_taken_up_again_by_a_new_installation() {
    let mut world = world();
    world.deliver(&event(Some(5), Fact::Uninstalled), 200);
    assert_eq!(world.connection().state(), ConnectionState::Uninstalled);
    assert!(world.projects.values().all(|found| found.value.paused && !found.value.removed));
    assert_eq!(world.member(3).state, MemberState::Active, "members are frozen, not put out");
    // What the dead installation says late does not bring it back.
    for late in [installed(&[1]), Fact::Unsuspended, Fact::Suspended] {
        let changes = world.deliver(&event(Some(40), late.clone()), 300);
        assert!(matches!(changes.verdict, Verdict::Superseded(_)), "{late:?}");
        assert_eq!(world.connection().reasons, [ConnectionState::Uninstalled], "{late:?}");
    }
    world.deliver(&through(8, 50, installed(&[1])), 500);
    assert_eq!(world.connection().state(), ConnectionState::Connected);
    assert_eq!(world.connection().installation, Some(8));
    assert!(world.projects.values().all(|found| !found.value.paused));
    // The old installation's end may come last.
    let changes = world.deliver(&through(INSTALLATION, 45, Fact::Uninstalled), 600);
    assert!(matches!(changes.verdict, Verdict::Superseded(_)));
    assert_eq!(world.connection().state(), ConnectionState::Connected);
}

#[test]
fn a_late_created_lists_unknown_repositories_and_takes_nothing_back() {
    let mut world = world();
    world.deliver(&event(Some(10), selected(&[], &[2])), 150);
    world.deliver(&event(Some(20), Fact::Suspended), 200);
    world.deliver(&event(Some(10), installed(&[1, 2, 9])), 300);
    assert_eq!(world.connection().state(), ConnectionState::Suspended);
    assert!(world.project(2).removed && !world.project(9).removed);
    assert!(world.project(9).paused, "its connection is suspended");
}

#[test]
fn repositories_come_and_go_by_the_order_of_receipt() {
    let mut world = world();
    // The installation's own time does not move with its repositories.
    world.deliver(&event(Some(10), selected(&[5], &[1])), 200);
    assert!(world.project(1).removed && !world.project(2).removed && !world.project(5).removed);
    world.deliver(&event(Some(10), selected(&[1], &[])), 300);
    assert!(!world.project(1).removed);
    let changes = world.deliver(&event(Some(10), selected(&[], &[1])), 250);
    assert!(matches!(changes.verdict, Verdict::Superseded(_)), "it was received before the newest grant");
    assert!(!world.project(1).removed);
}

#[test]
fn a_new_account_name_is_taken_over_and_leaves_an_alias_everywhere() {
    let mut world = world();
    let renamed =
        |from: &str, to: &str| Fact::AccountRenamed { from: Some(from.to_owned()), to: to.to_owned() };
    world.deliver(&event(Some(900), renamed("newer", "newest")), 1000);
    assert_eq!(world.connection().account.login, "newest");
    let late = world.deliver(&event(Some(800), renamed("acme", "newer")), 1100);
    assert!(matches!(late.verdict, Verdict::Superseded(_)));
    assert_eq!(world.connection().account.login, "newest");
    world.deliver(&event(Some(1200), renamed("acme", "newest")), 1300);
    assert_eq!(world.project(1).full_path, "newest/r1");
    assert_eq!(world.project(1).previous_paths, ["acme/r1"]);
}

#[test]
fn s08_every_word_about_a_connection_has_the_forge_asked_at_once() {
    let permissions = BTreeMap::from([("members".to_owned(), "read".to_owned())]);
    let check = || vec![(TaskKind::CheckConnection, at(5000))];
    let all = || {
        let later = [TaskKind::SyncConnection, TaskKind::SyncMembers].map(|kind| (kind, at(15_000)));
        check().into_iter().chain(later).collect()
    };
    let repositories = || [check(), vec![(TaskKind::SyncConnection, at(15_000))]].concat();
    let with_members = || [check(), vec![(TaskKind::SyncMembers, at(15_000))]].concat();
    for (fact, expected) in [
        (installed(&[1]), all()),
        (Fact::PermissionsAccepted { permissions }, all()),
        (Fact::Unsuspended, all()),
        (selected(&[5], &[]), repositories()),
        (Fact::Suspended, check()),
        (Fact::Uninstalled, check()),
        (Fact::HookDeleted { hook: 4 }, check()),
        (Fact::AccountDeleted, with_members()),
    ] {
        let mut world = world();
        let changes = world.deliver(&event(Some(20), fact.clone()), 5000);
        let mut wishes: Vec<_> = World::wishes(&changes).into_iter().map(|it| (it.0, it.2)).collect();
        wishes.sort();
        assert_eq!(wishes, expected, "{fact:?}");
    }
}

#[test]
fn since_when_a_connection_is_off_is_known_from_the_event() {
    let mut world = world();
    world.deliver(&event(Some(20), Fact::Suspended), 200);
    world.deliver(&event(None, Fact::HookDeleted { hook: 4 }), 300);
    let since = &world.connection().health.since;
    assert_eq!(since.get(&ConnectionState::Suspended), Some(&at(200)));
    assert_eq!(since.get(&ConnectionState::WebhookDisabled), Some(&at(300)));
    world.deliver(&event(Some(30), Fact::Unsuspended), 400);
    assert!(!world.connection().health.since.contains_key(&ConnectionState::Suspended));
}

#[test]
fn a_gone_account_or_hook_shows_and_empties_nothing() {
    let mut world = world();
    world.deliver(&event(None, Fact::HookDeleted { hook: 4 }), 200);
    assert_eq!(world.connection().state(), ConnectionState::WebhookDisabled);
    world.deliver(&event(None, Fact::AccountDeleted), 300);
    assert_eq!(world.connection().state(), ConnectionState::Uninstalled);
    assert_eq!(world.member(3).state, MemberState::Active);
    assert!(world.connection().roster_stale_since.is_some());
    let actions = world.actions();
    assert!(actions.contains(&"connection.hook-deleted") && actions.contains(&"connection.account-deleted"));
}

#[test]
fn a_burst_about_one_account_does_not_write_its_connection_each_time() {
    let mut world = world();
    let push = |id| {
        let repository = repo(id, "acme/r1");
        event(Some(5000), Fact::Pushed { repository, git_ref: "refs/heads/main".to_owned(), after: None })
    };
    world.deliver(&push(1), 5000);
    let before = world.connections[&key("app-acme")].version;
    for id in 10..20 {
        world.deliver(&push(id), 5001);
    }
    assert_eq!(world.connections[&key("app-acme")].version, before);
    world.deliver(&push(20), 6000);
    assert_eq!(world.connection().last_event_at, Some(at(6000)));
}

#[test]
fn a_group_is_known_by_its_number_and_never_by_its_last_segment() {
    let mut world = World::new(Forge::Gitlab);
    let seen = |group, path: &str, from: Option<&str>, account: Option<&str>| {
        let fact = Fact::GroupSeen { group, path: path.into(), from: from.map(str::to_owned), parent: None };
        let mut event = group_event(group, Some(10), fact);
        event.about.account = account.map(|login| AccountRef { id: None, login: login.to_owned() });
        event
    };
    world.change_connection(|connection| connection.account.external_id = None);
    world.deliver(&seen(55, "acme", None, None), 100);
    assert_eq!(world.connection().account.external_id, None, "a last segment is no full path");
    world.deliver(&seen(ACME, "acme", None, Some("acme")), 200);
    assert_eq!(world.connection().account.external_id, Some(ACME));
    world.deliver(&seen(ACME, "umbrella", Some("acme"), Some("umbrella")), 300);
    assert_eq!(world.connection().account.login, "umbrella");
    world.deliver(&group_event(77, None, Fact::GroupDeleted { group: 77 }), 400);
    assert_eq!(world.connection().state(), ConnectionState::Connected);
    world.deliver(&group_event(ACME, None, Fact::GroupDeleted { group: ACME }), 500);
    assert_eq!(world.connection().state(), ConnectionState::Uninstalled);
}
