//! Who an event is for, and for whom it is not.

use super::*;
use crate::domain::change::{Reason, Verdict};
use crate::handler::route;

/// Candidates among these connections, as a store finds them.
fn ask(source: &Source, connections: &[Connection], event: &Event) -> Routing {
    let mut world = World::new(source.forge);
    world.source = source.clone();
    world.connections.clear();
    for connection in connections {
        world.put(Change::PutConnection(Box::new(connection.clone())));
    }
    route(source, event, &world.candidates(&event.about), at(50))
}

fn to(routing: &Routing) -> &Connection {
    match routing {
        Routing::To(connection) | Routing::New(connection) => connection,
        Routing::End(changes) => panic!("routed nowhere: {changes:?}"),
    }
}

fn ended(routing: Routing) -> Changes {
    match routing {
        Routing::End(changes) => changes,
        Routing::To(connection) | Routing::New(connection) => panic!("routed to {}", connection.key),
    }
}

fn seen(id: Option<u64>, login: &str, project: u64) -> Event {
    let fact = Fact::RepositorySeen { repository: repo(project, &format!("{login}/one")) };
    let account = Some(AccountRef { id, login: login.to_owned() });
    let about = About { account, project: Some(project), ..About::default() };
    Event { about, ..event(Some(10), fact) }
}

#[test]
fn what_needs_no_connection_ends_at_once() {
    let mut source = source(Forge::Github, &["acme"]);
    let one = [connection("app-acme", "acme", Forge::Github, "acme", Some(ACME))];
    let unwanted = ended(ask(&source, &one, &event(None, Fact::Unwanted)));
    assert_eq!(unwanted.verdict, Verdict::Ignored(Reason::Unwanted));
    let ping = ended(ask(&source, &one, &event(None, Fact::Ping)));
    assert_eq!((ping.verdict, ping.connection), (Verdict::Done, Some(key("app-acme"))));
    source.removed = true;
    let gone = ended(ask(&source, &one, &event(None, Fact::Suspended)));
    assert_eq!(gone.verdict, Verdict::Ignored(Reason::SourceRemoved));
}

#[test]
fn s09_a_source_speaks_for_its_own_organizations_only() {
    let source = source(Forge::Github, &["acme"]);
    let installed = Connection {
        installation: Some(INSTALLATION),
        ..connection("rival-github", "rival", Forge::Github, "rival", Some(1))
    };
    let held = connection("rival-github", "rival", Forge::Github, "acme", Some(ACME));
    let own = connection("app-acme", "acme", Forge::Github, "acme", Some(ACME));
    let facts = [
        Fact::Suspended,
        Fact::Uninstalled,
        added(3),
        removed(3),
        Fact::AccountDeleted,
        Fact::RepositoryDeleted { repository: repo(1, "acme/one") },
    ];
    for fact in facts {
        for connections in [vec![installed.clone()], vec![held.clone()], vec![installed.clone(), own.clone()]]
        {
            let changes = ended(ask(&source, &connections, &event(None, fact.clone())));
            assert_eq!(changes.verdict, Verdict::Ignored(Reason::ForeignTenant), "{fact:?}");
            let [Change::Audit(line)] = changes.changes.as_slice() else { panic!("{changes:?}") };
            assert_eq!((line.action.as_str(), line.subject.as_str()), ("delivery.foreign-tenant", "app"));
            assert!(
                !format!("{changes:?}").contains("rival"),
                "it names the other organization: {changes:?}"
            );
        }
    }
}

#[test]
fn s09_a_new_connection_whose_key_met_somebody_elses_record_changes_nothing() {
    let mut world = World::new(Forge::Github);
    let rival = connection("app-acme", "rival", Forge::Github, "rival", Some(1));
    world.put(Change::PutConnection(Box::new(rival.clone())));
    let event = event(None, Fact::Suspended);
    let changes = handle(&event, &world.known(&event, &rival, at(1)));
    assert_eq!(changes.verdict, Verdict::Ignored(Reason::ForeignTenant));
    assert!(matches!(changes.changes.as_slice(), [Change::Audit(_)]), "{changes:?}");
}

#[test]
fn a_number_finds_the_connection_before_a_name_does() {
    let source = source(Forge::Github, &["acme"]);
    let by_installation = Connection {
        installation: Some(INSTALLATION),
        ..connection("by-installation", "acme", Forge::Github, "old-name", None)
    };
    let by_account = connection("by-account", "acme", Forge::Github, "other-name", Some(ACME));
    let by_name = connection("by-name", "acme", Forge::Github, "acme", None);
    let all = [by_name.clone(), by_account.clone(), by_installation];
    let event = event(None, Fact::Suspended);
    assert_eq!(to(&ask(&source, &all, &event)).key, key("by-installation"));
    assert_eq!(to(&ask(&source, &all[..2], &event)).key, key("by-account"));
    assert_eq!(to(&ask(&source, &all[..1], &event)).key, key("by-name"));
}

