//! The file against the records.

use super::*;
use crate::domain::break_glass::BreakGlass;
use crate::domain::declared::{Declared, DeclaredConnection, DeclaredOrganization};
use crate::handler::{Have, declare};

fn declared(name: &str) -> DeclaredConnection {
    DeclaredConnection {
        key: key(name),
        organization: org("acme"),
        kind: Kind::GithubCloud,
        url: url(Forge::Github),
        host: host(Forge::Github),
        login: "acme".to_owned(),
        source: SourceKey::parse(name).unwrap(),
        credential: "none".to_owned(),
        installation: None,
    }
}

fn file() -> Declared {
    let organization = DeclaredOrganization {
        slug: org("acme"),
        name: "Acme".to_owned(),
        home: None,
        authority: Some(key("acme-github")),
        members: None,
        break_glass: None,
    };
    Declared {
        organizations: vec![organization],
        sources: vec![],
        connections: vec![declared("acme-github")],
    }
}

fn apply(have: &mut Have, changes: &[Change]) -> Vec<String> {
    let mut actions = Vec::new();
    for change in changes.iter().cloned() {
        match change {
            Change::PutOrganization(new) => {
                have.organizations.retain(|old| old.slug != new.slug);
                have.organizations.push(new);
            }
            Change::PutSource(new) => {
                have.sources.retain(|old| old.key != new.key);
                have.sources.push(new);
            }
            Change::PutConnection(new) => {
                have.connections.retain(|old| old.key != new.key);
                have.connections.push(*new);
            }
            Change::PutMember(new) => {
                have.members.retain(|old| old.id() != new.id());
                have.members.push(*new);
            }
            Change::EndAccess(id, _) => actions.push(format!("ends {id}")),
            Change::Wish(wish) => actions.push(format!("{} {}", wish.kind.as_str(), wish.subject)),
            Change::Audit(line) => {
                assert_eq!(line.actor, "config");
                actions.push(line.action);
            }
            other => panic!("{other:?}"),
        }
    }
    actions
}

fn recorded() -> Have {
    let mut have = Have::default();
    let (changes, warnings) = declare(&file(), &have, at(1));
    assert!(warnings.is_empty(), "{warnings:?}");
    let actions = apply(&mut have, &changes);
    assert_eq!(actions, ["organization.created", "source.created", "connection.created"]);
    have
}

#[test]
fn a_file_makes_what_it_names_and_a_second_reading_changes_nothing() {
    let have = recorded();
    let [connection] = have.connections.as_slice() else { panic!("{have:?}") };
    assert_eq!(connection.state(), ConnectionState::WaitingFirstJob);
    assert!(connection.authority);
    let [source] = have.sources.as_slice() else { panic!("{have:?}") };
    assert_eq!((source.key.as_str(), &source.organizations), ("acme-github", &vec![org("acme")]));
    assert_eq!(declare(&file(), &have, at(2)), (vec![], vec![]));
}

#[test]
fn what_was_learnt_stays() {
    let mut have = recorded();
    let connection = &mut have.connections[0];
    connection.account = Account { login: "acme-renamed".to_owned(), external_id: Some(ACME) };
    connection.installation = Some(8);
    connection.last_event_at = Some(at(5));
    connection.reasons = vec![ConnectionState::Suspended];
    let before = connection.clone();
    let mut file = file();
    file.connections[0].installation = Some(7);
    file.connections[0].credential = "app".to_owned();
    let (changes, warnings) = declare(&file, &have, at(9));
    apply(&mut have, &changes);
    assert_eq!(have.connections[0], Connection { credential: "app".to_owned(), ..before });
    assert!(warnings[0].contains("\"acme-renamed\""), "{warnings:?}");
}

