//! Who belongs, and what no payload can do about it.

use super::*;
use crate::domain::change::{Reason, Verdict};
use crate::domain::organization::BREAK_GLASS;

fn invited(person: Option<Person>) -> Fact {
    Fact::MemberInvited { person, role: None }
}

fn changed(id: u64) -> Fact {
    Fact::MemberChanged { person: person(id), role: Some("admin".to_owned()) }
}

/// One member in a state, as the forge confirmed it at 10.
fn world(state: Option<MemberState>) -> World {
    let mut world = World::new(Forge::Github);
    if let Some(state) = state {
        world.deliver(&event(Some(10), added(3)), 10);
        world.confirm(3, Role::Member);
        world.members.get_mut(&3).unwrap().value.state = state;
    }
    world.change_connection(|connection| connection.roster_stale_since = None);
    world
}

#[test]
fn s08_no_payload_lets_anybody_in() {
    use MemberState::{Active, Pending, Removed};
    let cases = [
        (None, added(3), Pending),
        (None, changed(3), Pending),
        (None, invited(Some(person(3))), Pending),
        (Some(Pending), added(3), Pending),
        (Some(Pending), changed(3), Pending),
        (Some(Removed), added(3), Pending),
        (Some(Removed), changed(3), Pending),
        (Some(Active), added(3), Active),
        (Some(Active), changed(3), Active),
        (Some(Active), invited(Some(person(3))), Active),
    ];
    for (before, fact, after) in cases {
        let mut world = world(before);
        let was = world.members.get(&3).map(|found| found.value.role);
        world.deliver(&event(Some(20), fact.clone()), 5000);
        let member = world.member(3);
        assert_eq!(member.state, after, "{before:?} {fact:?}");
        // Who is frozen has a role that opens nothing.
        let role = if after == Active || before == Some(Pending) { was.flatten() } else { None };
        assert_eq!(member.role, role, "{before:?} {fact:?}: a payload gave or kept a role");
        assert_eq!(world.connection().roster_stale_since, Some(at(5000)), "{before:?} {fact:?}");
    }
}

#[test]
fn s32_who_leaves_is_out_at_once_and_an_older_word_does_not_bring_them_back() {
    let mut world = world(Some(MemberState::Active));
    world.deliver(&event(Some(30), removed(3)), 100);
    assert_eq!((world.member(3).state, world.member(3).removed_at), (MemberState::Removed, Some(at(30))));
    for late in [added(3), changed(3), invited(Some(person(3)))] {
        let changes = world.deliver(&event(Some(29), late.clone()), 200);
        assert!(matches!(changes.verdict, Verdict::Superseded(_)), "{late:?}");
        assert_eq!(world.member(3).state, MemberState::Removed, "{late:?}");
    }
    world.deliver(&event(Some(31), added(3)), 300);
    assert_eq!((world.member(3).state, world.member(3).removed_at), (MemberState::Pending, None));
}

#[test]
fn a_removal_that_comes_first_is_remembered() {
    let mut world = world(None);
    world.deliver(&event(Some(30), removed(3)), 100);
    let changes = world.deliver(&event(Some(20), added(3)), 200);
    assert!(matches!(changes.verdict, Verdict::Superseded(_)));
    assert_eq!(world.member(3).state, MemberState::Removed);
}

#[test]
fn without_a_time_of_the_forge_the_time_of_receipt_counts() {
    let mut world = world(Some(MemberState::Active));
    world.deliver(&event(None, removed(3)), 100);
    let changes = world.deliver(&event(None, added(3)), 99);
    assert!(matches!(changes.verdict, Verdict::Superseded(_)));
    assert_eq!(world.member(3).state, MemberState::Removed);
}

#[test]
fn a_forge_whose_clock_runs_ahead_does_not_freeze_a_member() {
    let mut world = world(Some(MemberState::Active));
    world.deliver(&event(Some(i64::MAX), changed(3)), 1000);
    world.deliver(&event(None, removed(3)), 1000 + 6 * 60 * 1000);
    assert_eq!(world.member(3).state, MemberState::Removed);
}

#[test]
fn s07_a_removal_seen_before_freezes_and_does_not_put_out() {
    let mut world = world(Some(MemberState::Active));
    world.replay_suspected = true;
    world.deliver(&event(Some(30), removed(3)), 100);
    assert_eq!(world.member(3).state, MemberState::Pending);
    assert_eq!(world.connection().roster_stale_since, Some(at(100)));
    assert!(world.actions().contains(&"member.frozen"));
    world.deliver(&event(Some(40), added(3)), 200);
    assert_eq!(world.member(3).state, MemberState::Pending, "a copy grants nothing");
}

