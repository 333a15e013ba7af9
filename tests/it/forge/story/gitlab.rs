//! What our client makes of GitLab: tokens and their successors, groups, hooks, limits.

use std::sync::Arc;

use scm_connect::outbound::OutboundError;
use scm_connect::provider::gitlab::client::{
    AccessLevel, Events, Gitlab as Client, HookPlace, HookProof, NewHook, Session, TokenOwner, Trigger,
};
use scm_connect::provider::{ProviderError, gitlab};
use secrecy::ExposeSecret as _;
use url::Url;

use super::super::gitlab::Gitlab;
use super::super::{Fault, Planted};
use super::{outbound, pass};

pub(in crate::forge) fn client(forge: &Arc<Gitlab>) -> Client {
    let theirs = Arc::clone(forge);
    let outbound = outbound(move || theirs.book.now_s(), 0);
    let endpoint = outbound.declared(gitlab::api_url(&forge.site()), None, None, &[]);
    Client::open(&outbound, endpoint).unwrap()
}

pub(in crate::forge) fn patient_client(forge: &Arc<Gitlab>) -> Client {
    let theirs = Arc::clone(forge);
    let outbound = super::patient(move || theirs.book.now_s());
    let endpoint = outbound.declared(gitlab::api_url(&forge.site()), None, None, &[]);
    Client::open(&outbound, endpoint).unwrap()
}

fn session(forge: &Arc<Gitlab>, token: &str) -> Session {
    client(forge).token(token.into())
}

/// The group `acme`, and a session with a token of its own.
fn owner(forge: &Arc<Gitlab>, scope: &str) -> (u64, Session) {
    let group = forge.group("acme");
    (group, session(forge, &forge.group_token(group, 50, &[scope])))
}

/// A session with a person's token.
fn ada(forge: &Arc<Gitlab>) -> Session {
    session(forge, &forge.token(forge.person("ada"), &["api"]))
}

/// So many people join a group.
fn crowd(forge: &Gitlab, group: u64, count: usize) {
    for number in 0..count {
        forge.member(group, forge.person(&format!("p{number}")), 30);
    }
}

pub(in crate::forge) fn hook() -> NewHook {
    NewHook {
        url: Url::parse("https://scm.example.com/hooks/acme").unwrap(),
        token: "canary-plain-token".into(),
        signing_token: "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=".into(),
        events: Events {
            push_events: false,
            tag_push_events: false,
            merge_requests_events: true,
            note_events: false,
            pipeline_events: true,
            job_events: false,
            member_events: false,
            subgroup_events: false,
            project_events: false,
        },
    }
}

