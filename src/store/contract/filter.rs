//! Lists: each filter picks what has it, alone and beside others, and no page loses or repeats a record.

use std::fmt::Debug;

use super::bench::{Bench, NOON};
use super::records::{audit_line, connection, host, member, page, project, slug};
use crate::domain::change::{AuditEntry, Change};
use crate::domain::organization::{ConnectionState, Forge, Kind, MemberState, Role};
use crate::domain::project::{ProjectState, Proof, Visibility};
use crate::domain::{Host, OrganizationSlug};
use crate::store::{
    AuditFilter, ConnectionFilter, DeliveryFilter, MemberFilter, Page, Paged, ProjectFilter, Store,
    StoreError,
};

fn elsewhere() -> Host {
    Host::of(&url::Url::parse("https://gitlab.example.com").unwrap()).unwrap()
}

fn other() -> OrganizationSlug {
    OrganizationSlug::parse("other").unwrap()
}

/// A whole list, two at a time.
async fn whole<T: Debug>(read: impl AsyncFn(Page) -> Result<Paged<T>, StoreError>) -> Vec<T> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let paged = read(Page { limit: 2, cursor }).await.unwrap();
        assert!(paged.items.len() <= 2, "{paged:?}");
        all.extend(paged.items);
        cursor = paged.next;
        if cursor.is_none() {
            return all;
        }
    }
}

async fn apply(store: &dyn Store, changes: Vec<Change>) {
    assert!(store.apply(changes, Vec::new()).await.unwrap());
}

pub(in crate::store) async fn connections_are_listed_by_each_of_their_fields(bench: &Bench) {
    let mut all = [connection("a", 1), connection("b", 2), connection("c", 3), connection("d", 4)];
    all[0].reasons = vec![ConnectionState::TokenExpiring];
    all[1].kind = Kind::GitlabCloud;
    all[2].authority = true;
    all[3].organization = other();
    let store = bench.store().await;
    apply(store.as_ref(), all.iter().cloned().map(|it| Change::PutConnection(Box::new(it))).collect()).await;
    let any = ConnectionFilter::default;
    let state = all[1].state();
    let expiring = Some(ConnectionState::TokenExpiring);
    let table = [
        (any(), "abcd"),
        (ConnectionFilter::of(Some(slug())), "abc"),
        (ConnectionFilter::of(Some(other())), "d"),
        (ConnectionFilter { state: expiring, ..any() }, "a"),
        (ConnectionFilter { state: Some(state), ..any() }, "bcd"),
        (ConnectionFilter { kind: Some(Kind::GitlabCloud), ..any() }, "b"),
        (ConnectionFilter { authority: Some(true), ..any() }, "c"),
        (ConnectionFilter { authority: Some(false), ..ConnectionFilter::of(Some(slug())) }, "ab"),
        (ConnectionFilter { state: expiring, kind: Some(Kind::GitlabCloud), ..any() }, ""),
    ];
    for (filter, wanted) in table {
        let found = whole(async |page| store.connections(&filter, &page).await).await;
        let names: String = found.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(names, wanted, "{filter:?}");
    }
}

pub(in crate::store) async fn projects_are_listed_by_each_of_their_fields(bench: &Bench) {
    let mut all = ["a", "b", "c", "d", "e"].map(|path| project(u64::from(path.as_bytes()[0]), path));
    all[0].provider = Forge::Gitlab;
    all[0].host = elsewhere();
    all[1].archived = true;
    all[1].visibility = Some(Visibility::Private);
    all[2].ci_state = "failing".into();
    all[2].visibility = Some(Visibility::Public);
    all[3].proof = Proof::Claimed;
    all[4].organization = other();
    let store = bench.store().await;
    apply(store.as_ref(), all.iter().cloned().map(|it| Change::PutProject(Box::new(it))).collect()).await;
    let any = ProjectFilter::default;
    let table = [
        (any(), "abcde"),
        (ProjectFilter { organization: Some(slug()), ..any() }, "abcd"),
        (ProjectFilter { connection: Some(all[0].connection.clone()), ..any() }, "abcde"),
        (ProjectFilter { provider: Some(Forge::Gitlab), ..any() }, "a"),
        (ProjectFilter { host: Some(elsewhere()), ..any() }, "a"),
        (ProjectFilter { host: Some(host()), organization: Some(slug()), ..any() }, "bcd"),
        (ProjectFilter { state: Some(ProjectState::Archived), ..any() }, "b"),
        (ProjectFilter { archived: Some(true), ..any() }, "b"),
        (ProjectFilter { archived: Some(false), ..any() }, "acde"),
        (ProjectFilter { visibility: Some(Visibility::Private), ..any() }, "b"),
        (ProjectFilter { ci_state: Some("failing".into()), ..any() }, "c"),
        (ProjectFilter { ci_state: Some("none".into()), archived: Some(false), ..any() }, "ade"),
        (ProjectFilter { proof: Some(Proof::Claimed), ..any() }, "d"),
        (ProjectFilter { search: Some("B".into()), ..any() }, "b"),
        (ProjectFilter { search: Some("b".into()), proof: Some(Proof::Claimed), ..any() }, ""),
    ];
    for (filter, wanted) in table {
        let mut found = whole(async |page| store.projects(&filter, &page).await).await;
        found.sort_by(|one, other| one.full_path.cmp(&other.full_path));
        let names: String = found.iter().map(|it| it.full_path.as_str()).collect();
        assert_eq!(names, wanted, "{filter:?}");
    }
}

