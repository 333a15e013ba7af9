//! The versions by which a change is noticed.

use super::bench::{Bench, NOON};
use super::{job, records, roster};
use crate::domain::change::Change;
use crate::domain::known::RecordKey;
use crate::domain::scan::{Scan, ScanState};

fn scan() -> Scan {
    Scan {
        number: 1,
        unique_id: "one".into(),
        organization: records::slug(),
        connection: records::connection("acme-github", 42).key,
        project: "p".into(),
        full_path: "acme/web".into(),
        git_ref: "main".into(),
        sha: None,
        is_full: true,
        opened_by: "t".into(),
        state: ScanState::Open,
        findings: 0,
        exit_code: None,
        opened_at: NOON,
        updated_at: NOON,
    }
}

/// One record of each kind that has a version of its own, by its name.
fn one_of_each() -> Vec<(RecordKey, Change)> {
    let (slug, host) = (records::slug(), records::host());
    let (project, run) = (records::project(20, "acme/web"), records::run(20, 9));
    let (connection, check_in) = (records::connection("acme-github", 42), job::check_in("c1"));
    let of_run = RecordKey::Pipeline(slug.clone(), host.clone(), 20, run.kind, run.external_id);
    vec![
        (RecordKey::Organization(slug.clone()), Change::PutOrganization(records::organization("acme"))),
        (RecordKey::Source(records::a_source().key), Change::PutSource(records::a_source())),
        (RecordKey::Connection(connection.key.clone()), Change::PutConnection(Box::new(connection))),
        (RecordKey::Project(slug.clone(), host.clone(), 20), Change::PutProject(Box::new(project))),
        (
            RecordKey::Member(slug.clone(), host, 5),
            Change::PutMember(Box::new(records::member(5, "octocat"))),
        ),
        (of_run, Change::PutPipeline(Box::new(run))),
        (RecordKey::CheckIn(check_in.id.clone()), Change::PutCheckIn(Box::new(check_in))),
        (RecordKey::Scan(scan().unique_id), Change::PutScan(Box::new(scan()))),
        (RecordKey::Hold(slug), Change::PutHold(Box::new(roster::hold()))),
    ]
}

pub(in crate::store) async fn every_kind_of_record_is_held_to_the_version_that_was_read(bench: &Bench) {
    let store = bench.store().await;
    let all = one_of_each();
    for (key, change) in &all {
        for (version, is_written) in [(1, false), (0, true), (0, false), (2, false), (1, true), (1, false)] {
            let written = store.apply(vec![change.clone()], vec![(key.clone(), version)]).await.unwrap();
            assert_eq!(written, is_written, "{key:?} under {version}");
        }
    }
    // Together they hold, and one that has changed is enough to stop what stands on all.
    let expects = || all.iter().map(|(key, _)| (key.clone(), 2)).collect::<Vec<_>>();
    for stale in 0..all.len() {
        let mut expects = expects();
        expects[stale].1 = 1;
        assert!(!store.apply(Vec::new(), expects).await.unwrap(), "{:?}", all[stale].0);
    }
    assert!(store.apply(Vec::new(), expects()).await.unwrap());
    let task = RecordKey::Task("of nobody".into());
    assert!(!store.apply(Vec::new(), vec![(task.clone(), 1)]).await.unwrap());
    assert!(store.apply(Vec::new(), vec![(task, 0)]).await.unwrap());
}
