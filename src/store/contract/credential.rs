//! What forges believe us by.

use secrecy::{ExposeSecret as _, SecretString};

use super::bench::{Bench, NOON};
use super::records::{a_source, slug};
use crate::domain::ConnectionKey;
use crate::domain::change::Change;
use crate::domain::credential::{CredentialAbout, CredentialKind, CredentialOwner, last4};
use crate::domain::known::RecordKey;
use crate::domain::organization::Source;
use crate::domain::task::{TaskKind, Wish};
use crate::store::{Store, TaskOutcome, TaskSettled};

/// A secret that nothing else says.
pub(super) const CANARY: &str = "glpat-canary-9d7c1f";

pub(super) fn owner() -> CredentialOwner {
    CredentialOwner::Connection(ConnectionKey::parse("acme-github").unwrap())
}

pub(super) fn about(kind: CredentialKind, secret: &str) -> CredentialAbout {
    CredentialAbout {
        organization: slug(),
        owner: owner(),
        kind,
        last4: last4(secret),
        expires_at: Some(NOON.plus_ms(1)),
        binding: Some("00ff".into()),
        created_at: NOON,
        rotating_since: None,
    }
}

pub(super) async fn seals(store: &dyn Store, kind: CredentialKind, secret: &str) -> Change {
    let secret = SecretString::from(secret);
    let sealed = store.seal_credential(about(kind, secret.expose_secret()), &secret, NOON).await.unwrap();
    Change::PutCredential(Box::new(sealed))
}

async fn opened(store: &dyn Store, kind: CredentialKind) -> Option<String> {
    let found = store.credential(&owner(), kind).await.unwrap();
    found.map(|found| found.secret.expose_secret().to_owned())
}

pub(in crate::store) async fn a_credential_opens_after_a_restart_and_is_shown_by_its_end_only(bench: &Bench) {
    use CredentialKind::{AccessToken, WebhookSecret};
    let store = bench.store().await;
    let put = vec![seals(store.as_ref(), AccessToken, CANARY).await];
    assert!(store.apply(put, Vec::new()).await.unwrap());
    let put = vec![seals(store.as_ref(), WebhookSecret, "another one, longer").await];
    assert!(store.apply(put, Vec::new()).await.unwrap());
    drop(store);
    bench.restart().await;
    let store = bench.store().await;
    assert_eq!(opened(store.as_ref(), AccessToken).await.as_deref(), Some(CANARY));
    assert_eq!(opened(store.as_ref(), CredentialKind::AppKey).await, None);
    let shown = store.credentials(&owner()).await.unwrap();
    assert_eq!(shown, [about(AccessToken, CANARY), about(WebhookSecret, "another one, longer")]);
    assert!(!format!("{shown:?}").contains(CANARY));
    let found = store.credential(&owner(), AccessToken).await.unwrap();
    assert!(!format!("{found:?}").contains(CANARY), "it is not even shown to a debugger's eye");
}

pub(in crate::store) async fn s46_a_credential_opens_in_its_own_place_only(bench: &Bench) {
    let store = bench.store().await;
    let Change::PutCredential(sealed) = seals(store.as_ref(), CredentialKind::AccessToken, CANARY).await
    else {
        unreachable!()
    };
    let elsewhere = CredentialOwner::Connection(ConnectionKey::parse("other").unwrap());
    let mut moved = vec![(*sealed.clone(), elsewhere.clone(), CredentialKind::AccessToken)];
    moved[0].0.about.owner = elsewhere;
    let mut renamed = (*sealed.clone(), owner(), CredentialKind::ClientSecret);
    renamed.0.about.kind = CredentialKind::ClientSecret;
    moved.push(renamed);
    let mut handed = (*sealed.clone(), owner(), CredentialKind::AppKey);
    (handed.0.about.kind, handed.0.about.organization) =
        (CredentialKind::AppKey, crate::domain::OrganizationSlug::parse("other").unwrap());
    moved.push(handed);
    for (one, owner, kind) in moved {
        assert!(store.apply(vec![Change::PutCredential(Box::new(one))], Vec::new()).await.unwrap());
        let refused = store.credential(&owner, kind).await;
        assert!(refused.is_err(), "{owner} {kind:?} opens something that was sealed for another place");
    }
}

