//! Readings that are cut off: no page is read twice; and limits are kept while large lists are read.

use std::sync::Arc;

use scm_connect::follow::SyncError;
use scm_connect::provider::ProviderError;

use super::super::github::Github;
use super::super::story::pass;
use super::super::{Fault, Planted};
use super::{Desk, at_github};

async fn crowd(forge: &Arc<Github>, count: usize) -> (Desk, scm_connect::provider::github::Organization) {
    let (desk, directory) = at_github(forge).await;
    (0..count).for_each(|number| forge.member("acme", &format!("m{number:04}"), "member"));
    (desk, directory)
}

fn pages(forge: &Github) -> Vec<String> {
    forge.book.lines().into_iter().filter(|line| line.contains("/members?")).collect()
}

#[tokio::test]
async fn r34_a_reading_that_is_cut_off_again_and_again_reads_no_page_twice() {
    let forge = Github::cloud();
    let (mut desk, directory) = crowd(&forge, 1_150).await;
    for page in [3, 5, 6, 9, 12] {
        forge.plants(Planted::at("/members", Fault::Status(502)).page(page));
        assert!(desk.syncs(&directory).await.is_err());
        assert!(desk.active().await.is_empty());
        desk.dies().await;
    }
    let synced = desk.syncs(&directory).await.unwrap();
    assert_eq!((desk.active().await.len(), synced.pages), (1_151, 14));
    let mut asked = pages(&forge);
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!((all, asked.len()), (13 + 5, 13), "only the five that failed were asked for again");
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r34_what_has_not_changed_costs_nothing_of_the_limit() {
    let forge = Github::cloud();
    let (desk, directory) = crowd(&forge, 950).await;
    desk.syncs(&directory).await.unwrap();
    let left = |forge: &Github| {
        let seen = forge.book.seen();
        forge.book.budget(&super::super::github::credential(&seen[0]), 5000).left
    };
    let before = left(&forge);
    let asked = forge.book.seen().len();
    desk.syncs(&directory).await.unwrap();
    assert_eq!(before - left(&forge), 0, "every page was answered with 304");
    assert!(forge.book.seen().len() > asked + 10);
}

#[tokio::test]
async fn r31_a_reading_waits_out_every_limit_and_goes_on() {
    let forge = Github::cloud();
    forge.allows_hourly(12);
    let (desk, directory) = crowd(&forge, 1_450).await;
    let mut rounds = 0;
    loop {
        rounds += 1;
        match desk.syncs(&directory).await {
            Ok(_) => break,
            Err(SyncError::Forge(ProviderError::Throttled { until })) => {
                let wait = until.since(desk.now()) / 1000 + 1;
                pass(&forge.book, wait.unsigned_abs()).await;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(rounds < 9, "{:?}", forge.book.lines());
    }
    assert!(rounds > 1, "the limit was met");
    assert_eq!(desk.active().await.len(), 1_451);
    assert_eq!(forge.violations(), [""; 0], "no request was sent while it was limited");
    assert_eq!(forge.book.most_at_once(), 1);
}

#[tokio::test]
async fn r34_a_large_account_costs_its_pages_and_next_to_nothing_the_second_time() {
    let full = std::env::var_os("SCM_CONNECT_FULL").is_some();
    let (people, repositories) = if full { (50_000, 100_000) } else { (2_000, 4_000) };
    let forge = Github::cloud();
    forge.allows_hourly(1_000_000);
    let (desk, directory) = crowd(&forge, people).await;
    (0..repositories).for_each(|number| forge.repo("acme", &format!("r{number:06}"), true));
    let left = |forge: &Github| {
        let seen = forge.book.seen();
        forge.book.budget(&super::super::github::credential(&seen[0]), 5000).left
    };
    let began = std::time::Instant::now();
    desk.syncs(&directory).await.unwrap();
    desk.lists(&directory).await.unwrap();
    let first = forge.book.seen().len();
    let pages = people / 100 + 1 + 1 + repositories / 100;
    println!(
        "{people} members, {repositories} repositories: {first} requests for {pages} pages, {:?}",
        began.elapsed()
    );
    assert!(first * 100 <= pages * 105, "{first} requests for {pages} pages");
    assert_eq!(desk.active().await.len(), people + 1);
    pass(&forge.book, 1200).await;
    let before = left(&forge);
    desk.syncs(&directory).await.unwrap();
    desk.lists(&directory).await.unwrap();
    let cost = usize::try_from(before - left(&forge)).unwrap();
    println!("the second time {cost} of the limit");
    assert!(cost * 20 <= first, "{cost} of {first}");
    assert_eq!(forge.violations(), [""; 0]);
}
