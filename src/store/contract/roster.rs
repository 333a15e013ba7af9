//! Readings page by page, removals that wait, and the audit log as a chain.

use super::access::token;
use super::bench::{Bench, NOON};
use super::records::{audit_line, host, member, organization, page, project, slug};
use crate::domain::access::TokenRecord;
use crate::domain::audit::{Broken, Walk};
use crate::domain::break_glass::BreakGlass;
use crate::domain::change::{AuditEntry, Change};
use crate::domain::known::RecordKey;
use crate::domain::organization::{BREAK_GLASS, Member, MemberState, Organization, Role};
use crate::domain::roster::{
    Hold, HoldCause, HoldState, KeptPage, List, Listed, PageRead, Reading, Roster, Rows, Standing, Subject,
};
use crate::domain::{ConnectionKey, OrganizationSlug};
use crate::store::{AuditFilter, Store};

const PEOPLE: Subject = Subject::People;

fn key() -> ConnectionKey {
    ConnectionKey::parse("acme-github").unwrap()
}

/// The next page of a reading: one person, and where the next page is.
fn takes(reading: &mut Reading, id: u64, next: Option<&str>) -> KeptPage {
    let people = vec![Listed { id, login: format!("p{id}"), standing: Standing::Member }];
    let next = next.map(str::to_owned);
    let page = PageRead { rows: Rows::People(people), given: 1, next, total: None };
    reading.take(page).unwrap().unwrap()
}

