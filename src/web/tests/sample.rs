//! One of each record.

use super::NOW;
use crate::domain::change::AuditEntry;
use crate::domain::connection::Beginning;
use crate::domain::delivery::{DeliveryRecord, DeliveryState};
use crate::domain::organization::*;
use crate::domain::project::{Project, Proof};
use crate::domain::roster::{HeldPerson, Hold, HoldCause, HoldState};
use crate::domain::*;

pub(super) fn slug(text: &str) -> OrganizationSlug {
    OrganizationSlug::parse(text).unwrap()
}

pub(super) fn host() -> Host {
    Host::of(&"https://github.com".parse().unwrap()).unwrap()
}

pub(super) fn delivery_id(n: u8) -> DeliveryId {
    DeliveryId::from_bytes([n; 16])
}

pub(super) fn organization(name: &str) -> Organization {
    let (home, authority) = (None, Some(connection(name).key));
    let created_by = "config".to_owned();
    Organization {
        slug: slug(name),
        name: name.to_owned(),
        home,
        authority,
        created_by,
        created_at: NOW,
        members: Default::default(),
        break_glass: None,
    }
}

pub(super) fn connection(name: &str) -> Connection {
    Connection {
        credential: "app".to_owned(),
        installation: Some(2),
        authority: true,
        permissions: [("metadata".to_owned(), "read".to_owned())].into(),
        last_event_at: Some(NOW),
        ..Connection::begin(Beginning {
            key: ConnectionKey::parse(&format!("{name}-github")).unwrap(),
            organization: slug(name),
            kind: Kind::GithubCloud,
            host: host(),
            url: "https://github.com".parse().unwrap(),
            account: Account { login: name.to_owned(), external_id: Some(7) },
            source: SourceKey::parse(&format!("{name}-github")).unwrap(),
            created_by: "cli".to_owned(),
            created_at: NOW,
        })
    }
}

pub(super) fn project(name: &str) -> Project {
    Project {
        organization: slug(name),
        connection: connection(name).key,
        provider: Forge::Github,
        host: host(),
        external_id: 9_007_199_254_740_993,
        namespace: None,
        claimed_as: None,
        full_path: format!("{name}/site"),
        previous_paths: vec![],
        default_branch: None,
        visibility: None,
        archived: false,
        removed: false,
        moved_away: false,
        paused: false,
        ci_state: "none".to_owned(),
        first_seen_at: NOW,
        last_check_in_at: None,
        last_push_at: None,
        last_pipeline: None,
        seen_at: None,
        proof: Proof::Proven,
    }
}

pub(super) fn member(name: &str) -> Member {
    Member {
        organization: slug(name),
        host: host(),
        external_id: 5,
        login: format!("{name}-person"),
        previous_logins: vec![],
        role: None,
        role_source: "forge".to_owned(),
        state: MemberState::Pending,
        source: connection(name).key,
        seen_at: None,
        last_confirmed_at: None,
        removed_at: None,
    }
}

pub(super) fn record(n: u8, organization: Option<&str>, state: DeliveryState) -> DeliveryRecord {
    DeliveryRecord {
        id: delivery_id(n),
        source: SourceKey::parse("acme-github").unwrap(),
        provider: "github".to_owned(),
        organization: organization.map(slug),
        connection: None,
        event: "push".to_owned(),
        action: None,
        external_id: n.to_string(),
        hook_id: String::new(),
        received_at: NOW,
        state,
        attempts: 1,
        duplicates: 0,
        last_error: None,
        reason: None,
        replay_suspected: false,
        body_bytes: 2,
        secret_slot: 0,
        finished_at: None,
        due_at: None,
        lane: String::new(),
    }
}

pub(super) fn audit(name: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        organization: Some(slug(name)),
        actor: "config".to_owned(),
        action: "organization.created".to_owned(),
        subject: name.to_owned(),
        detail: String::new(),
        ..AuditEntry::default()
    }
}

/// Its id is made of the organization's name and the person.
pub(super) fn hold(name: &str) -> Hold {
    let login = format!("{name}-leaver");
    Hold {
        organization: slug(name),
        connection: connection(name).key,
        cause: HoldCause::TooMany,
        since: NOW,
        expires_at: NOW.plus_ms(1_000_000),
        managed: 4,
        people: vec![HeldPerson { id: 5, login, role: Some(Role::Member) }],
        last_admin: None,
        state: HoldState::Waiting,
        decided_by: None,
    }
}

pub(super) fn finding(name: &str) -> crate::domain::scan::Finding {
    crate::domain::scan::Finding {
        organization: slug(name),
        project: "p".to_owned(),
        full_path: format!("{name}/site"),
        git_ref: "main".to_owned(),
        fingerprint: "f".to_owned(),
        rule: "r".to_owned(),
        path: "a.py".to_owned(),
        line: 1,
        end_line: 1,
        message: String::new(),
        severity: 2,
        is_blocking: true,
        sha: None,
        last_scan: 1,
        first_seen_at: NOW,
        last_seen_at: NOW,
        fixed_at: None,
    }
}

pub(super) fn task(name: &str) -> task::Task {
    let kind = task::TaskKind::CheckConnection;
    let wish = task::Wish::now(kind, &slug(name), &connection(name).key, "cli", NOW);
    task::Task::wished(None, &wish)
}