#[test]
fn s33_an_event_freezes_an_admin_until_the_forge_is_asked_and_puts_nobody_out_for_good() {
    for fact in [removed(3), Fact::PersonDeleted { person: person(3) }] {
        let mut world = world(Some(MemberState::Active));
        world.change_connection(|connection| "app".clone_into(&mut connection.credential));
        world.confirm(3, Role::Admin);
        let changes = world.deliver(&event(Some(30), fact.clone()), 5000);
        assert_eq!((world.member(3).state, world.member(3).role), (MemberState::Pending, Some(Role::Admin)));
        assert!(world.member(3).is_frozen() && world.actions().contains(&"member.frozen"), "{fact:?}");
        assert!(!changes.changes.iter().any(|change| matches!(change, Change::EndAccess(..))), "{fact:?}");
        assert_eq!(World::wishes(&changes), [(TaskKind::SyncPerson, "3".to_owned(), at(15_000))], "{fact:?}");
        world.deliver(&event(Some(31), fact.clone()), 6000);
        assert!(world.member(3).is_frozen(), "a second word is no proof either: {fact:?}");
        world.deliver(&event(Some(32), added(3)), 7000);
        assert!(world.member(3).is_frozen(), "nor is a third that they are back: {fact:?}");
    }
}

#[test]
fn s33_no_event_touches_the_break_glass_admin() {
    let facts = [
        removed(3),
        changed(3),
        invited(Some(person(3))),
        Fact::PersonDeleted { person: person(3) },
        Fact::AuthorizationRevoked { person: person(3) },
    ];
    for fact in facts {
        for replayed in [false, true] {
            let mut world = world(Some(MemberState::Active));
            world.confirm(3, Role::Admin);
            BREAK_GLASS.clone_into(&mut world.members.get_mut(&3).unwrap().value.role_source);
            world.replay_suspected = replayed;
            let changes = world.deliver(&event(Some(30), fact.clone()), 100);
            let member = world.member(3);
            assert_eq!((member.state, member.role), (MemberState::Active, Some(Role::Admin)), "{fact:?}");
            assert!(member.is_break_glass(), "{fact:?}");
            let ends = |change: &Change| matches!(change, Change::EndAccess(..));
            assert!(!changes.changes.iter().any(ends), "{fact:?}");
        }
    }
}

#[test]
fn only_the_authority_speaks_about_members() {
    let facts = [
        added(3),
        changed(3),
        removed(3),
        invited(Some(person(3))),
        Fact::TeamChanged { team: Some(1), person: Some(person(3)) },
    ];
    for authority in [None, Some(key("another"))] {
        for fact in &facts {
            let mut world = world(Some(MemberState::Active));
            world.organization.authority.clone_from(&authority);
            let before = world.members[&3].clone();
            let changes = world.deliver(&event(Some(20), fact.clone()), 100);
            assert_eq!(changes.verdict, Verdict::Ignored(Reason::NoAuthority), "{fact:?}");
            assert_eq!(world.members[&3], before, "{fact:?}");
        }
    }
}

#[test]
fn a_body_that_names_nobody_empties_nothing() {
    for fact in [Fact::MemberRemoved { person: None }, invited(None)] {
        let mut world = world(Some(MemberState::Active));
        let changes = world.deliver(&event(None, fact.clone()), 100);
        assert_eq!(changes.verdict, Verdict::Done, "{fact:?}");
        assert_eq!(world.member(3).state, MemberState::Active, "{fact:?}");
        assert_eq!(world.connection().roster_stale_since, Some(at(100)), "{fact:?}");
    }
}

#[test]
fn a_bot_is_no_member() {
    let bot = Person { bot: true, ..person(4) };
    let facts = [
        Fact::MemberAdded { person: bot.clone(), role: None },
        Fact::MemberChanged { person: bot.clone(), role: None },
        Fact::MemberInvited { person: Some(bot.clone()), role: None },
        Fact::MemberRemoved { person: Some(bot) },
    ];
    for fact in facts {
        let mut world = world(None);
        assert_eq!(world.deliver(&event(None, fact.clone()), 100).verdict, Verdict::Done, "{fact:?}");
        assert!(world.members.is_empty(), "{fact:?}");
    }
}

#[test]
fn a_subgroups_members_are_not_the_organizations() {
    for fact in [added(3), removed(3), changed(3)] {
        let mut world = World::new(Forge::Gitlab);
        world.deliver(&group_event(ACME, Some(10), added(3)), 10);
        world.confirm(3, Role::Member);
        world.change_connection(|connection| connection.roster_stale_since = None);
        let changes = world.deliver(&group_event(555, Some(20), fact.clone()), 100);
        assert_eq!(changes.verdict, Verdict::Done, "{fact:?}");
        assert_eq!(world.member(3).state, MemberState::Active, "{fact:?}");
        assert_eq!(world.connection().roster_stale_since, Some(at(100)), "{fact:?}");
    }
}