pub(in crate::store) async fn members_are_listed_by_each_of_their_fields(bench: &Bench) {
    let mut all = ["a", "b", "c", "d"].map(|login| member(u64::from(login.as_bytes()[0]), login));
    all[0].role = Some(Role::Admin);
    all[0].login = "A".into();
    all[1].host = elsewhere();
    all[2].state = MemberState::Removed;
    all[3].role = Some(Role::Member);
    let store = bench.store().await;
    apply(store.as_ref(), all.iter().cloned().map(|it| Change::PutMember(Box::new(it))).collect()).await;
    let any = MemberFilter::default;
    let ours = || MemberFilter { organization: Some(slug()), ..any() };
    let table = [
        (any(), "Abcd"),
        (ours(), "Abcd"),
        (MemberFilter { role: Some(Role::Admin), ..any() }, "A"),
        (MemberFilter { role: Some(Role::ReadOnly), ..ours() }, ""),
        (MemberFilter { host: Some(elsewhere()), ..ours() }, "b"),
        (MemberFilter { host: Some(host()), state: Some(MemberState::Pending), ..any() }, "Ad"),
        (MemberFilter { state: Some(MemberState::Removed), ..ours() }, "c"),
        (MemberFilter { login: Some("a".into()), ..ours() }, "A"),
        (MemberFilter { login: Some("D".into()), ..any() }, "d"),
        (MemberFilter { login: Some("a".into()), role: Some(Role::Member), ..ours() }, ""),
    ];
    for (filter, wanted) in table {
        let found = whole(async |page| store.members(&filter, &page).await).await;
        let names: String = found.iter().map(|it| it.login.as_str()).collect();
        assert_eq!(names, wanted, "{filter:?}");
    }
}

pub(in crate::store) async fn lines_of_the_audit_log_are_listed_by_each_of_their_fields(bench: &Bench) {
    let line = |number: i64, actor: &str, action: &str| AuditEntry {
        at: NOON.plus_ms(number),
        actor: actor.into(),
        action: action.into(),
        ..audit_line(&number.to_string())
    };
    let mut all = vec![
        line(0, "cli", "x.made"),
        line(1, "webhook", "x.made"),
        line(2, "cli", "x.removed"),
        line(2, "sync", "x.made"),
        line(3, "cli", "x.made"),
    ];
    all[4].organization = None;
    let store = bench.store().await;
    for entry in all {
        apply(store.as_ref(), vec![Change::Audit(entry)]).await;
    }
    let any = AuditFilter::default;
    let ours = || AuditFilter::of(Some(slug()));
    let moment = |number: i64| Some(NOON.plus_ms(number));
    let table = [
        (any(), "32210"),
        (ours(), "2210"),
        (AuditFilter { actor: Some("cli".into()), ..any() }, "320"),
        (AuditFilter { action: Some("x.made".into()), ..ours() }, "210"),
        (AuditFilter { actor: Some("cli".into()), action: Some("x.made".into()), ..any() }, "30"),
        (AuditFilter { since: moment(2), ..any() }, "322"),
        (AuditFilter { until: moment(2), ..any() }, "10"),
        (AuditFilter { since: moment(1), until: moment(3), ..ours() }, "221"),
        (AuditFilter { since: moment(2), until: moment(2), ..any() }, ""),
        (AuditFilter { since: moment(3), until: moment(1), ..ours() }, ""),
        (AuditFilter { actor: Some("nobody".into()), ..any() }, ""),
    ];
    for (filter, wanted) in table {
        let found = whole(async |page| store.audit(&filter, &page).await).await;
        let names: String = found.iter().map(|it| it.subject.as_str()).collect();
        assert_eq!(names, wanted, "{filter:?}");
    }
}

pub(in crate::store) async fn deliveries_are_listed_by_forge_and_action(bench: &Bench) {
    let words = [("github", Some("opened")), ("gitlab", None), ("github", None)];
    for number in 0..words.len() {
        bench.accepts(&number.to_string(), b"x").await;
    }
    let mut rows = bench.rows(false).await;
    for (row, (provider, action)) in rows.iter_mut().zip(words) {
        row.provider = provider.into();
        row.action = action.map(str::to_owned);
    }
    let store = bench.store().await;
    store.index(rows, NOON).await.unwrap();
    let any = DeliveryFilter::default;
    let table = [
        (DeliveryFilter { provider: Some(Forge::Github), ..any() }, "20"),
        (DeliveryFilter { provider: Some(Forge::Gitlab), ..any() }, "1"),
        (DeliveryFilter { action: Some("opened".into()), ..any() }, "0"),
        (DeliveryFilter { action: Some("opened".into()), provider: Some(Forge::Gitlab), ..any() }, ""),
    ];
    for (filter, wanted) in table {
        let found = store.deliveries(&filter, &page()).await.unwrap().items;
        let names: String = found.iter().map(|it| it.external_id.as_str()).collect();
        assert_eq!(names, wanted, "{filter:?}");
    }
}
