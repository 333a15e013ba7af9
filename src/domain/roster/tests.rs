//! Readings that are whole or worth nothing, and what follows of a whole one.

use super::*;
use crate::domain::organization::{Member, MemberState, PINNED, Role};
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

fn leavers(count: u64, of: u64) -> Plan {
    let members: Vec<Member> = (1..=of).map(|id| active(id, Role::Member)).collect();
    planned(&roster(people(count + 1..=of, Standing::Member)), &members)
}

fn part(plan: &Plan, before: Option<&Hold>, recent: u64, now: Timestamp) -> Weighed {
    let of = (OrganizationSlug::parse("acme").unwrap(), ConnectionKey::parse("acme-github").unwrap());
    BRAKE.part(plan, (&of.0, &of.1), before, recent, now)
}

#[test]
fn s33_the_brake_holds_what_is_many_or_a_quarter_and_never_what_is_few() {
    for (removals, recent, managed, held) in [
        (4, 0, 4, false),
        (5, 0, 20, false),
        (5, 0, 19, true),
        (10, 0, 1000, false),
        (11, 0, 1000, true),
        (1, 9, 1000, false),
        (1, 10, 1000, true),
        (3, 2, 12, true),
        (0, 50, 10, false),
    ] {
        let pressure = BRAKE.weigh(removals, recent, managed, 1);
        let expected = if held { Pressure::Held(HoldCause::TooMany) } else { Pressure::Free };
        assert_eq!(pressure, expected, "{removals} and {recent} of {managed}");
    }
    assert_eq!(BRAKE.weigh(1, 0, 1, 0), Pressure::Held(HoldCause::EmptyList));
    assert_eq!(BRAKE.weigh(0, 0, 0, 0), Pressure::Free);
}

#[test]
fn s33_a_yes_counts_for_exactly_these_people_until_it_expires() {
    let plan = leavers(12, 100);
    let waiting = part(&plan, None, 0, NOON).hold.unwrap();
    assert_eq!(
        (waiting.state, waiting.people.len(), waiting.cause),
        (HoldState::Waiting, 12, HoldCause::TooMany)
    );
    assert_eq!(
        part(&plan, Some(&waiting), 0, NOON.plus_ms(5)).hold.as_ref(),
        Some(&waiting),
        "it does not begin anew"
    );
    let yes = Hold { state: HoldState::Approved, ..waiting.clone() };
    let done = part(&plan, Some(&yes), 0, NOON);
    assert_eq!((done.steps.len(), done.hold.as_ref()), (12, Some(&yes)));
    let more = part(&leavers(30, 100), Some(&yes), 0, NOON);
    assert_eq!(
        (more.steps.len(), more.hold.unwrap().people.len()),
        (12, 18),
        "the others wait for a yes of their own"
    );
    let late = part(&plan, Some(&yes), 0, yes.expires_at);
    assert_eq!((late.steps.len(), late.hold.map(|hold| hold.state)), (0, Some(HoldState::Waiting)));
    let no = Hold { state: HoldState::Refused, ..waiting.clone() };
    let done = part(&plan, Some(&no), 0, NOON);
    assert_eq!((done.steps.len(), done.hold.map(|hold| hold.state)), (0, Some(HoldState::Refused)));
    let healed = part(&leavers(0, 100), Some(&waiting), 0, NOON);
    assert_eq!((healed.steps.len(), healed.hold), (0, None), "the list is right again");
}

#[test]
fn s33_a_held_plan_still_lets_in() {
    let members: Vec<Member> = (1..=40).map(|id| active(id, Role::Member)).collect();
    let done = part(&planned(&roster(people([50], Standing::Member)), &members), None, 0, NOON);
    assert_eq!(done.steps.iter().map(|step| step.id).collect::<Vec<_>>(), [50]);
    assert_eq!(done.hold.map(|hold| hold.people.len()), Some(40));
}

#[test]
fn s33_an_empty_list_waits_for_a_person_however_few_it_puts_out() {
    let done = part(&planned(&roster(Vec::new()), &[active(1, Role::Member)]), None, 0, NOON);
    assert_eq!((done.steps.len(), done.hold.map(|hold| hold.cause)), (0, Some(HoldCause::EmptyList)));
}
