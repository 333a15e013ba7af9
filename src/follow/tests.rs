//! Timers and stamps when the clock was wrong for a while.

use super::read::read_whole;
use super::timer::{is_due, is_time};
use super::{Reach, missed};
use crate::domain::connection::Beginning;
use crate::domain::health::Channel;
use crate::domain::organization::{Account, Connection, Forge, Kind};
use crate::domain::roster::Subject;
use crate::domain::task::{Task, TaskState};
use crate::domain::{ConnectionKey, Host, OrganizationSlug, SourceKey, Timestamp};

const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn connection() -> Connection {
    let url = url::Url::parse("https://forge.example.com").unwrap();
    let host = Host::of(&url).unwrap();
    Connection::begin(Beginning {
        key: ConnectionKey::parse("acme-forge").unwrap(),
        organization: OrganizationSlug::parse("acme").unwrap(),
        kind: Kind::of(Forge::Github, &host),
        host,
        url,
        account: Account { login: "acme".into(), external_id: Some(7) },
        source: SourceKey::parse("acme-forge").unwrap(),
        created_by: "cli".into(),
        created_at: NOON,
    })
}

fn ended(at: Timestamp) -> Task {
    let task = Task::wished(None, &missed(&connection(), "timer", at));
    Task { state: TaskState::Done, finished_at: Some(at), ..task }
}

#[test]
fn r41_what_a_clock_that_was_ahead_has_written_is_not_waited_for() {
    let connection = connection();
    let looks = |at| {
        let task = ended(at);
        let due = is_due(&connection, Some(&task), Reach::Reached, NOON);
        (due, is_time(&connection, Some(&task), Reach::Reached, NOON))
    };
    assert_eq!(looks(NOON.plus_ms(-1_000)), (false, false));
    assert_eq!(looks(NOON.plus_ms(-DAY_MS)), (true, true));
    assert_eq!(looks(NOON.plus_ms(DAY_MS)), (true, true), "the clock was set back by a day");
}

#[test]
fn what_no_hook_tells_of_is_asked_for_more_often() {
    let mut connection = connection();
    let task = ended(NOON.plus_ms(-11 * 60_000));
    let recent = ended(NOON.plus_ms(-2 * 60_000));
    let looks = |connection: &Connection| {
        let members = is_due(connection, Some(&task), Reach::Reached, NOON);
        (members, is_time(connection, Some(&recent), Reach::Reached, NOON))
    };
    assert_eq!(looks(&connection), (false, false));
    connection.health.channel = Channel::Polling;
    assert_eq!(looks(&connection), (true, true));
}

#[test]
fn r41_a_whole_reading_replaces_what_lies_ahead() {
    let ahead = Some(NOON.plus_ms(DAY_MS));
    let read = |stamp: Option<Timestamp>, began_at| {
        let mut new = Connection {
            last_sync_at: stamp,
            members_read_at: stamp,
            roster_stale_since: stamp,
            ..connection()
        };
        read_whole(&mut new, &connection().account, Subject::People, began_at, true, NOON);
        (new.last_sync_at, new.members_read_at, new.roster_stale_since)
    };
    let began_at = NOON.plus_ms(-60_000);
    assert_eq!(read(ahead, began_at), (Some(began_at), Some(began_at), None));
    let newer = Some(NOON.plus_ms(-5_000));
    assert_eq!(read(newer, began_at), (newer, newer, newer), "told while the lists were read");
}
