//! R33: whatever part of a list comes, nobody is put out by it.

use std::sync::Arc;

use scm_connect::follow::SyncError;
use scm_connect::provider::ProviderError;

use super::super::github::Github;
use super::super::gitlab::Gitlab;
use super::super::story::{client, pass};
use super::super::{Fault, Planted};
use super::{Desk, at_github, at_gitlab, through, with};

async fn crowd(forge: &Arc<Github>) -> (Desk, scm_connect::provider::github::Organization) {
    let (desk, directory) = at_github(forge).await;
    (0..240).for_each(|number| forge.member("acme", &format!("m{number:03}"), "member"));
    desk.syncs(&directory).await.unwrap();
    pass(&forge.book, 3600).await;
    (desk, directory)
}

#[tokio::test]
async fn r33_no_fault_of_a_page_puts_anybody_out() {
    let faults = [
        (Fault::Status(500), false),
        (Fault::Status(404), false),
        (Fault::Status(403), false),
        (Fault::Html, false),
        (Fault::Cut, false),
        (Fault::Loop, false),
        (Fault::Endless, false),
        (Fault::Silence, false),
        (Fault::Json("{}"), false),
        (Fault::Scopes("repo"), false),
        (Fault::Empty, true),
        (Fault::Json("[]"), true),
    ];
    for (fault, may_end) in faults {
        for page in 1..=3 {
            let forge = Github::cloud();
            let (desk, _) = crowd(&forge).await;
            // Somebody who remembers no page, so that what comes is looked at.
            let directory = with(&forge, &client(&forge), "read:org");
            forge.plants(Planted::at("/members", fault.clone()).page(page).times(1));
            let ended = desk.syncs(&directory).await;
            assert!(may_end || page == 1 || ended.is_err(), "{fault:?} at {page}: {ended:?}");
            assert_eq!(desk.active().await.len(), 241, "{fault:?} at {page}");
            assert_eq!(desk.active().await[0], "m000 member");
        }
    }
}

#[tokio::test]
async fn r33_pages_that_shift_while_they_are_read_put_nobody_out_who_is_there() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge).await;
    // The first page is read; then its first people leave, and everybody behind them moves up.
    forge.plants(Planted::at("/members", Fault::Status(502)).page(2));
    assert!(desk.syncs(&directory).await.is_err());
    (0..4).for_each(|number| forge.leaves("acme", &format!("m{number:03}")));
    let synced = desk.syncs(&directory).await.unwrap();
    let active = desk.active().await;
    assert!(active.contains(&"m100 member".to_owned()) && active.contains(&"m103 member".to_owned()));
    assert_eq!(synced.still_there, 4, "they were asked about, and were there");
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), 237);
}

#[tokio::test]
async fn r33_a_credential_that_sees_only_the_public_part_puts_nobody_out() {
    let forge = Github::cloud();
    let (desk, _) = crowd(&forge).await;
    let weak = through(&forge, "public_repo, repo:status, user:email");
    let ended = desk.syncs(&weak).await;
    assert!(
        matches!(&ended, Err(SyncError::Forge(ProviderError::NotPermitted { needs: Some(needs) })) if needs.contains("read:org")),
        "{ended:?}"
    );
    let id = forge.person("m007");
    assert!(desk.reads(&weak, id).await.is_err(), "not shown is not gone");
    assert_eq!(desk.active().await.len(), 241);
}

#[tokio::test]
async fn r33_a_group_whose_count_differs_or_that_is_not_shown_puts_nobody_out() {
    let forge = Gitlab::cloud();
    let (desk, directory, group) = at_gitlab(&forge).await;
    let people: Vec<u64> = (0..150)
        .map(|number| {
            let person = forge.person(&format!("p{number:03}"));
            forge.member(group, person, 30);
            person
        })
        .collect();
    desk.syncs(&directory).await.unwrap();
    pass(&forge.book, 3600).await;
    for fault in [Fault::Empty, Fault::Status(500), Fault::Html, Fault::Cut, Fault::Loop] {
        forge.plants(Planted::at("/members/all", fault.clone()).page(2));
        let _ = desk.syncs(&directory).await;
        assert_eq!(desk.active().await.len(), 150, "{fault:?}");
        pass(&forge.book, 3600).await;
    }
    forge.plants(Planted { path: "", page: 1, times: 9, fault: Fault::Status(404) });
    assert!(desk.reads(&directory, people[3]).await.is_err(), "the group itself is not shown");
    assert_eq!(desk.active().await.len(), 150);
}

#[tokio::test]
async fn r33_a_removal_by_event_acts_at_once_all_the_same() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge).await;
    forge.plants(Planted::at("/members", Fault::Status(500)).page(2).times(9));
    assert!(desk.syncs(&directory).await.is_err());
    let (told, asked) = (forge.person("m007"), forge.person("m008"));
    forge.leaves("acme", "m007");
    forge.leaves("acme", "m008");
    desk.hears_gone(told).await;
    desk.reads(&directory, told).await.unwrap();
    assert_eq!(desk.active().await.len(), 240);
    // An event that says no more than that there is something to ask.
    desk.reads(&directory, asked).await.unwrap();
    assert_eq!(desk.active().await.len(), 239);
}

#[tokio::test]
async fn s32_a_list_that_was_begun_before_lets_nobody_in_who_was_put_out_since() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge).await;
    let gone = forge.person("m000");
    // The page with the person is read; then they leave, and are read singly before the list is read to its end.
    forge.plants(Planted::at("/members", Fault::Status(502)).page(2));
    assert!(desk.syncs(&directory).await.is_err());
    pass(&forge.book, 60).await;
    forge.leaves("acme", "m000");
    desk.reads(&directory, gone).await.unwrap();
    assert_eq!(desk.active().await.len(), 240);
    desk.syncs(&directory).await.unwrap();
    assert_eq!(desk.active().await.len(), 240);
    assert!(!desk.active().await.contains(&"m000 member".to_owned()));
}
