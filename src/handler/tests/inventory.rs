//! Projects follow a list by their numbers: names prove nothing.

use std::collections::BTreeMap;

use super::*;
use crate::domain::change::Change;
use crate::domain::project::claim_number;
use crate::handler::{Inventory, ProjectChange, ProjectStep, Stocktaking};

const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn ours() -> Connection {
    connection("acme-github", "acme", Forge::Github, "acme", Some(ACME))
}

fn list(repositories: &[Repository]) -> Inventory {
    let repositories = repositories.iter().map(|told| (told.id, told.clone())).collect();
    Inventory { repositories, began_at: NOON, is_whole: true }
}

type Projects = BTreeMap<u64, Versioned<Project>>;

fn act(list: &Inventory, known: &mut Projects) -> Vec<(u64, ProjectChange)> {
    let ours = ours();
    let mut stocktaking = Stocktaking::new(list.clone(), &ours, NOON);
    // Two at a time: what is recorded comes in pieces.
    let pieces: Vec<Vec<_>> =
        known.values().cloned().collect::<Vec<_>>().chunks(2).map(<[_]>::to_vec).collect();
    let mut steps: Vec<ProjectStep> =
        pieces.into_iter().flat_map(|piece| stocktaking.compare(piece)).collect();
    steps.extend(stocktaking.rest());
    let done = |step: ProjectStep| {
        let mut id = 0;
        for change in step.changes {
            match change {
                Change::PutProject(project) => {
                    id = project.external_id;
                    known.insert(id, Versioned { version: 2, value: *project });
                }
                Change::DropProject(_, _, gone) => drop(known.remove(&gone)),
                Change::Audit(line) => assert!(line.before.is_some() && line.after.is_some()),
                other => panic!("{other:?}"),
            }
        }
        (id, step.what)
    };
    steps.into_iter().map(done).collect()
}

fn seeded(repositories: &[Repository]) -> Projects {
    let mut known = Projects::new();
    act(&list(repositories), &mut known);
    // Long ago.
    known.values_mut().for_each(|found| found.value.seen_at = Some(NOON.plus_ms(-DAY_MS)));
    known
}

#[test]
fn what_is_listed_is_found_described_and_then_left_alone() {
    let told = Repository {
        default_branch: Some("trunk".into()),
        visibility: Some(Visibility::Internal),
        archived: Some(true),
        ..repo(1, "acme/site")
    };
    let mut known = Projects::new();
    assert_eq!(act(&list(std::slice::from_ref(&told)), &mut known), [(1, ProjectChange::Found)]);
    let found = known[&1].value.clone();
    assert_eq!((found.full_path.as_str(), found.default_branch.as_deref()), ("acme/site", Some("trunk")));
    assert_eq!((found.visibility, found.archived), (Some(Visibility::Internal), true));
    assert_eq!(act(&list(&[told]), &mut known), []);
}

#[test]
fn s35_a_name_that_went_over_to_another_number_takes_nothing_with_it() {
    let mut known = seeded(&[repo(1, "acme/site")]);
    known.get_mut(&1).unwrap().value.last_check_in_at = Some(NOON);
    let done = act(&list(&[repo(1, "acme/old"), repo(2, "acme/site")]), &mut known);
    assert_eq!(done, [(1, ProjectChange::Changed), (2, ProjectChange::Found)]);
    assert_eq!(
        (known[&1].value.full_path.as_str(), known[&1].value.previous_paths[0].as_str()),
        ("acme/old", "acme/site")
    );
    assert_eq!(known[&2].value.last_check_in_at, None, "the stranger has no history");
}

#[test]
fn s35_deleted_and_made_anew_is_a_stranger_and_the_old_one_is_kept_as_removed() {
    let mut known = seeded(&[repo(1, "acme/site")]);
    act(&list(&[repo(2, "acme/site")]), &mut known);
    assert!(known[&1].value.removed && !known[&2].value.removed);
    let back = act(&list(&[repo(1, "acme/site-old"), repo(2, "acme/site")]), &mut known);
    assert_eq!(back, [], "it was taken away a moment ago: the next reading will tell");
    known.get_mut(&1).unwrap().value.seen_at = Some(NOON.plus_ms(-DAY_MS));
    act(&list(&[repo(1, "acme/site-old"), repo(2, "acme/site")]), &mut known);
    assert!(!known[&1].value.removed);
}

#[test]
fn what_is_another_connections_is_not_gone_because_it_is_not_listed_here() {
    let mut known = seeded(&[repo(1, "acme/site"), repo(2, "acme/www")]);
    known.get_mut(&2).unwrap().value.connection = key("another");
    assert_eq!(act(&list(&[repo(1, "acme/site")]), &mut known), []);
    let moved = act(&list(&[repo(1, "acme/site"), repo(2, "acme/www")]), &mut known);
    assert_eq!((moved, &known[&2].value.connection), (vec![(2, ProjectChange::Changed)], &ours().key));
}

#[test]
fn r33_of_a_list_that_is_not_whole_or_older_than_an_event_or_empty_nothing_is_gone() {
    let mut known = seeded(&[repo(1, "acme/site"), repo(2, "acme/www")]);
    let short = Inventory { is_whole: false, ..list(&[repo(1, "acme/site")]) };
    assert_eq!(act(&short, &mut known), []);
    assert_eq!(act(&list(&[]), &mut known), []);
    known.get_mut(&2).unwrap().value.seen_at = Some(NOON.plus_ms(-60_000));
    assert_eq!(act(&list(&[repo(1, "acme/site")]), &mut known), []);
}

#[test]
fn what_a_job_has_claimed_goes_over_to_the_number_that_is_proven() {
    let number = claim_number("acme/site");
    let mut known = seeded(&[repo(number, "acme/site")]);
    let claim = &mut known.get_mut(&number).unwrap().value;
    claim.proof = Proof::Claimed;
    claim.last_check_in_at = Some(NOON);
    let id = claim.id();
    act(&list(&[repo(7, "acme/site")]), &mut known);
    assert_eq!(known.keys().copied().collect::<Vec<_>>(), [7]);
    let proven = &known[&7].value;
    assert_eq!((proven.id(), proven.proof, proven.last_check_in_at), (id, Proof::Proven, Some(NOON)));
}
