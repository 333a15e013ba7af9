//! How many may go at once, what waits, and what a person's word does.

use super::*;

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
fn s33_the_last_admin_is_shown_with_what_waits_and_no_word_lets_them_go() {
    let alone = || planned(&roster(people([3], Standing::Member)), &[active(1, Role::Admin)]);
    let first = part(&alone(), None, 0, NOON).hold.unwrap();
    let shown = |hold: &Hold| hold.last_admin.as_ref().map(|person| person.id);
    assert_eq!((first.cause, first.people.len(), shown(&first)), (HoldCause::LastAdmin, 0, Some(1)));
    let again = part(&alone(), Some(&first), 0, NOON.plus_ms(5)).hold;
    assert_eq!(again.as_ref(), Some(&first), "it is told once");
    let late = part(&alone(), Some(&first), 0, first.expires_at).hold.unwrap();
    assert_eq!((late.since, shown(&late)), (first.expires_at, Some(1)), "and once more after a day");
    let mut members: Vec<Member> = (2..=40).map(|id| active(id, Role::Member)).collect();
    members.insert(0, active(1, Role::Admin));
    let plan = planned(&roster(people([3], Standing::Member)), &members);
    let many = part(&plan, Some(&first), 0, NOON.plus_ms(5)).hold.unwrap();
    assert_eq!((many.cause, many.people.len(), shown(&many)), (HoldCause::TooMany, 38, Some(1)));
    assert_eq!(many.since, NOON.plus_ms(5), "the many wait a day of their own");
    for state in [HoldState::Approved, HoldState::Refused] {
        let decided = part(&plan, Some(&Hold { state, ..many.clone() }), 0, NOON.plus_ms(9));
        assert!(decided.steps.iter().all(|step| step.id != 1), "{state:?}");
        assert_eq!(decided.hold.as_ref().and_then(shown), Some(1), "{state:?}");
    }
    let healed = part(&leavers(0, 100), Some(&first), 0, NOON);
    assert_eq!(healed.hold, None, "another one is there");
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
