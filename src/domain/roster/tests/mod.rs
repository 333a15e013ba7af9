//! Readings that are whole or worth nothing, and what follows of a whole one.

mod brake;

use super::*;
use crate::domain::organization::{BREAK_GLASS, Member, MemberState, PINNED, Role};
use crate::domain::{ConnectionKey, Host, OrganizationSlug};

const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn listed(id: u64, standing: Standing) -> Listed {
    Listed { id, login: format!("p{id}"), standing }
}

fn page(people: Vec<Listed>, next: Option<&str>, total: Option<u64>) -> PageRead {
    let given = people.len() as u64;
    PageRead { rows: Rows::People(people), given, next: next.map(str::to_owned), total }
}

fn people(ids: impl IntoIterator<Item = u64>, standing: Standing) -> Vec<Listed> {
    ids.into_iter().map(|id| listed(id, standing)).collect()
}

/// The roster of one list with these people.
fn roster(people: Vec<Listed>) -> Roster {
    let mut reading = Reading::begin(1, &[List::Members], NOON);
    let kept = reading.take(page(people, None, None)).unwrap().unwrap();
    Roster::of(&reading, [kept]).unwrap()
}

fn member(id: u64, state: MemberState, role: Option<Role>) -> Member {
    Member {
        organization: OrganizationSlug::parse("acme").unwrap(),
        host: Host::of(&url::Url::parse("https://github.com").unwrap()).unwrap(),
        external_id: id,
        login: format!("p{id}"),
        previous_logins: Vec::new(),
        role,
        role_source: "forge".into(),
        state,
        source: ConnectionKey::parse("acme-github").unwrap(),
        seen_at: None,
        last_confirmed_at: Some(NOON),
        removed_at: None,
    }
}

fn active(id: u64, role: Role) -> Member {
    member(id, MemberState::Active, Some(role))
}

fn planned(roster: &Roster, members: &[Member]) -> Plan {
    plan(roster, members, &MemberRules::default(), NOON)
}

fn removed(plan: &Plan) -> Vec<u64> {
    plan.removals().map(|step| step.id).collect()
}

#[test]
fn r33_a_reading_without_its_last_page_makes_no_roster() {
    let mut reading = Reading::begin(1, &[List::Owners, List::Members], NOON);
    let owners = reading.take(page(people([1], Standing::Owner), None, None)).unwrap().unwrap();
    let first = reading.take(page(people(2..4, Standing::Member), Some("m?page=2"), None)).unwrap().unwrap();
    assert_eq!(reading.next(), Some((List::Members, Some("m?page=2"))));
    let pages = vec![owners.clone(), first.clone()];
    assert_eq!(Roster::of(&reading, pages), Err(Incomplete::Unfinished));
    let last = reading.take(page(people([4], Standing::Member), None, None)).unwrap().unwrap();
    assert!(reading.is_whole() && reading.take(page(Vec::new(), None, None)).unwrap().is_none());
    for (pages, whole) in [
        (vec![owners.clone(), first.clone(), last.clone()], true),
        (vec![owners.clone(), first.clone()], false),
        (vec![owners.clone(), last.clone()], false),
        (vec![first.clone(), last.clone()], false),
        (vec![owners.clone(), first.clone(), first.clone(), last.clone()], false),
        (Vec::new(), false),
    ] {
        assert_eq!(Roster::of(&reading, pages).is_ok(), whole);
    }
}

#[test]
fn r33_a_walk_in_a_circle_ends_however_long_the_circle_is() {
    for circle in 1..40_u32 {
        let mut reading = Reading::begin(1, &[List::Members], NOON);
        let mut link = 0;
        let ended = (0..1000).find(|_| {
            link = (link + 1) % circle;
            let next = format!("m?cursor={link}");
            reading.take(page(people([1], Standing::Member), Some(&next), None)).is_err()
        });
        assert!(ended.is_some_and(|pages| pages <= 4 * circle + 2), "{circle}: {ended:?}");
    }
}