#[test]
fn what_the_file_drops_is_kept_and_taken_up_again_when_it_comes_back() {
    let mut have = recorded();
    let dropped = Declared { connections: vec![], ..file() };
    let dropped = Declared {
        organizations: vec![DeclaredOrganization { authority: None, ..dropped.organizations[0].clone() }],
        ..dropped
    };
    let (changes, warnings) = declare(&dropped, &have, at(2));
    assert_eq!(apply(&mut have, &changes), ["source.removed", "connection.removed"]);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(have.sources[0].removed && !have.connections[0].authority);
    assert_eq!(have.connections[0].state(), ConnectionState::Uninstalled);
    assert_eq!(have.organizations[0].authority, None);
    assert_eq!(declare(&dropped, &have, at(3)), (vec![], vec![]), "said once");
    let (changes, warnings) = declare(&file(), &have, at(4));
    assert_eq!(apply(&mut have, &changes), ["source.created", "connection.created"]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(!have.sources[0].removed && have.connections[0].authority);
    assert_eq!(have.connections[0].state(), ConnectionState::WaitingFirstJob);
}

#[test]
fn what_was_made_elsewhere_is_left_alone() {
    let mut have = recorded();
    let mut made = connection("made-here", "acme", Forge::Github, "other", Some(9));
    made.created_by = "setup".to_owned();
    made.authority = false;
    have.connections.push(made);
    have.sources.push(Source { created_by: "setup".to_owned(), ..source(Forge::Github, &["acme"]) });
    have.organizations.push(Organization {
        slug: org("other"),
        name: "Other".to_owned(),
        home: None,
        authority: None,
        created_by: "cli".to_owned(),
        created_at: at(0),
        members: Default::default(),
        break_glass: None,
    });
    assert_eq!(declare(&file(), &have, at(2)), (vec![], vec![]));
}

#[test]
fn a_key_never_changes_its_owner() {
    let have = recorded();
    let mut file = file();
    file.organizations.push(DeclaredOrganization {
        slug: org("rival"),
        name: "Rival".to_owned(),
        home: None,
        authority: None,
        members: None,
        break_glass: None,
    });
    file.connections[0].organization = org("rival");
    let (changes, warnings) = declare(&file, &have, at(2));
    assert!(!changes.iter().any(|change| matches!(change, Change::PutConnection(_))), "{changes:?}");
    assert!(warnings[0].contains("never changes its owner"), "{warnings:?}");
}

/// The file, which names somebody as an admin whatever the forges say.
fn naming(person: Option<BreakGlass>) -> Declared {
    let mut file = file();
    file.organizations[0].break_glass = person;
    file
}

fn ada() -> BreakGlass {
    BreakGlass { login: "ada".to_owned(), host: host(Forge::Github), external_id: 3 }
}

#[test]
fn s33_whom_the_file_names_is_an_admin_and_a_second_reading_changes_nothing() {
    let mut have = recorded();
    for person in [BreakGlass::local("keeper"), ada()] {
        let (changes, warnings) = declare(&naming(Some(person.clone())), &have, at(2));
        assert!(warnings.is_empty(), "{warnings:?}");
        let told = apply(&mut have, &changes);
        assert_eq!(told.last().map(String::as_str), Some("member.break-glass"));
        let member = have.members.iter().find(|member| person.is_of(member)).unwrap();
        assert_eq!((member.state, member.role), (MemberState::Active, Some(Role::Admin)));
        assert!(member.is_break_glass() && member.login == person.login);
        assert_eq!(declare(&naming(Some(person)), &have, at(3)), (vec![], vec![]));
    }
    let kept = have.members.iter().filter(|member| member.is_break_glass()).count();
    assert_eq!(kept, 1, "one at a time");
    // What the forge has told of them since is no reason to write.
    let member = have.members.iter_mut().find(|member| ada().is_of(member)).unwrap();
    member.login = "countess".to_owned();
    member.last_confirmed_at = Some(at(4));
    assert_eq!(declare(&naming(Some(ada())), &have, at(5)), (vec![], vec![]));
}

#[test]
fn s33_whom_the_file_names_no_more_is_no_admin_from_then_on() {
    for (person, credential, off, asked) in [
        (BreakGlass::local("keeper"), "app", false, false),
        (ada(), "app", false, true),
        (ada(), "none", false, false),
        (ada(), "app", true, false),
    ] {
        let mut have = recorded();
        let (changes, _) = declare(&naming(Some(person.clone())), &have, at(2));
        apply(&mut have, &changes);
        credential.clone_into(&mut have.connections[0].credential);
        let mut file = naming(None);
        credential.clone_into(&mut file.connections[0].credential);
        if off {
            have.connections[0].add_reason(ConnectionState::Suspended);
        }
        let id = have.members[0].id();
        let (changes, _) = declare(&file, &have, at(3));
        let told = apply(&mut have, &changes);
        let first = if asked { "sync_person 3".to_owned() } else { format!("ends {id}") };
        assert_eq!(told, [first, "member.break-glass-ended".to_owned()], "{person:?} {credential} {off}");
        let (member, state) =
            (&have.members[0], if asked { MemberState::Pending } else { MemberState::Removed });
        assert_eq!((member.state, member.role, member.is_break_glass()), (state, None, false));
        assert_eq!(have.organizations[0].break_glass, None);
        assert_eq!(declare(&file, &have, at(4)), (vec![], vec![]), "said once");
    }
    let mut have = recorded();
    let (changes, _) = declare(&naming(Some(ada())), &have, at(2));
    apply(&mut have, &changes);
    let nothing = Declared::default();
    let (changes, _) = declare(&nothing, &have, at(3));
    assert!(
        apply(&mut have, &changes).contains(&"member.break-glass-ended".to_owned()),
        "with the organization"
    );
    assert!(!have.members[0].is_break_glass() && have.organizations[0].break_glass.is_none());
}