pub(in crate::store) async fn a_reading_goes_on_where_it_stood_after_a_restart(bench: &Bench) {
    let lists = [List::Owners, List::Members];
    let mut reading = Reading::begin(7, &lists, NOON);
    let store = bench.store().await;
    for (id, next) in [(1, None), (2, Some("m?page=2"))] {
        let page = takes(&mut reading, id, next);
        assert!(store.keep_page(&key(), PEOPLE, &reading, page).await.unwrap());
    }
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    let mut again = store.reading_of(&key(), PEOPLE).await.unwrap().unwrap();
    assert_eq!(again, reading);
    assert_eq!(again.next(), Some((List::Members, Some("m?page=2"))));
    assert_eq!(store.reading_of(&key(), Subject::Repositories).await.unwrap(), None);
    let last = takes(&mut again, 3, None);
    assert!(store.keep_page(&key(), PEOPLE, &again, last).await.unwrap());
    let first = store.kept_pages(&key(), PEOPLE, 7, 0, 2).await.unwrap();
    let rest = store.kept_pages(&key(), PEOPLE, 7, 2, 2).await.unwrap();
    let roster = Roster::of(&again, first.into_iter().chain(rest)).unwrap();
    assert_eq!(roster.people().keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    while !store.forget_reading(&key(), PEOPLE).await.unwrap() {}
    assert_eq!(store.reading_of(&key(), PEOPLE).await.unwrap(), None);
    assert_eq!(store.kept_pages(&key(), PEOPLE, 7, 0, 9).await.unwrap(), []);
}

pub(in crate::store) async fn a_page_that_does_not_follow_the_last_one_is_not_kept(bench: &Bench) {
    let store = bench.store().await;
    let mut mine = Reading::begin(7, &[List::Members], NOON);
    let first = takes(&mut mine, 1, Some("m?page=2"));
    assert!(store.keep_page(&key(), PEOPLE, &mine, first.clone()).await.unwrap());
    assert!(!store.keep_page(&key(), PEOPLE, &mine, first).await.unwrap(), "it is there");
    let before = mine.clone();
    let second = takes(&mut mine, 2, Some("m?page=3"));
    let third = takes(&mut mine.clone(), 3, None);
    assert!(!store.keep_page(&key(), PEOPLE, &mine, third).await.unwrap(), "one is left out");
    assert!(store.keep_page(&key(), PEOPLE, &mine, second.clone()).await.unwrap());
    let mut slow = before;
    let late = takes(&mut slow, 9, None);
    assert!(!store.keep_page(&key(), PEOPLE, &slow, late).await.unwrap(), "another worker was faster");
    let mut anew = Reading::begin(8, &[List::Members], NOON);
    let page = takes(&mut anew, 4, None);
    assert!(store.keep_page(&key(), PEOPLE, &anew, page).await.unwrap(), "begun anew");
    let old = takes(&mut mine, 5, None);
    assert!(!store.keep_page(&key(), PEOPLE, &mine, old).await.unwrap(), "the old one is over");
    let mut older = Reading::begin(6, &[List::Members], NOON);
    let page = takes(&mut older, 6, None);
    assert!(!store.keep_page(&key(), PEOPLE, &older, page).await.unwrap());
    let kept = store.kept_pages(&key(), PEOPLE, 8, 0, 9).await.unwrap();
    assert_eq!((kept.len(), store.reading_of(&key(), PEOPLE).await.unwrap()), (1, Some(anew)));
}

pub(in crate::store) async fn members_and_projects_come_by_their_numbers_in_parts(bench: &Bench) {
    let store = bench.store().await;
    let ids = [3, 300, 1 << 40, 7, 65_536];
    let other = OrganizationSlug::parse("acme-2").unwrap();
    let mut changes: Vec<Change> =
        ids.iter().map(|id| Change::PutMember(Box::new(member(*id, "x")))).collect();
    changes.extend(ids.map(|id| Change::PutProject(Box::new(project(id, "acme/x")))));
    changes.push(Change::PutMember(Box::new(Member { organization: other, ..member(5, "y") })));
    changes.push(Change::PutMember(Box::new(member(7, "again"))));
    assert!(store.apply(changes, Vec::new()).await.unwrap());
    let (mut after, mut members, mut projects) = (None, Vec::new(), Vec::new());
    loop {
        let found = store.members_numbered(&slug(), &host(), after, 2).await.unwrap();
        let same = store.projects_numbered(&slug(), &host(), after, 2).await.unwrap();
        projects.extend(same.into_iter().map(|found| found.value.external_id));
        let Some(last) = found.last() else { break };
        after = Some(last.value.external_id);
        members.extend(found.into_iter().map(|found| (found.value.external_id, found.version)));
    }
    assert_eq!(members, [(3, 1), (7, 2), (300, 1), (65_536, 1), (1 << 40, 1)]);
    assert_eq!(projects, [3, 7, 300, 65_536, 1 << 40]);
}

pub(in crate::store) async fn s32_whoever_is_put_out_loses_every_token_in_the_same_act(bench: &Bench) {
    let store = bench.store().await;
    let (ada, bob) = (member(5, "ada"), member(6, "bob"));
    let of = |id: &str, hash: u8, whose: Option<&Member>| TokenRecord {
        member: whose.map(Member::id),
        ..token(id, hash)
    };
    for (id, hash, whose) in
        [("a1", 1, Some(&ada)), ("a2", 2, Some(&ada)), ("b1", 3, Some(&bob)), ("c1", 4, None)]
    {
        store.put_token(of(id, hash, whose)).await.unwrap();
    }
    let gone = Member { state: MemberState::Removed, removed_at: Some(NOON), ..ada.clone() };
    let changes = vec![Change::PutMember(Box::new(gone.clone())), Change::EndAccess(ada.id(), NOON)];
    let stale = vec![(RecordKey::Member(slug(), host(), 5), 9)];
    assert!(!store.apply(changes.clone(), stale).await.unwrap());
    let live = async |hash: u8| store.token_by_hash(&[hash; 32]).await.unwrap().unwrap().is_live(NOON);
    assert!(live(1).await && live(2).await, "refused whole");
    assert!(store.apply(changes, Vec::new()).await.unwrap());
    assert_eq!((live(1).await, live(2).await, live(3).await, live(4).await), (false, false, true, true));
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    assert_eq!(store.member(&ada.id()).await.unwrap(), Some(gone));
    let found = store.token_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((found.revoked_at, found.member), (Some(NOON), Some(ada.id())));
}

pub(in crate::store) async fn s33_a_break_glass_admin_is_named_and_named_no_more_in_one_act(bench: &Bench) {
    let store = bench.store().await;
    let person = BreakGlass::local("keeper");
    let named = Organization { break_glass: Some(person.clone()), ..organization("acme") };
    let keeper = Member {
        host: person.host.clone(),
        external_id: person.external_id,
        state: MemberState::Active,
        role: Some(Role::Admin),
        role_source: BREAK_GLASS.into(),
        ..member(1, "keeper")
    };
    let absent = (RecordKey::Member(slug(), person.host.clone(), person.external_id), 0);
    let changes = vec![Change::PutMember(Box::new(keeper.clone())), Change::PutOrganization(named.clone())];
    assert!(store.apply(changes.clone(), vec![absent.clone()]).await.unwrap());
    assert!(!store.apply(changes, vec![absent]).await.unwrap(), "another process was faster");
    store.put_token(TokenRecord { member: Some(keeper.id()), ..token("k", 7) }).await.unwrap();
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    assert_eq!(store.organization(&slug()).await.unwrap(), Some(named));
    let found = store.members_numbered(&slug(), &person.host, None, 9).await.unwrap();
    assert_eq!((found.len(), &found[0].value), (1, &keeper));
    assert_eq!(
        store.members_numbered(&slug(), &host(), None, 9).await.unwrap(),
        [],
        "no forge's list meets them"
    );
    let gone =
        Member { state: MemberState::Removed, role: None, role_source: "forge".into(), ..keeper.clone() };
    let changes = vec![
        Change::EndAccess(keeper.id(), NOON),
        Change::PutMember(Box::new(gone.clone())),
        Change::PutOrganization(organization("acme")),
    ];
    let key = RecordKey::Member(slug(), person.host.clone(), person.external_id);
    assert!(store.apply(changes, vec![(key, found[0].version)]).await.unwrap());
    assert_eq!(store.organization(&slug()).await.unwrap(), Some(organization("acme")));
    assert_eq!(store.member(&keeper.id()).await.unwrap(), Some(gone));
    assert!(!store.token_by_hash(&[7; 32]).await.unwrap().unwrap().is_live(NOON));
}

pub(super) fn hold() -> Hold {
    let person =
        |id| crate::domain::roster::HeldPerson { id, login: format!("p{id}"), role: Some(Role::Member) };
    Hold {
        organization: slug(),
        connection: key(),
        cause: HoldCause::TooMany,
        since: NOON,
        expires_at: NOON.plus_ms(1000),
        managed: 4000,
        people: (0..2000).map(person).collect(),
        last_admin: Some(person(2000)),
        state: HoldState::Waiting,
        decided_by: None,
    }
}

pub(in crate::store) async fn removals_that_wait_are_decided_once(bench: &Bench) {
    let store = bench.store().await;
    assert_eq!(store.hold(&slug()).await.unwrap(), None);
    assert!(store.apply(vec![Change::PutHold(Box::new(hold()))], Vec::new()).await.unwrap());
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    let found = store.hold(&slug()).await.unwrap().unwrap();
    assert_eq!((found.version, &found.value), (1, &hold()));
    let decided = |state| Change::PutHold(Box::new(Hold { state, decided_by: Some("cli".into()), ..hold() }));
    let expects = vec![(RecordKey::Hold(slug()), found.version)];
    assert!(store.apply(vec![decided(HoldState::Approved)], expects.clone()).await.unwrap());
    assert!(!store.apply(vec![decided(HoldState::Refused)], expects).await.unwrap());
    assert_eq!(store.hold(&slug()).await.unwrap().unwrap().value.state, HoldState::Approved);
    assert!(store.apply(vec![Change::DropHold(slug())], Vec::new()).await.unwrap());
    assert_eq!(store.hold(&slug()).await.unwrap(), None);
}

/// Walks every chain from its beginning to its end.
pub(super) async fn check_chains(store: &dyn Store) -> Result<Vec<u64>, Broken> {
    let mut lengths = Vec::new();
    for (organization, head) in store.chains().await.unwrap() {
        let mut walk = Walk::default();
        loop {
            let lines = store.chained(organization.as_ref(), walk.number(), 7).await.unwrap();
            if lines.is_empty() {
                break;
            }
            lines.iter().try_for_each(|line| walk.step(line))?;
        }
        walk.end(Some(&head))?;
        lengths.push(walk.number());
    }
    Ok(lengths)
}

pub(in crate::store) async fn s55_each_organization_has_a_chain_that_holds(bench: &Bench) {
    let store = bench.store().await;
    let line = |number: i64| AuditEntry {
        // Neither in the order of time nor one organization after the other.
        at: NOON.plus_ms(number * 7919 % 100),
        organization: (number % 3 != 0)
            .then(|| OrganizationSlug::parse(&format!("acme-{}", number % 3)).unwrap()),
        before: (number % 2 == 0).then(|| "a\0b".to_owned()),
        ..audit_line(&number.to_string())
    };
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..10 {
        let store = std::sync::Arc::clone(&store);
        writers.spawn(async move {
            let changes = (0..3).map(|part| Change::Audit(line(number * 3 + part))).collect();
            assert!(store.apply(changes, Vec::new()).await.unwrap());
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert_eq!(check_chains(store.as_ref()).await, Ok(vec![10, 10, 10]));
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    let changes = vec![Change::Audit(line(1)), Change::PutOrganization(organization("acme"))];
    assert!(store.apply(changes, Vec::new()).await.unwrap());
    assert_eq!(check_chains(store.as_ref()).await, Ok(vec![10, 11, 10]));
    let listed = store.audit(&AuditFilter::default(), &page()).await.unwrap().items;
    assert!(listed.iter().all(|line| line.link.is_some()) && listed.len() == 31);
}