#[test]
fn a_reading_goes_on_where_it_was_kept() {
    let mut reading = Reading::begin(7, &[List::Owners, List::Members], NOON);
    reading.take(page(people([1], Standing::Owner), None, Some(1))).unwrap();
    reading.take(page(people([2], Standing::Member), Some("m?page=2"), Some(2))).unwrap();
    let text = serde_json::to_string(&reading).unwrap();
    let mut again: Reading = serde_json::from_str(&text).unwrap();
    assert_eq!((&again, again.next()), (&reading, Some((List::Members, Some("m?page=2")))));
    assert_eq!((again.pages(), again.rows(), again.counts_agree()), (2, 2, false));
    let last = again.take(page(people([3], Standing::Member), None, None)).unwrap().unwrap();
    assert_eq!((last.number, again.counts_agree()), (3, true));
}

#[test]
fn each_difference_has_its_step_and_what_is_as_it_should_be_has_none() {
    let mut list = people([2, 3, 4, 5, 6], Standing::Member);
    list.extend(people([1], Standing::Owner));
    list.push(listed(7, Standing::Invited));
    list[4].login = "six".into();
    let members = [
        active(1, Role::Member),
        active(3, Role::Admin),
        member(4, MemberState::Pending, None),
        member(5, MemberState::Removed, Some(Role::Admin)),
        active(6, Role::Member),
        active(8, Role::Member),
        member(9, MemberState::Pending, None),
        active(10, Role::Admin),
    ];
    let done = planned(&roster(list), &members);
    let steps: Vec<(u64, What)> = done.steps.iter().map(|step| (step.id, step.what)).collect();
    let left = |from| What::Remove { why: Why::Left, from };
    assert_eq!(
        steps,
        [
            (1, What::ChangeRole { from: Some(Role::Member), to: Role::Admin }),
            (2, What::Join { role: Role::Member }),
            (3, What::ChangeRole { from: Some(Role::Admin), to: Role::Member }),
            (4, What::Join { role: Role::Member }),
            (5, What::Join { role: Role::Member }),
            (6, What::Rename),
            (7, What::Invite),
            (8, left(Some(Role::Member))),
            (9, left(None)),
            (10, left(Some(Role::Admin))),
        ]
    );
    assert_eq!((done.managed, done.listed, removed(&done)), (5, 7, vec![8, 10]));
    assert_eq!(done.kept, []);
    let same = planned(&roster(people([3], Standing::Member)), &[active(3, Role::Member)]);
    assert_eq!((same.steps, same.kept), (Vec::new(), Vec::new()));
}

#[test]
fn a_place_that_gives_no_role_ends_the_membership() {
    let list =
        vec![listed(1, Standing::Level(50)), listed(2, Standing::Level(10)), listed(3, Standing::Level(10))];
    let done = planned(&roster(list), &[active(1, Role::Admin), active(2, Role::Member)]);
    let why = What::Remove { why: Why::NoRole, from: Some(Role::Member) };
    assert_eq!(done.steps, [Step { id: 2, login: "p2".into(), what: why }]);
}

#[test]
fn the_highest_of_several_places_wins() {
    let list = vec![listed(1, Standing::Outside), listed(1, Standing::Member), listed(1, Standing::Outside)];
    let rules = MemberRules {
        roles: RoleMap { outside: Some(Role::ReadOnly), ..RoleMap::default() },
        ..MemberRules::default()
    };
    let done = plan(&roster(list), &[], &rules, NOON);
    assert_eq!(done.steps[0].what, What::Join { role: Role::Member });
}

#[test]
fn a_pinned_role_stays_is_shown_and_ends_with_the_membership() {
    let pinned = Member { role_source: PINNED.into(), ..active(1, Role::Admin) };
    let done = planned(&roster(people([1], Standing::Member)), std::slice::from_ref(&pinned));
    assert_eq!((done.steps, done.kept[0].2), (Vec::new(), Kept::Pinned(Some(Role::Member))));
    let old = Member { last_confirmed_at: Some(NOON.plus_ms(-DAY_MS)), ..pinned.clone() };
    let done = planned(&roster(people([1], Standing::Member)), &[old]);
    assert_eq!((done.steps[0].what, done.kept[0].2), (What::Confirm, Kept::Pinned(Some(Role::Member))));
    let others = [pinned, active(2, Role::Admin)];
    let done = planned(&roster(people([2], Standing::Owner)), &others);
    assert_eq!(removed(&done), [1]);
}

