//! S35: projects follow their numbers, in any order of what happens to their names.

use std::collections::BTreeMap;

use scm_connect::domain::project::ProjectState;
use scm_connect::follow::ProjectsSynced;
use scm_connect::provider::Directory;
use scm_connect::store::{Page, ProjectFilter};

use super::super::Book;
use super::super::github::Github;
use super::super::gitlab::Gitlab;
use super::super::story::pass;
use super::{Desk, at_github, at_gitlab, installed, slug};

/// Path and state, by number.
async fn projects(desk: &Desk) -> BTreeMap<u64, (String, ProjectState)> {
    let filter = ProjectFilter { organization: Some(slug()), ..ProjectFilter::default() };
    let found = desk.store.projects(&filter, &Page { limit: 1000, cursor: None }).await.unwrap().items;
    found.into_iter().map(|it| (it.external_id, (it.full_path.clone(), it.state()))).collect()
}

/// Lists again, an hour later.
async fn an_hour_later(book: &Book, desk: &Desk, directory: &dyn Directory) -> ProjectsSynced {
    pass(book, 3600).await;
    desk.lists(directory).await.unwrap()
}

#[tokio::test]
async fn an_accounts_repositories_are_found_and_followed() {
    let forge = Github::cloud();
    let desk = at_github(&forge).await.0;
    let directory = installed(&forge);
    for number in 0..205 {
        forge.repo("acme", &format!("r{number:03}"), number % 2 == 0);
    }
    forge.org("other");
    forge.repo("other", "theirs", false);
    let first = desk.lists(&directory).await.unwrap();
    assert_eq!((first.listed, first.found, first.pages), (205, 205, 3));
    assert_eq!(desk.lists(&directory).await.unwrap().changed, 0);
    forge.renames("acme", "r000", "first");
    forge.deletes("acme", "r001");
    let said = an_hour_later(&forge.book, &desk, &directory).await.sentence();
    assert_eq!(said, "204 repositories on 3 pages: 0 new, 1 changed, 1 gone");
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r33_what_a_persons_token_is_no_longer_shown_is_not_gone() {
    let forge = Github::cloud();
    let (desk, directory) = at_github(&forge).await;
    forge.repo("acme", "site", true);
    forge.repo("acme", "www", true);
    assert_eq!(desk.lists(&directory).await.unwrap().found, 2);
    // Taken out of a team, or the repository is gone: the token tells no difference.
    forge.deletes("acme", "www");
    let synced = an_hour_later(&forge.book, &desk, &directory).await;
    assert_eq!((synced.listed, synced.gone), (1, 0));
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn an_installation_at_an_account_with_nothing_in_it_is_read_to_its_end() {
    let forge = Github::cloud();
    let desk = at_github(&forge).await.0;
    let directory = installed(&forge);
    forge.renames_org("acme", "acme-corp");
    assert_eq!(desk.lists(&directory).await.unwrap().listed, 0);
    assert_eq!(desk.connection().await.account.login, "acme-corp", "the App knows it by its number");
    assert_eq!(forge.violations(), [""; 0]);
}

/// What happens to a repository and its name; each step at both forges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Rename,
    Transfer,
    Delete,
    /// Somebody makes a new one under the first name.
    Register,
}

/// The orders in which these can come, each registration after the name was free.
const ORDERS: [&[Step]; 8] = [
    &[Step::Rename, Step::Register],
    &[Step::Transfer, Step::Register],
    &[Step::Delete, Step::Register],
    &[Step::Rename, Step::Transfer, Step::Register],
    &[Step::Rename, Step::Register, Step::Transfer],
    &[Step::Transfer, Step::Register, Step::Delete],
    &[Step::Rename, Step::Register, Step::Delete],
    &[Step::Delete, Step::Register, Step::Rename],
];

/// What must be true of the first repository, which has this number, and of the one that took its name.
async fn check(order: &[Step], desk: &Desk, id: u64) {
    let found = projects(desk).await;
    let first = &found[&id];
    let second = found.iter().find(|(other, _)| **other != id).map(|(_, it)| it);
    let gone = order.contains(&Step::Transfer)
        || order.iter().position(|step| *step == Step::Delete).is_some_and(|at| {
            // A deletion behind the registration meets the repository that still has a name of its own.
            at < order.len()
        });
    let is_out = matches!(first.1, ProjectState::Removed | ProjectState::MovedAway);
    assert_eq!(is_out, gone, "{order:?}: {first:?}");
    if !gone {
        assert_ne!(first.0, "acme/site", "{order:?}: the name is the stranger's");
    }
    let second = second.unwrap_or_else(|| panic!("{order:?}: the stranger is a project of its own"));
    assert_eq!(second.1, ProjectState::NotSetUp, "{order:?}");
}

#[tokio::test]
async fn s35_no_order_of_renames_transfers_and_registrations_gives_a_right_by_name_at_github() {
    for order in ORDERS {
        for between in [true, false] {
            let forge = Github::cloud();
            let desk = at_github(&forge).await.0;
            let directory = installed(&forge);
            forge.org("elsewhere");
            forge.repo("acme", "site", true);
            desk.lists(&directory).await.unwrap();
            let id = *projects(&desk).await.keys().next().unwrap();
            let mut name = "site";
            for step in order {
                match step {
                    Step::Rename if name == "site" => {
                        // The first one is gone already when it cannot be renamed.
                        if projects(&desk).await.len() == 1 && !order[..1].contains(&Step::Delete) {
                            forge.renames("acme", "site", "www");
                            name = "www";
                        }
                    }
                    Step::Rename => {}
                    Step::Transfer => forge.transfers("acme", name, "elsewhere"),
                    Step::Delete if order[0] == Step::Transfer => forge.deletes("elsewhere", name),
                    Step::Delete => forge.deletes("acme", name),
                    Step::Register => forge.repo("acme", "site", true),
                }
                if between {
                    an_hour_later(&forge.book, &desk, &directory).await;
                }
            }
            an_hour_later(&forge.book, &desk, &directory).await;
            check(order, &desk, id).await;
            assert_eq!(forge.violations(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn s35_the_same_at_gitlab() {
    for order in ORDERS {
        for between in [true, false] {
            let forge = Gitlab::cloud();
            let (desk, directory, group) = at_gitlab(&forge).await;
            let elsewhere = forge.group("elsewhere");
            let id = forge.project(group, "site");
            desk.lists(&directory).await.unwrap();
            let mut deleted = false;
            for step in order {
                match step {
                    Step::Rename if deleted => {}
                    Step::Rename => forge.renames_project(id, "www"),
                    Step::Transfer => forge.transfers(id, elsewhere),
                    Step::Delete => {
                        forge.deletes(id);
                        deleted = true;
                    }
                    Step::Register => drop(forge.project(group, "site")),
                }
                if between {
                    an_hour_later(&forge.book, &desk, &directory).await;
                }
            }
            an_hour_later(&forge.book, &desk, &directory).await;
            check(order, &desk, id).await;
            assert_eq!(forge.violations(), [""; 0]);
        }
    }
}
