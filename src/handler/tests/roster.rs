//! A plan that is carried out makes the members what the roster says, and then there is nothing more to do.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::domain::change::Change;
use crate::domain::known::Versioned;
use crate::domain::organization::{Member, MemberState, PINNED, Role};
use crate::domain::roster::{
    Kept, List, Listed, MemberRules, PageRead, Plan, Reading, RoleMap, Roster, Rows, Standing, plan,
};
use crate::domain::{ConnectionKey, Host, OrganizationSlug, Timestamp};
use crate::handler::{Ground, carry_out};

const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);

type Members = BTreeMap<u64, Versioned<Member>>;

struct Here {
    organization: OrganizationSlug,
    host: Host,
    connection: ConnectionKey,
}

fn here() -> Here {
    Here {
        organization: OrganizationSlug::parse("acme").unwrap(),
        host: Host::of(&url::Url::parse("https://github.com").unwrap()).unwrap(),
        connection: ConnectionKey::parse("acme-github").unwrap(),
    }
}

fn member(id: u64, state: MemberState, role: Option<Role>, pinned: bool) -> Versioned<Member> {
    let here = here();
    let value = Member {
        organization: here.organization,
        host: here.host,
        external_id: id,
        login: format!("p{}", id % 3),
        previous_logins: Vec::new(),
        role,
        role_source: if pinned { PINNED.into() } else { "forge".into() },
        state,
        source: here.connection,
        seen_at: None,
        last_confirmed_at: None,
        removed_at: None,
    };
    Versioned { version: 3, value }
}

fn rules() -> MemberRules {
    MemberRules {
        roles: RoleMap { outside: Some(Role::ReadOnly), ..RoleMap::default() },
        ..MemberRules::default()
    }
}

fn planned(roster: &Roster, members: &Members) -> Plan {
    plan(roster, members.values().map(|found| &found.value), &rules(), NOON)
}

/// Carries a plan out on these members. Gives back whose access was ended.
fn act(plan: &Plan, members: &mut Members) -> Vec<String> {
    let here = here();
    let ground = Ground {
        organization: &here.organization,
        host: &here.host,
        connection: &here.connection,
        why: "the list",
        now: NOON,
    };
    let mut ended = Vec::new();
    for step in &plan.steps {
        let before = members.get(&step.id).cloned();
        let (changes, (_, version)) = carry_out(step, before.as_ref(), &ground);
        assert_eq!(version, before.map_or(0, |found| found.version));
        for change in changes {
            match change {
                Change::PutMember(new) => {
                    members.insert(step.id, Versioned { version: version + 1, value: *new });
                }
                Change::EndAccess(id, _) => ended.push(id),
                Change::Audit(line) => assert!(line.after.is_some() && line.why.is_some()),
                other => panic!("{other:?}"),
            }
        }
    }
    ended
}

fn standings() -> impl Strategy<Value = Standing> {
    use Standing::{Billing, Invited, Level, Member, Outside, Owner};
    prop::sample::select(vec![
        Owner,
        Member,
        Outside,
        Billing,
        Invited,
        Level(10),
        Level(20),
        Level(30),
        Level(50),
    ])
}

fn people() -> impl Strategy<Value = Vec<(u64, Standing)>> {
    prop::collection::vec((0..12_u64, standings()), 0..16)
}

fn recorded() -> impl Strategy<Value = Members> {
    let states = vec![MemberState::Pending, MemberState::Active, MemberState::Active, MemberState::Removed];
    let roles = vec![Role::Admin, Role::Member, Role::ReadOnly];
    let flags = (any::<bool>(), any::<bool>());
    let one = (0..12_u64, prop::sample::select(states), prop::sample::select(roles), flags);
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let one = |(id, state, role, (pinned, frozen))| {
            let role = (state != MemberState::Pending || frozen).then_some(role);
            (id, member(id, state, role, pinned && state == MemberState::Active))
        };
        all.into_iter().map(one).collect()
    })
}

fn roster(people: &[(u64, Standing)]) -> Roster {
    let rows =
        people.iter().map(|(id, standing)| Listed { id: *id, login: format!("p{id}"), standing: *standing });
    let mut reading = Reading::begin(1, &[List::Members], NOON);
    let given = people.len() as u64;
    let page = PageRead { rows: Rows::People(rows.collect()), given, next: None, total: None };
    let kept = reading.take(page).unwrap().unwrap();
    Roster::of(&reading, [kept]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_carried_out_makes_the_members_what_the_roster_says(people in people(), members in recorded()) {
        let (roster, mut members) = (roster(&people), members);
        let before = members.clone();
        let first = planned(&roster, &members);
        let ended = act(&first, &mut members);
        let kept: BTreeMap<u64, Kept> = first.kept.iter().map(|(id, _, kept)| (*id, *kept)).collect();
        for id in 0..12 {
            let (found, was) = (members.get(&id).map(|found| &found.value), before.get(&id).map(|found| &found.value));
            let entry = roster.people().get(&id);
            let wanted = entry.and_then(|entry| {
                entry.standings.iter().fold(None, |role, it| RoleMap::higher(role, rules().roles.role(*it)))
            });
            let state = found.map(|member| member.state);
            match kept.get(&id) {
                Some(Kept::Pinned(_)) => {
                    let place = |member: &Member| (member.state, member.role, member.is_pinned());
                    prop_assert_eq!(found.map(place), was.map(place));
                }
                Some(_) => prop_assert_eq!(found, was),
                None if wanted.is_some() => {
                    prop_assert_eq!(state, Some(MemberState::Active));
                    prop_assert_eq!(found.and_then(|member| member.role), wanted);
                }
                None => prop_assert_ne!(state, Some(MemberState::Active)),
            }
            let was_in = was.is_some_and(|member| member.state != MemberState::Removed);
            let is_out = state == Some(MemberState::Removed);
            let is_ended = found.is_some_and(|member| ended.contains(&member.id()));
            prop_assert_eq!(is_ended, was_in && is_out, "who goes out loses their access, and nobody else");
        }
        let admins = |members: &Members| members.values().filter(|found| found.value.was_admin()).count();
        prop_assert!(admins(&before) == 0 || admins(&members) > 0, "somebody can still decide");
        let second = planned(&roster, &members);
        prop_assert_eq!(second.steps, Vec::new(), "nothing is left to do");
    }
}
