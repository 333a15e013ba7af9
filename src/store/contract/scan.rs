//! Scans' numbers, and findings in whatever order reports come.

use std::collections::BTreeSet;

use super::bench::{Bench, NOON};
use super::records::{page, slug};
use crate::domain::scan::{Branch, Finding};
use crate::store::{FindingFilter, Store};

fn finding(mark: &str, scan: u64) -> Finding {
    let at = NOON.plus_ms(scan.cast_signed());
    Finding {
        organization: slug(),
        project: "p".into(),
        full_path: "acme/web".into(),
        git_ref: "main".into(),
        fingerprint: mark.into(),
        rule: "rule".into(),
        path: "a.py".into(),
        line: scan,
        end_line: scan,
        message: "m".into(),
        severity: 1,
        is_blocking: false,
        sha: None,
        last_scan: scan,
        first_seen_at: at,
        last_seen_at: at,
        fixed_at: None,
    }
}

async fn closes(store: &dyn Store, scan: u64) {
    let branch = Branch { organization: slug(), project: "p".into(), git_ref: "main".into() };
    let (rules, mut after) = (BTreeSet::from(["rule".to_owned()]), None);
    loop {
        let now = NOON.plus_ms(scan.cast_signed());
        after = store.close_findings(&branch, scan, &rules, after, now).await.unwrap();
        if after.is_none() {
            return;
        }
    }
}

async fn all(store: &dyn Store) -> Vec<Finding> {
    listed(store, None).await
}

async fn listed(store: &dyn Store, is_open: Option<bool>) -> Vec<Finding> {
    let filter =
        FindingFilter { organization: slug(), project: None, full_path: None, git_ref: None, is_open };
    store.findings(&filter, &page()).await.unwrap().items
}

pub(in crate::store) async fn numbers_of_scans_rise(bench: &Bench) {
    let first = bench.store().await.next_scan_number().await.unwrap();
    bench.restart().await;
    let store = bench.store().await;
    let more = futures_util::future::join_all((0..20).map(|_| store.next_scan_number())).await;
    let more: BTreeSet<u64> = more.into_iter().map(Result::unwrap).collect();
    assert_eq!((first, more), (1, (2..22).collect()));
}

/// A report is on its way for minutes, and two jobs of one branch end in any order.
pub(in crate::store) async fn a_finding_is_what_the_last_scan_says_of_it(bench: &Bench) {
    let store = bench.store().await;
    store.record_findings(vec![finding("stays", 1), finding("goes", 1), finding("other", 1)]).await.unwrap();
    // The third scan is full and sees one of them; the second, which began before it, reports after it.
    store.record_findings(vec![finding("stays", 3)]).await.unwrap();
    closes(&*store, 3).await;
    store.record_findings(vec![finding("goes", 2), finding("stays", 2), finding("new", 2)]).await.unwrap();
    closes(&*store, 2).await;
    let is = |found: &Finding| (found.fingerprint.clone(), found.line, found.fixed_at.is_some());
    let found = all(&*store).await;
    let told: Vec<_> = found.iter().map(is).collect();
    let expected = [("goes", 1, true), ("new", 2, false), ("other", 1, true), ("stays", 3, false)];
    assert_eq!(told, expected.map(|(mark, line, fixed)| (mark.to_owned(), line, fixed)));
    assert_eq!(found[3].first_seen_at, finding("stays", 1).first_seen_at);
    // A later one that sees it again opens it again.
    store.record_findings(vec![finding("goes", 4)]).await.unwrap();
    assert_eq!(is(&all(&*store).await[0]), ("goes".to_owned(), 4, false));
}

pub(in crate::store) async fn more_findings_than_one_act_looks_at_are_all_closed(bench: &Bench) {
    let store = bench.store().await;
    let many = (0..1100).map(|number| finding(&format!("f{number:04}"), 1)).collect();
    store.record_findings(many).await.unwrap();
    store.record_findings(vec![finding("f0700", 2)]).await.unwrap();
    closes(&*store, 2).await;
    let open = listed(&*store, Some(true)).await;
    assert_eq!(open.iter().map(|found| found.fingerprint.as_str()).collect::<Vec<_>>(), ["f0700"]);
}