#[test]
fn the_last_admin_is_neither_put_out_nor_demoted() {
    let two = [active(1, Role::Admin), active(2, Role::Admin), active(3, Role::Member)];
    let gone = planned(&roster(people([3], Standing::Member)), &two);
    assert_eq!((removed(&gone), gone.kept), (vec![2], vec![(1, "p1".into(), Kept::LastAdmin)]));
    let demoted = planned(&roster(people([1, 2, 3], Standing::Member)), &two);
    assert_eq!((demoted.steps.len(), demoted.kept), (1, vec![(1, "p1".into(), Kept::LastAdmin)]));
    let mut list = people([1, 2], Standing::Member);
    list.extend(people([4], Standing::Owner));
    let followed = planned(&roster(list), &two);
    assert_eq!(followed.kept, [], "another one takes over");
}

#[test]
fn s33_the_last_admin_stays_also_when_an_event_has_shut_them_out() {
    let frozen = |id, role| member(id, MemberState::Pending, Some(role));
    let list = || roster(people([3], Standing::Member));
    let gone = planned(&list(), &[frozen(1, Role::Admin), active(3, Role::Member)]);
    assert_eq!((removed(&gone), gone.last_admin().map(|person| person.id)), (vec![], Some(1)));
    let two = planned(&list(), &[frozen(1, Role::Admin), active(2, Role::Admin), active(3, Role::Member)]);
    assert_eq!((removed(&two), two.last_admin().map(|person| person.id)), (vec![2], Some(1)));
    let demoted = planned(&roster(people([1], Standing::Member)), &[frozen(1, Role::Admin)]);
    assert_eq!((demoted.steps.len(), demoted.last_admin().map(|person| person.id)), (0, Some(1)));
    let mut list = people([1], Standing::Member);
    list.extend(people([4], Standing::Owner));
    let followed = planned(&roster(list), &[frozen(1, Role::Admin), frozen(2, Role::Member)]);
    let steps: Vec<(u64, What)> = followed.steps.iter().map(|step| (step.id, step.what)).collect();
    let (from, why) = (Some(Role::Member), Why::Left);
    assert_eq!(
        steps,
        [
            (1, What::ChangeRole { from: Some(Role::Admin), to: Role::Member }),
            (2, What::Remove { why, from }),
            (4, What::Join { role: Role::Admin }),
        ]
    );
}

#[test]
fn s33_the_break_glass_admin_is_left_alone_and_not_counted_on() {
    let glass = |id| Member { role_source: BREAK_GLASS.into(), ..active(id, Role::Admin) };
    for list in [people([3], Standing::Member), people([2, 3], Standing::Member), Vec::new()] {
        let done = planned(&roster(list), &[glass(2), active(3, Role::Member)]);
        assert!(done.kept.contains(&(2, "p2".into(), Kept::BreakGlass)), "{done:?}");
        assert!(done.steps.iter().all(|step| step.id != 2), "{done:?}");
    }
    let beside = planned(&roster(people([3], Standing::Member)), &[active(1, Role::Admin), glass(2)]);
    assert_eq!((removed(&beside), beside.last_admin().map(|person| person.id)), (vec![], Some(1)));
    let old = Member { last_confirmed_at: Some(NOON.plus_ms(-DAY_MS)), ..glass(2) };
    let seen = planned(&roster(people([2], Standing::Owner)), &[old]);
    assert_eq!((seen.steps[0].what, seen.kept), (What::Confirm, vec![]), "an admin there as well");
    let alone = plan_one(2, None, Some(&glass(2)), &MemberRules::default(), true, NOON);
    assert_eq!((alone.steps, alone.kept[0].2), (Vec::new(), Kept::BreakGlass));
}

#[test]
fn what_was_told_during_the_reading_is_read_singly() {
    for (late_ms, is_doubtful) in [(-11 * 60_000, false), (-9 * 60_000, true), (0, true), (5_000, true)] {
        let seen_at = Some(NOON.plus_ms(late_ms));
        let told = |member: Member| Member { seen_at, ..member };
        let members = [told(active(1, Role::Member)), told(member(2, MemberState::Removed, None))];
        let done = planned(&roster(people([2], Standing::Member)), &members);
        let doubtful: Vec<u64> = done.doubtful().collect();
        assert_eq!(doubtful, if is_doubtful { vec![1, 2] } else { vec![] }, "{late_ms}");
        assert_eq!(done.steps.is_empty(), is_doubtful, "{late_ms}");
    }
}