#[test]
fn s35_a_name_taken_over_by_another_account_finds_nothing() {
    let source = source(Forge::Github, &["acme", "other"]);
    let known = [connection("app-acme", "acme", Forge::Github, "acme", Some(ACME))];
    let stranger = seen(Some(666), "acme", 1);
    assert_eq!(ended(ask(&source, &known, &stranger)).verdict, Verdict::Unbound);
}

#[test]
fn a_name_that_differs_in_letter_case_is_shown_and_not_bound() {
    let source = source(Forge::Github, &["acme"]);
    let declared = [connection("app-acme", "acme", Forge::Github, "Acme", None)];
    let changes = ended(ask(&source, &declared, &event(None, Fact::Suspended)));
    assert_eq!(changes.verdict, Verdict::Unbound);
    let [Change::Audit(line)] = changes.changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(line.action, "delivery.near-miss");
    assert!(line.detail.contains("\"Acme\"") && line.detail.contains("\"acme\""), "{}", line.detail);
}

#[test]
fn an_account_that_nobody_holds_is_recorded_for_the_only_organization() {
    let only = source(Forge::Github, &["acme"]);
    let mut world = World::new(Forge::Github);
    world.deliver(&seen(Some(5), "New.Corp", 1), 50);
    let new = &world.connections[&key("app-new-corp")].value;
    assert_eq!((new.created_by.as_str(), new.authority), ("webhook", false));
    assert_eq!((new.account.external_id, &new.organization), (Some(5), &org("acme")));
    assert_eq!(new.reasons, [ConnectionState::Limited]);
    assert_eq!(world.project(1).connection, key("app-new-corp"));
    // Another account whose name looks the same in a key.
    world.deliver(&seen(Some(6), "new-corp", 2), 51);
    assert_eq!(world.connections[&key("app-new-corp-6")].value.account.external_id, Some(6));
    // Members of such a connection are nobody's.
    let stranger =
        About { account: Some(AccountRef { id: Some(5), login: String::new() }), ..About::default() };
    world.deliver(&Event { about: stranger, ..event(None, added(3)) }, 52);
    assert!(world.members.is_empty());
    let both = source(Forge::Github, &["acme", "other"]);
    assert_eq!(ended(ask(&both, &[], &seen(Some(5), "new", 1))).verdict, Verdict::Unbound);
    assert!(to(&ask(&only, &[], &seen(Some(5), &"x".repeat(90), 1))).key.as_str().len() <= 63);
}

#[test]
fn gitlab_finds_by_project_by_group_and_by_path() {
    let source = source(Forge::Gitlab, &["acme"]);
    let top = connection("top", "acme", Forge::Gitlab, "acme", Some(ACME));
    let sub = connection("sub", "acme", Forge::Gitlab, "acme/deep", None);
    let all = [top, sub];
    let path = |path: &str| {
        let mut event = seen(None, "acme", 9);
        event.fact = Fact::RepositorySeen { repository: repo(9, path) };
        event
    };
    assert_eq!(to(&ask(&source, &all, &path("acme/one"))).key, key("top"));
    assert_eq!(to(&ask(&source, &all, &path("acme/deep/one"))).key, key("sub"));
    assert_eq!(to(&ask(&source, &all, &path("acme/deeper/one"))).key, key("top"));
    assert_eq!(to(&ask(&source, &all, &group_event(ACME, None, added(3)))).key, key("top"));
    let child = Fact::GroupSeen { group: 77, path: "x/y".to_owned(), from: None, parent: Some(ACME) };
    assert_eq!(to(&ask(&source, &all, &group_event(77, None, child))).key, key("top"));
    let mut acmes = path("acmes/one");
    acmes.about.account = Some(AccountRef { id: None, login: "acmes".to_owned() });
    assert_eq!(to(&ask(&source, &all, &acmes)).key, key("app-acmes"));
}

#[test]
fn an_instances_fact_without_an_account_goes_to_the_sources_connection() {
    let facts = [
        Fact::PersonDeleted { person: person(3) },
        Fact::PersonSeen { person: person(3) },
        Fact::KeyChanged { login: "user-3".to_owned(), added: true },
        Fact::HookDeleted { hook: 1 },
        Fact::AuthorizationRevoked { person: person(3) },
    ];
    let nobody = |fact: &Fact| Event { about: About::default(), ..event(None, fact.clone()) };
    let source = source(Forge::Gitlab, &["acme"]);
    let plain = Connection { authority: false, ..connection("a", "acme", Forge::Gitlab, "a", Some(1)) };
    let authority = connection("b", "acme", Forge::Gitlab, "b", Some(2));
    for fact in facts {
        assert_eq!(to(&ask(&source, std::slice::from_ref(&plain), &nobody(&fact))).key, key("a"));
        let both = [plain.clone(), authority.clone()];
        assert_eq!(to(&ask(&source, &both, &nobody(&fact))).key, key("b"));
        let none = ended(ask(&source, &[], &nobody(&fact)));
        assert_eq!((none.verdict, none.changes.len()), (Verdict::Done, 1));
    }
}

