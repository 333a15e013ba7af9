//! What queues behind what.

use super::*;
use crate::handler::lane;

#[test]
fn events_about_the_same_thing_share_a_lane_and_only_those() {
    let no_app = |fact| Event {
        about: About { installation: None, ..event(None, Fact::Ping).about },
        ..event(None, fact)
    };
    let run = |kind, id, parent| Fact::RunChanged {
        repository: repo(1, "acme/one"),
        run: super::run::told(kind, id, parent),
    };
    let cases = [
        (event(None, Fact::Suspended), "installation:7", true),
        (event(None, Fact::Uninstalled), "installation:7", true),
        (no_app(Fact::AccountDeleted), "installation:100", true),
        (group_event(55, None, Fact::GroupDeleted { group: 55 }), "installation:55", true),
        (event(None, added(3)), "member:100:3", true),
        (event(None, removed(3)), "member:100:3", true),
        (event(None, Fact::MemberRemoved { person: None }), "member:100:-", true),
        (group_event(55, None, added(3)), "member:55:3", true),
        (event(None, Fact::TeamChanged { team: Some(9), person: None }), "team:100:9", true),
        (event(None, Fact::PersonDeleted { person: person(3) }), "person:3", false),
        (event(None, Fact::AuthorizationRevoked { person: person(3) }), "person:3", false),
        (event(None, Fact::RepositoryDeleted { repository: repo(1, "acme/one") }), "project:1", false),
        (event(None, run(RunKind::Pipeline, 20, None)), "run:1:20", false),
        (event(None, run(RunKind::Job, 21, Some(20))), "run:1:20", false),
        (event(None, Fact::Unwanted), "misc:event", false),
    ];
    for (event, key, blocks) in cases {
        let lane = lane(&event);
        assert_eq!((lane.key.as_str(), lane.blocks), (key, blocks), "{event:?}");
    }
}

#[test]
fn a_lane_is_never_longer_than_its_bound_and_long_ones_stay_apart() {
    let long = |last: &str| Event { name: "x".repeat(500) + last, ..event(None, Fact::Unwanted) };
    let (one, two) = (lane(&long("1")), lane(&long("2")));
    assert!(one.key.len() <= 200 && one.key.starts_with("misc:"), "{}", one.key);
    assert_ne!(one, two);
}