pub(in crate::store) async fn a_credential_that_was_replaced_or_destroyed_is_gone(bench: &Bench) {
    let store = bench.store().await;
    let kind = CredentialKind::AccessToken;
    for secret in [CANARY, "the next one, longer"] {
        let put = vec![seals(store.as_ref(), kind, secret).await];
        assert!(store.apply(put, Vec::new()).await.unwrap());
    }
    assert_eq!(opened(store.as_ref(), kind).await.as_deref(), Some("the next one, longer"));
    assert!(store.apply(vec![Change::DropCredential(owner(), kind)], Vec::new()).await.unwrap());
    assert_eq!(opened(store.as_ref(), kind).await, None);
    // What is not there can be destroyed as well.
    assert!(store.apply(vec![Change::DropCredential(owner(), kind)], Vec::new()).await.unwrap());
    assert!(store.credentials(&owner()).await.unwrap().is_empty());
}

pub(in crate::store) async fn a_source_that_was_written_meanwhile_is_not_written_over(bench: &Bench) {
    let store = bench.store().await;
    let key = a_source().key;
    let put = |by: &str| vec![Change::PutSource(Source { created_by: by.into(), ..a_source() })];
    let expects = |version: u64| vec![(RecordKey::Source(key.clone()), version)];
    assert_eq!(store.versioned_source(&key).await.unwrap(), None);
    assert!(store.apply(put("cli"), expects(0)).await.unwrap());
    let read = store.versioned_source(&key).await.unwrap().unwrap();
    assert_eq!(read.value.created_by, "cli");
    assert!(store.apply(put("another"), expects(read.version)).await.unwrap());
    assert!(!store.apply(put("late"), expects(read.version)).await.unwrap());
    let now = store.versioned_source(&key).await.unwrap().unwrap();
    assert_eq!((now.value.created_by.as_str(), now.version), ("another", read.version + 1));
}

pub(in crate::store) async fn what_was_replaced_is_erased_with_the_end_of_its_task_or_stays(bench: &Bench) {
    let (store, source, at) = (bench.store().await, a_source(), NOON);
    let owner = CredentialOwner::Source(source.key.clone());
    let connection = ConnectionKey::parse("acme-github").unwrap();
    // A rotation as ever, and one of what has leaked, are two tasks.
    let wish = Wish::now(TaskKind::RotateToken, &slug(), &connection, "cli", at);
    let leaked = Wish { subject: "leaked".into(), ..wish.clone() };
    let mut put = vec![Change::PutSource(source.clone())];
    put.extend([wish, leaked.clone()].map(|wish| Change::Wish(Box::new(wish))));
    for kind in CredentialKind::OF_HOOKS.into_iter().flat_map(|(now, before)| [now, before]) {
        let about = CredentialAbout { owner: owner.clone(), ..about(kind, CANARY) };
        let sealed = store.seal_credential(about, &CANARY.into(), at).await.unwrap();
        put.push(Change::PutCredential(Box::new(sealed)));
    }
    assert!(store.apply(put, Vec::new()).await.unwrap());
    let claims = store.claim_tasks(at, 60_000, 10).await.unwrap();
    assert_eq!(claims.len(), 2);
    let claim = claims.into_iter().find(|claim| claim.task.id == leaked.id()).unwrap();
    let ended = |version| {
        let drops = CredentialKind::OF_HOOKS.map(|(_, before)| Change::DropCredential(owner.clone(), before));
        let changes = drops.into_iter().chain([Change::PutSource(source.clone())]).collect();
        let expects = vec![(RecordKey::Source(source.key.clone()), version)];
        TaskOutcome::Done { changes, expects, note: "ended".into() }
    };
    let read = store.versioned_source(&source.key).await.unwrap().unwrap().version;
    // Somebody has begun another rotation meanwhile.
    assert!(store.apply(vec![Change::PutSource(source.clone())], Vec::new()).await.unwrap());
    assert_eq!(store.settle_task(&claim, ended(read), at).await.unwrap(), TaskSettled::Changed);
    assert_eq!(store.credentials(&owner).await.unwrap().len(), 4);
    assert_eq!(store.settle_task(&claim, ended(read + 1), at).await.unwrap(), TaskSettled::Done);
    drop(store);
    bench.restart().await;
    let left = bench.store().await.credentials(&owner).await.unwrap();
    let mut left: Vec<CredentialKind> = left.into_iter().map(|about| about.kind).collect();
    left.sort_unstable();
    assert_eq!(left, CredentialKind::OF_HOOKS.map(|(now, _)| now));
}