#[test]
fn s32_who_was_read_singly_since_the_list_began_is_not_judged_by_the_list() {
    let later = NOON.plus_ms(60_000);
    let read = |id, state, role, confirmed, removed| Member {
        last_confirmed_at: Some(confirmed),
        removed_at: removed,
        ..member(id, state, role)
    };
    let doubted = |confirmed, removed: Timestamp, now| {
        let members = [
            read(1, MemberState::Active, Some(Role::Member), confirmed, None),
            read(2, MemberState::Removed, Some(Role::Member), NOON.plus_ms(-DAY_MS), Some(removed)),
            read(3, MemberState::Active, Some(Role::Member), confirmed, None),
        ];
        let list = roster(people([2, 3], Standing::Member));
        let done = plan(&list, &members, &MemberRules::default(), now);
        (done.doubtful().collect::<Vec<u64>>(), done.steps.iter().map(|step| step.id).collect::<Vec<u64>>())
    };
    assert_eq!(doubted(later, later, later), (vec![1, 2], vec![]), "what they agree about is in no doubt");
    assert_eq!(doubted(NOON, NOON, later), (vec![], vec![1, 2]));
    assert_eq!(doubted(NOON, later.plus_ms(5), later), (vec![], vec![1, 2]), "a clock was ahead");
}

#[test]
fn who_stands_in_two_lists_that_exclude_each_other_is_read_singly() {
    let list = vec![listed(1, Standing::Owner), listed(1, Standing::Member), listed(2, Standing::Invited)];
    let done = planned(&roster(list), &[active(1, Role::Member), active(2, Role::Member)]);
    assert_eq!((done.steps.len(), done.doubtful().collect::<Vec<_>>()), (0, vec![1, 2]));
}

#[test]
fn r33_where_the_forge_counts_more_than_it_gave_nobody_is_put_out() {
    let mut reading = Reading::begin(1, &[List::GroupMembers], NOON);
    let kept = reading.take(page(people([1, 3], Standing::Level(30)), None, Some(3))).unwrap().unwrap();
    let roster = Roster::of(&reading, [kept]).unwrap();
    let done = planned(&roster, &[active(1, Role::Member), active(2, Role::Member)]);
    assert_eq!((removed(&done), done.kept[0].2), (Vec::new(), Kept::CountsDiffer));
    assert_eq!(done.steps[0].what, What::Join { role: Role::Member }, "who is listed is let in");
}

#[test]
fn one_person_read_singly_is_decided_alone() {
    let rules = MemberRules::default();
    let one = |found: Option<Standing>, member: Option<&Member>, others| {
        let entry = found.map(|standing| Entry { login: "ada".into(), standings: vec![standing] });
        plan_one(1, entry.as_ref(), member, &rules, others, NOON)
    };
    let ada = active(1, Role::Admin);
    assert_eq!(one(None, Some(&ada), false).kept[0].2, Kept::LastAdmin);
    assert_eq!(removed(&one(None, Some(&ada), true)), [1]);
    assert_eq!(one(Some(Standing::Owner), None, true).steps[0].what, What::Join { role: Role::Admin });
    let renamed = one(Some(Standing::Owner), Some(&ada), true);
    assert_eq!((renamed.steps[0].what, renamed.steps[0].login.as_str()), (What::Rename, "ada"));
    let pinned = Member { role_source: PINNED.into(), login: "ada".into(), ..active(1, Role::Member) };
    assert_eq!(one(Some(Standing::Owner), Some(&pinned), true).steps[0].what, What::Confirm);
    let waits = member(1, MemberState::Pending, None);
    assert_eq!(one(Some(Standing::Invited), Some(&waits), true).steps, []);
    let seen = Member { seen_at: Some(NOON), ..waits };
    assert_eq!(
        one(Some(Standing::Member), Some(&seen), true).steps[0].what,
        What::Join { role: Role::Member }
    );
    assert_eq!(one(None, None, true).steps, []);
}

#[test]
fn a_confirmation_is_written_down_when_it_is_old() {
    let old = Member { last_confirmed_at: Some(NOON.plus_ms(-DAY_MS)), ..active(1, Role::Member) };
    let done = planned(&roster(people([1], Standing::Member)), std::slice::from_ref(&old));
    assert_eq!(done.steps[0].what, What::Confirm);
}
