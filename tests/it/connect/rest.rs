//! Connections that are off or gone: what is kept of them, for how long, and what admins hear beforehand.

use scm_connect::connect::Verb;
use scm_connect::domain::credential::{CredentialKind, CredentialOwner};
use scm_connect::domain::organization::ConnectionState as S;
use scm_connect::domain::project::ProjectState;
use scm_connect::store::{AuditFilter, Page};

use super::bench::{Bench, code, connected, key, slug};
use crate::forge::FakeGitlab;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// Between two planned checks.
const QUARTER_MS: i64 = 15 * MINUTE_MS;

async fn has_token(bench: &Bench) -> bool {
    let owner = CredentialOwner::Connection(key("acme"));
    bench.store.credential(&owner, CredentialKind::AccessToken).await.unwrap().is_some()
}

async fn has_hook_secret(bench: &Bench) -> bool {
    let owner = CredentialOwner::Source(bench.shown("acme").await.source);
    bench.store.credential(&owner, CredentialKind::WebhookSecret).await.unwrap().is_some()
}

/// The details of the audit log's lines about this, oldest first.
async fn lines(bench: &Bench, action: &str) -> Vec<String> {
    let all = bench
        .store
        .audit(&AuditFilter::of(Some(slug("acme"))), &Page { limit: 200, cursor: None })
        .await
        .unwrap();
    let of = all.items.into_iter().filter(|line| line.action == action);
    let mut found: Vec<String> = of.map(|line| line.detail).collect();
    found.reverse();
    found
}

#[tokio::test]
async fn s34_a_token_is_erased_a_week_after_its_account_was_seen_gone_and_no_sooner() {
    let (bench, gitlab, _) = connected("api").await;
    let group = bench.shown("acme").await.account.external_id.unwrap();
    gitlab.loses_group(group);
    bench.acts("acme", Verb::Test).await;
    assert_eq!(bench.state("acme").await, S::Connected, "one look may be a forge that is being mended");
    bench.passes(MINUTE_MS);
    bench.works().await;
    let shown = bench.shown("acme").await;
    assert_eq!((shown.state(), shown.off_since()), (S::Uninstalled, Some(bench.now())));
    bench.passes(7 * DAY_MS - 1);
    bench.acts("acme", Verb::Test).await;
    assert!(has_token(&bench).await && has_hook_secret(&bench).await);
    bench.passes(1);
    bench.acts("acme", Verb::Test).await;
    assert!(!has_token(&bench).await && !has_hook_secret(&bench).await);
    assert_eq!(bench.projects("acme").await, [("acme/site".into(), ProjectState::Paused)], "kept");
    let shown = bench.shown("acme").await;
    assert_eq!((shown.credential.as_str(), shown.state()), ("none", S::Uninstalled));
    assert_eq!(lines(&bench, "secret.erased").await.len(), 1);
    let asked = gitlab.book.seen().len();
    bench.acts("acme", Verb::Test).await;
    assert_eq!(gitlab.book.seen().len(), asked);
}

#[tokio::test]
async fn the_end_of_a_token_is_announced_a_month_a_week_and_a_day_before_each_once() {
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    gitlab.project(group, "site");
    let token = gitlab.group_token(group, 50, &["api"]);
    // The clock begins on the first of June.
    gitlab.ends(&token, "2026-07-20");
    let bench = Bench::connected(&gitlab, &token).await;
    assert_eq!((bench.state("acme").await, lines(&bench, NOTICE).await.len()), (S::Connected, 0));
    let end = bench.shown("acme").await.health.expires_at.unwrap();
    let mut told: Vec<u8> = Vec::new();
    for days in [30, 7, 1] {
        let due = end.plus_ms(-i64::from(days) * DAY_MS);
        // The last planned check before, the one with the news, the next one, and later ones that have none.
        for after_ms in [-QUARTER_MS, 0, QUARTER_MS, DAY_MS / 4, DAY_MS / 2] {
            let ms = due.plus_ms(after_ms).since(bench.now());
            bench.passes(ms);
            gitlab.book.pass_s(ms / 1000);
            assert!(!bench.works().await.is_empty(), "a check is due");
            told.extend((after_ms == 0).then_some(days));
            let shown = bench.shown("acme").await;
            assert_eq!(shown.health.notice_days, told.last().copied(), "{after_ms} after {days} days before");
            assert_eq!(shown.reasons.contains(&S::TokenExpiring), !told.is_empty());
            let said = lines(&bench, NOTICE).await;
            let right = said.iter().zip(&told).all(|(line, days)| line.contains(&format!("{days} days")));
            assert!(right && said.len() == told.len(), "each once: {said:?}");
        }
    }
}

const NOTICE: &str = "connection.credential-expiring";

#[tokio::test]
async fn access_is_extended_only_where_something_is_off() {
    let (bench, ..) = connected("api").await;
    let refused = bench.connections.act(&key("acme"), Verb::Extend, "cli").await;
    assert_eq!(code(refused).0, "connection-on");
    bench.acts("acme", Verb::Pause).await;
    let ends = bench.shown("acme").await.access_ends_at();
    assert_eq!(ends, Some(bench.now().plus_ms(7 * DAY_MS)));
    bench.passes(DAY_MS);
    bench.acts("acme", Verb::Extend).await;
    assert_eq!(bench.shown("acme").await.access_ends_at(), Some(bench.now().plus_ms(7 * DAY_MS)));
    bench.acts("acme", Verb::Resume).await;
    assert_eq!(bench.shown("acme").await.access_ends_at(), None);
    // Rejected is out at once.
    bench.acts("acme", Verb::Reject).await;
    assert_eq!(bench.shown("acme").await.access_ends_at(), None);
}