#[test]
fn numbers_are_learnt_from_the_first_event_that_tells_them() {
    let mut world = World::new(Forge::Github);
    assert_eq!(world.connection().account.external_id, None);
    world.deliver(&event(None, Fact::TeamChanged { team: None, person: None }), 50);
    let connection = world.connection();
    assert_eq!(connection.account.external_id, Some(ACME));
    assert_eq!(connection.installation, Some(INSTALLATION));
    assert_eq!((connection.last_event_at, connection.state()), (Some(at(50)), ConnectionState::Connected));
}

/// What a job has made and an admin has rejected: a connection of a source of its own.
fn rejected_by_admin(login: &str, id: Option<u64>, proof: Proof) -> Connection {
    Connection {
        source: SourceKey::parse("gitlab-acme").unwrap(),
        authority: false,
        proof,
        rejected_at: Some(at(20)),
        ..connection("gitlab-acme", "acme", Forge::Gitlab, login, id)
    }
}

fn rejecting(connection: Connection) -> World {
    let mut world = World::new(Forge::Gitlab);
    world.connections.clear();
    world.put(Change::PutConnection(Box::new(connection)));
    world
}

#[test]
fn no_event_makes_again_what_an_admin_has_rejected() {
    let out = Verdict::Ignored(Reason::AccountRejected);
    for (id, proof) in [(Some(ACME), Proof::Proven), (None, Proof::Claimed)] {
        let mut world = rejecting(rejected_by_admin("Acme", id, proof));
        let by_path = world.deliver(&seen(None, "acme", 9), 50);
        assert_eq!((&by_path.verdict, by_path.connection), (&out, Some(key("gitlab-acme"))), "{proof:?}");
        let known = id.map(|id| world.deliver(&group_event(id, None, added(3)), 51).verdict);
        assert!(known.is_none_or(|verdict| verdict == out), "by its number, without a name");
        assert_eq!((world.connections.len(), world.projects.len(), world.members.len()), (1, 0, 0));
    }
    // Renamed since: the number still tells. A subgroup is told with the group above it.
    let mut world = rejecting(rejected_by_admin("before", Some(ACME), Proof::Proven));
    let numbered = |project| Event {
        about: About { group: Some(ACME), ..seen(None, "acme", project).about },
        ..seen(None, "acme", project)
    };
    let mut itself = numbered(9);
    itself.fact = Fact::GroupSeen { group: ACME, path: "acme".to_owned(), from: None, parent: None };
    assert_eq!(world.deliver(&itself, 50).verdict, out);
    let mut below = numbered(9);
    below.about.group = Some(77);
    below.fact = Fact::GroupSeen { group: 77, path: "acme/x".to_owned(), from: None, parent: Some(ACME) };
    assert_eq!(world.deliver(&below, 51).verdict, out);
    // Neither a longer name nor the number of somebody who has the name by now is rejected.
    let mut world = rejecting(rejected_by_admin("acme", Some(5), Proof::Proven));
    world.deliver(&seen(None, "acmes", 10), 50);
    world.deliver(&Event { fact: itself.fact.clone(), ..itself }, 51);
    assert_eq!(world.connections.len(), 3);
}

#[test]
fn events_through_a_rejected_connections_own_source_are_ignored_and_who_leaves_is_out_all_the_same() {
    let out = Verdict::Ignored(Reason::AccountRejected);
    let mut world = World::new(Forge::Gitlab);
    world.deliver(&seen(None, "acme", 9), 50);
    world.deliver(&group_event(ACME, None, added(3)), 51);
    world.change_connection(|connection| connection.rejected_at = Some(at(60)));
    let before = world.project(9).clone();
    for event in [seen(None, "acme", 9), seen(None, "acme", 10), seen(None, "beta", 9)] {
        assert_eq!(world.deliver(&event, 70).verdict, out, "{event:?}");
    }
    assert_eq!((world.project(9), world.projects.len()), (&before, 1));
    assert_eq!(world.deliver(&group_event(ACME, None, added(4)), 71).verdict, out);
    assert!(!world.members.contains_key(&4));
    world.deliver(&group_event(ACME, None, removed(3)), 72);
    assert_eq!(world.member(3).state, MemberState::Removed);
    // Rejected between the two looks at the records.
    let event = seen(None, "acme", 11);
    let held = handle(&event, &world.known(&event, world.connection(), at(73)));
    assert_eq!((held.verdict, held.changes.len()), (out, 0));
}

#[test]
fn what_goes_on_under_another_connection_is_heard_there() {
    let mut world = rejecting(rejected_by_admin("acme", Some(ACME), Proof::Proven));
    let live = connection("app-acme", "acme", Forge::Gitlab, "acme", Some(ACME));
    world.put(Change::PutConnection(Box::new(live.clone())));
    world.deliver(&seen(None, "acme", 9), 50);
    assert_eq!(world.project(9).connection, key("app-acme"));
    let both =
        [Connection { rejected_at: Some(at(1)), ..live.clone() }, Connection { key: key("b"), ..live }];
    let person = Fact::PersonSeen { person: person(3) };
    let nobody = Event { about: About::default(), ..event(None, person) };
    assert_eq!(to(&ask(&world.source, &both, &nobody)).key, key("b"));
}