#[test]
fn a_deleted_person_leaves_and_a_renamed_one_keeps_the_old_name() {
    let mut world = world(Some(MemberState::Active));
    let renamed = Person { login: "newest".to_owned(), ..person(3) };
    world.deliver(&event(Some(20), Fact::PersonRenamed { person: renamed, from: "user-3".to_owned() }), 100);
    assert_eq!(world.member(3).login, "newest");
    assert_eq!(world.member(3).previous_logins, ["user-3"]);
    let late = Fact::PersonRenamed { person: person(3), from: "first".to_owned() };
    world.deliver(&event(Some(5), late), 200);
    assert_eq!(world.member(3).login, "newest");
    assert_eq!(world.member(3).previous_logins, ["user-3", "first"]);
    world.deliver(&event(Some(30), Fact::PersonDeleted { person: person(3) }), 300);
    assert_eq!(world.member(3).state, MemberState::Removed);
}

#[test]
fn what_only_the_log_keeps_is_in_the_log() {
    let facts = [
        (Fact::PersonSeen { person: person(3) }, "person.seen"),
        (Fact::PersonBlocked { person: person(3) }, "person.blocked"),
        (Fact::PersonDeleted { person: person(9) }, "person.deleted"),
        (Fact::AuthorizationRevoked { person: person(3) }, "person.authorization-revoked"),
        (Fact::KeyChanged { login: "user-3".to_owned(), added: true }, "person.key-added"),
        (Fact::KeyChanged { login: "user-3".to_owned(), added: false }, "person.key-removed"),
    ];
    for (fact, action) in facts {
        let mut world = world(Some(MemberState::Active));
        let changes = world.deliver(&event(None, fact), 100);
        assert_eq!(changes.verdict, Verdict::Done, "{action}");
        assert_eq!(world.actions().last(), Some(&action));
        assert_eq!(world.member(3).state, MemberState::Active, "{action}");
    }
}

#[test]
fn a_payloads_text_stays_short_and_on_one_line_in_the_log() {
    let mut world = world(None);
    let login = format!("a\nb\u{1b}[31m{}", "ä".repeat(600));
    world.deliver(&event(None, Fact::KeyChanged { login, added: true }), 100);
    let subject = &world.audit.last().unwrap().subject;
    assert!(subject.len() <= 512 && subject.starts_with("ab[31m"), "{subject}");
}

#[test]
fn s08_every_word_about_a_person_has_the_forge_asked_about_them_ten_seconds_later() {
    let whole = |ms| vec![(TaskKind::SyncMembers, String::new(), at(ms))];
    let one = |ms| vec![(TaskKind::SyncPerson, "3".to_owned(), at(ms))];
    for (fact, expected) in [
        (added(3), one(15_000)),
        (changed(3), one(15_000)),
        (removed(3), one(15_000)),
        (invited(Some(person(3))), one(15_000)),
        (Fact::PersonDeleted { person: person(3) }, one(15_000)),
        (invited(None), whole(15_000)),
        (Fact::MemberRemoved { person: None }, whole(15_000)),
        (Fact::TeamChanged { team: None, person: None }, whole(15_000)),
    ] {
        for credential in ["access_token", "none"] {
            let mut world = world(Some(MemberState::Active));
            world.change_connection(|connection| credential.clone_into(&mut connection.credential));
            let changes = world.deliver(&event(Some(20), fact.clone()), 5000);
            let asks = credential != "none" || world.connection().credential != "none";
            let expected = if asks { expected.clone() } else { Vec::new() };
            assert_eq!(World::wishes(&changes), expected, "{fact:?} with {credential}");
        }
    }
}

#[test]
fn s08_a_word_through_another_connection_than_the_authority_asks_for_nothing() {
    let mut world = world(Some(MemberState::Active));
    world.change_connection(|connection| "app".clone_into(&mut connection.credential));
    world.organization.authority = Some(key("somebody-else"));
    for fact in [added(3), removed(3), invited(None), Fact::Suspended, Fact::Unsuspended] {
        let changes = world.deliver(&event(Some(20), fact.clone()), 5000);
        let about_people = |kind: &TaskKind| matches!(kind, TaskKind::SyncMembers | TaskKind::SyncPerson);
        let asks = World::wishes(&changes).into_iter().filter(|(kind, ..)| about_people(kind));
        assert_eq!(asks.count(), 0, "{fact:?}");
    }
}

#[test]
fn who_takes_the_authorization_back_is_logged_out_unless_the_same_bytes_came_before() {
    for (replayed, ends) in [(false, true), (true, false)] {
        let mut world = world(Some(MemberState::Active));
        world.replay_suspected = replayed;
        let changes = world.deliver(&event(None, Fact::AuthorizationRevoked { person: person(3) }), 100);
        let ended =
            |change: &Change| matches!(change, Change::EndAccess(id, _) if *id == world.member(3).id());
        assert_eq!(changes.changes.iter().any(ended), ends, "{replayed}");
        assert_eq!(world.member(3).state, MemberState::Active, "the membership is another matter");
    }
}