#[tokio::test]
async fn an_instance_under_a_sub_path_is_met_with_a_groups_token() {
    let forge = Gitlab::old_instance();
    let group = forge.group("acme/platform");
    let token = forge.group_token(group, 50, &["api"]);
    let session = session(&forge, &token);
    assert_eq!(session.version().await.unwrap().number(), Some((17, 5)));
    assert_eq!(TokenOwner::of(&session.who().await.unwrap()), TokenOwner::Group(group));
    let about = session.token().await.unwrap();
    assert_eq!(
        (about.allows("api"), about.expires_at.map(|day| day.to_string())),
        (Some(true), Some("2026-12-31".into()))
    );
    assert_eq!(session.group_at("acme/platform").await.unwrap().id.get(), group);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_also_when_nobody_counts_it() {
    let forge = Gitlab::cloud();
    let (group, session) = owner(&forge, "read_api");
    crowd(&forge, group, 248);
    let blocked = forge.blocked("mallory");
    forge.member(group, blocked, 40);
    let members = session.members(group).await.unwrap();
    assert_eq!((members.items().len(), members.counts_agree()), (250, true));
    let listed = members.items().iter().find(|row| row.id.get() == blocked).unwrap();
    assert_eq!((listed.state.as_str(), listed.access_level), ("blocked", AccessLevel::MAINTAINER));
    assert_eq!(session.member(group, blocked).await.unwrap(), *listed);
    for number in 0..10_010 {
        forge.project(group, &format!("r{number}"));
    }
    let mut page = session.projects(group, None).await.unwrap();
    assert_eq!((page.total, page.items.len()), (None, 100));
    page = session.projects(group, page.next.as_ref()).await.unwrap();
    assert_eq!(page.items.len(), 100);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r33_a_list_of_gitlabs_that_fails_on_the_way_is_no_list() {
    for fault in
        [Fault::Status(500), Fault::Status(502), Fault::Html, Fault::Cut, Fault::Loop, Fault::Json("{}")]
    {
        let forge = Gitlab::cloud();
        let (group, session) = owner(&forge, "api");
        crowd(&forge, group, 250);
        forge.plants(Planted::at("/members/all", fault.clone()).page(2).times(9));
        assert!(session.members(group).await.is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_rotated_token_is_never_used_again() {
    let forge = Gitlab::cloud();
    let ada = forge.person("ada");
    let old = forge.token(ada, &["api"]);
    let client = client(&forge);
    let rotated = client.token(old.as_str().into()).rotate(None).await.unwrap();
    assert!(!format!("{rotated:?}").contains("canary"));
    let new = client.token(rotated.token.expose_secret().into());
    assert!(new.who().await.is_ok());
    assert_eq!(forge.violations(), [""; 0]);
    // What a careless caller would do takes the new one with it.
    assert_eq!(client.token(old.as_str().into()).who().await.unwrap_err(), ProviderError::CredentialRefused);
    assert_eq!(new.who().await.unwrap_err(), ProviderError::CredentialRefused);
    assert_eq!(forge.violations().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_to_a_rotation_is_not_asked_for_again() {
    let forge = Gitlab::cloud();
    forge.plants(Planted::at("/rotate", Fault::Cut));
    let ended = ada(&forge).rotate(None).await;
    assert!(matches!(ended, Err(ProviderError::Unreachable(OutboundError::Unreachable { .. }))), "{ended:?}");
    assert_eq!(forge.book.lines(), ["POST /api/v4/personal_access_tokens/self/rotate"]);
}

#[tokio::test]
async fn a_hook_signs_where_the_server_can_and_says_what_it_wants_and_what_not() {
    for (forge, proof) in [(Gitlab::cloud(), HookProof::Signed), (Gitlab::old_instance(), HookProof::Token)] {
        let (group, session) = owner(&forge, "api");
        let project = forge.project(group, "site");
        let place = HookPlace::Project(project);
        let made = session.create_hook(place, &hook()).await.unwrap();
        assert_eq!(HookProof::of(&made), proof);
        assert_eq!((made.push_events, made.pipeline_events), (false, true));
        // A new address would clear the plain token, were it not said again.
        let moved = NewHook { url: Url::parse("https://scm.example.com/hooks/new").unwrap(), ..hook() };
        let moved = session.update_hook(place, made.id.get(), &moved).await.unwrap();
        assert_eq!(moved.token_present, Some(true));
        forge.disables_hooks(project);
        assert_eq!(session.hooks(place).await.unwrap().items()[0].alert_status, "temporarily_disabled");
        session.test_hook(place, made.id.get(), Trigger::Pipeline).await.unwrap();
        assert_eq!(session.hooks(place).await.unwrap().items()[0].alert_status, "executable");
        session.delete_hook(place, made.id.get()).await.unwrap();
        assert_eq!(forge.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_group_hook_needs_a_plan_and_an_owner_and_says_so() {
    let free = Gitlab::old_instance();
    let (group, reader) = owner(&free, "api");
    assert_eq!(reader.hooks(HookPlace::Group(group)).await.unwrap_err(), ProviderError::Gone);
    let paid = Gitlab::cloud();
    let group = paid.group("acme");
    let token = paid.group_token(group, 40, &["api"]);
    let refused = session(&paid, &token).create_hook(HookPlace::Group(group), &hook()).await.unwrap_err();
    assert!(refused.to_string().contains("Owner"), "{refused}");
    let narrow = paid.group_token(group, 50, &["read_user"]);
    let refused = session(&paid, &narrow).members(group).await.unwrap_err();
    assert_eq!(refused, ProviderError::NotPermitted { needs: Some("the scope api") });
}

#[tokio::test]
async fn what_a_hook_could_not_deliver_is_sent_again_under_its_key() {
    let forge = Gitlab::cloud();
    let (group, session) = owner(&forge, "api");
    let project = forge.project(group, "site");
    let place = HookPlace::Project(project);
    let made = session.create_hook(place, &hook()).await.unwrap();
    forge.sent(project, "key-1", "200");
    let missed = forge.sent(project, "key-2", "internal error");
    let events = session.hook_events(place, made.id.get(), None).await.unwrap();
    let lost: Vec<_> = events.items.iter().filter(|event| !event.arrived()).collect();
    assert_eq!((lost.len(), lost[0].id.get(), lost[0].idempotency_key()), (1, missed, Some("key-2")));
    session.resend(place, made.id.get(), missed).await.unwrap();
    let events = session.hook_events(place, made.id.get(), None).await.unwrap();
    assert_eq!((events.items[0].idempotency_key(), events.items[0].arrived()), (Some("key-2"), true));
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r31_gitlab_is_not_asked_while_it_says_wait() {
    let forge = Gitlab::cloud();
    let session = ada(&forge);
    forge.plants(Planted::at("/user", Fault::Limit(429, vec![("retry-after", 40)], "Retry later")));
    assert!(matches!(session.who().await, Err(ProviderError::Throttled { .. })));
    assert!(session.for_person().token().await.is_err());
    assert_eq!(forge.book.lines().len(), 1);
    pass(&forge.book, 41).await;
    assert!(session.who().await.is_ok());
    assert_eq!(forge.violations(), [""; 0]);
}
