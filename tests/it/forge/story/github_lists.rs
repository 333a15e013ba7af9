//! R33, S21, S22 and the calls: lists that are whole or nothing, links and redirects at home, hooks, manifests, scopes.

use scm_connect::provider::ProviderError;
use scm_connect::provider::github::client::OrganizationRole::{Admin, Member};
use scm_connect::provider::github::client::{HookPlace, NewHook, RoleAt, Session, TokenKind};
use url::Url;

use super::super::github::Github;
use super::super::{Fault, Planted};
use super::{app, client};

/// An organization with so many members, two owners among them.
fn crowded(forge: &Github, members: usize) {
    forge.org("acme");
    for number in 0..members {
        forge.member("acme", &format!("m{number:04}"), if number < 2 { "admin" } else { "member" });
    }
}

fn insider(forge: &std::sync::Arc<Github>, scopes: &str) -> Session {
    client(forge).token(forge.token("m0000", Some(scopes)).into())
}

#[tokio::test]
async fn a_list_is_read_to_its_end_by_the_servers_links() {
    let forge = Github::cloud();
    crowded(&forge, 252);
    let session = insider(&forge, "admin:org");
    assert_eq!(session.members("acme", Admin).await.unwrap().items().len(), 2);
    let members = session.members("acme", Member).await.unwrap();
    assert_eq!(members.items().len(), 250);
    assert!(members.counts_agree());
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn what_has_not_changed_is_free_and_complete_all_the_same() {
    let forge = Github::cloud();
    crowded(&forge, 252);
    let session = insider(&forge, "read:org");
    let first = session.members("acme", Member).await.unwrap();
    let left = |forge: &Github| {
        forge.book.budget(&super::super::github::credential(&forge.book.seen()[0]), 5000).left
    };
    let before = left(&forge);
    assert_eq!(session.members("acme", Member).await.unwrap(), first);
    assert_eq!(left(&forge), before);
    forge.member("acme", "newcomer", "member");
    assert_eq!(session.members("acme", Member).await.unwrap().items().len(), 251);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn r33_a_list_that_fails_on_the_way_is_no_list() {
    let faults = [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(404),
        Fault::Html,
        Fault::Cut,
        Fault::Loop,
        Fault::Json("{}"),
        Fault::Json("[{\"id\": 0, \"login\": \"x\"}]"),
        Fault::Json("[{\"id\": \"7\", \"login\": \"x\"}]"),
        Fault::Endless,
    ];
    for fault in faults {
        let forge = Github::cloud();
        crowded(&forge, 402);
        let session = insider(&forge, "read:org");
        forge.plants(Planted::at("/members", fault.clone()).page(3).times(9));
        let ended = session.members("acme", Member).await;
        assert!(ended.is_err(), "{fault:?} gave {:?}", ended.map(|it| it.items().len()));
        assert!(forge.book.seen().len() <= 6, "{fault:?}: {:?}", forge.book.lines());
    }
}

#[tokio::test]
async fn r33_a_scope_that_is_lost_on_the_way_ends_the_walk() {
    let forge = Github::cloud();
    crowded(&forge, 302);
    let session = insider(&forge, "read:org");
    forge.plants(Planted::at("/members", Fault::Scopes("repo")).page(2));
    let ended = session.members("acme", Member).await;
    assert!(
        matches!(ended, Err(ProviderError::NotPermitted { needs: Some(needs) }) if needs.contains("read:org"))
    );
}

#[tokio::test]
async fn r33_whoever_would_be_shown_a_part_is_told_what_is_missing() {
    let forge = Github::cloud();
    crowded(&forge, 4);
    forge.public_member("acme", "famous", "member");
    let weak = insider(&forge, "public_repo, repo:status, user:email");
    let ended = weak.members("acme", Member).await;
    assert!(
        matches!(ended, Err(ProviderError::NotPermitted { needs: Some(needs) }) if needs.contains("read:org"))
    );
    let id = forge.app("ours");
    let installation = forge.installs(id, "acme", &[("metadata", "read")]);
    let ended = app(&client(&forge), id).at(installation).members("acme", Member).await;
    assert!(
        matches!(ended, Err(ProviderError::NotPermitted { needs: Some(needs) }) if needs.contains("members"))
    );
}

#[tokio::test]
async fn s21_s22_no_link_and_no_redirect_of_a_forge_takes_a_token_away() {
    let canary = Github::cloud();
    let elsewhere = canary.api().join("orgs/acme/members").unwrap().to_string();
    for fault in [
        Fault::NextAt(elsewhere.clone()),
        Fault::NextAt(elsewhere.replace("http://", "//")),
        Fault::NextAt("http://169.254.169.254/latest/meta-data/".into()),
        Fault::NextAt("http://user:word@127.0.0.1/".into()),
        Fault::RedirectTo(elsewhere.clone()),
        Fault::RedirectTo(elsewhere.replace("http://127.0.0.1", "http://localhost")),
        Fault::RedirectTo("//127.0.0.1:1/".into()),
    ] {
        let forge = Github::cloud();
        crowded(&forge, 4);
        let session = insider(&forge, "read:org");
        forge.plants(Planted::at("/members", fault.clone()).times(9));
        assert!(session.members("acme", Member).await.is_err(), "{fault:?}");
        assert_eq!(canary.book.lines(), [""; 0], "{fault:?}");
    }
}

#[tokio::test]
async fn a_renamed_repository_is_found_by_its_old_name() {
    let forge = Github::server("3.17.2");
    forge.org("acme");
    forge.repo("acme", "site", true);
    forge.renames("acme", "site", "www");
    let session = client(&forge).token(forge.token("ada", Some("repo")).into());
    assert_eq!(session.repository("acme", "site").await.unwrap().full_name, "acme/www");
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn a_manifests_code_works_once_and_its_secrets_are_not_shown() {
    let forge = Github::cloud();
    let code = forge.manifest();
    let client = client(&forge);
    let made = client.convert(code).await.unwrap();
    assert_eq!((made.slug.as_str(), made.owner.login.as_str()), ("made", "acme"));
    assert!(!format!("{made:?}").contains("canary"), "{made:?}");
    super::pass(&forge.book, 2).await;
    assert_eq!(client.convert(code).await.unwrap_err(), ProviderError::Gone);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn missed_deliveries_are_listed_by_cursor_and_asked_for_again_under_the_same_guid() {
    let forge = Github::cloud();
    let id = forge.app("ours");
    for number in 0..150 {
        forge.delivers(id, &format!("guid-{number}"), number != 7);
    }
    let session = app(&client(&forge), id).session().clone();
    let first = session.attempts(&HookPlace::App, 0, None).await.unwrap();
    let second = session.attempts(&HookPlace::App, 0, first.next.as_ref()).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (100, 50, None));
    let missed = second.items.iter().find(|attempt| !attempt.arrived()).unwrap();
    assert_eq!((missed.guid.as_str(), missed.status_code), ("guid-7", 0));
    assert!(missed.id.get() > u64::from(u32::MAX));
    session.redeliver(&HookPlace::App, 0, missed.id.get()).await.unwrap();
    assert_eq!(forge.sends_again(), ["guid-7"]);
    let again = session.attempts(&HookPlace::App, 0, None).await.unwrap();
    assert_eq!((again.items[0].guid.as_str(), again.items[0].redelivery), ("guid-7", true));
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn hooks_are_made_as_json_found_again_and_not_made_twice() {
    let forge = Github::cloud();
    forge.org("acme");
    forge.repo("acme", "site", true);
    let session =
        client(&forge).token(forge.token("ada", Some("repo, admin:org_hook, admin:repo_hook")).into());
    let hook = NewHook {
        url: Url::parse("https://scm.example.com/hooks/acme").unwrap(),
        secret: "canary-hook-secret".into(),
        events: vec!["push".into(), "member".into()],
    };
    for place in [HookPlace::Organization("acme".into()), HookPlace::Repository("acme".into(), "site".into())]
    {
        let made = session.create_hook(&place, &hook).await.unwrap();
        assert_eq!((made.config.content_type.as_str(), made.active), ("json", true));
        assert_eq!(session.hooks(&place).await.unwrap().items()[0].id, made.id);
        let twice = session.create_hook(&place, &hook).await.unwrap_err();
        assert_eq!(twice, ProviderError::Refused { status: 422, why: Some("already_exists") });
        session.update_hook(&place, made.id.get(), &hook).await.unwrap();
        let attempts = session.attempts(&place, made.id.get(), None).await.unwrap();
        session.redeliver(&place, made.id.get(), attempts.items[0].id.get()).await.unwrap();
        session.delete_hook(&place, made.id.get()).await.unwrap();
        assert!(session.hooks(&place).await.unwrap().items().is_empty());
    }
    let weak = client(&forge).token(forge.token("bob", Some("public_repo")).into());
    let place = HookPlace::Organization("acme".into());
    assert_eq!(weak.create_hook(&place, &hook).await.unwrap_err(), ProviderError::Gone);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn an_apps_hook_is_set_to_json_through_octocrab() {
    let forge = Github::server("3.19.0");
    let id = forge.app("ours");
    let session = app(&client(&forge), id).session().clone();
    assert_eq!(session.app_hook().await.unwrap().content_type, "form");
    let url = Url::parse("https://scm.example.com/hooks/ours").unwrap();
    session.set_app_hook(&url, Some(&"canary-secret".into())).await.unwrap();
    let set = session.app_hook().await.unwrap();
    assert_eq!((set.content_type.as_str(), set.url.as_str()), ("json", url.as_str()));
    let config = session.octocrab().apps().webhook().get_config().await.unwrap();
    assert_eq!(config.url, url.as_str());
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn octocrab_meets_the_same_limits() {
    let forge = Github::cloud();
    let id = forge.app("ours");
    let session = app(&client(&forge), id).session().clone();
    forge.plants(Planted::at("/app/hook/config", Fault::Limit(429, vec![("retry-after", 30)], "{}")));
    let url = Url::parse("https://scm.example.com/").unwrap();
    assert!(matches!(session.set_app_hook(&url, None).await, Err(ProviderError::Throttled { .. })));
    assert!(session.octocrab().apps().webhook().get_config().await.is_err());
    assert_eq!(forge.book.lines(), ["PATCH /app/hook/config"]);
}

#[tokio::test]
async fn the_proof_of_being_an_admin_is_the_persons_own_membership() {
    let forge = Github::cloud();
    crowded(&forge, 3);
    let id = forge.app("ours");
    let installation = forge.installs(id, "acme", &[("members", "read")]);
    let admin = client(&forge).token(forge.token("m0000", None).into());
    let member = client(&forge).token(forge.token("m0002", None).into());
    // Being shown the installation proves nothing: both are.
    for session in [&admin, &member] {
        let reachable = session.reachable_installations().await.unwrap();
        assert_eq!(reachable.items()[0].id.get(), installation);
    }
    assert_eq!(admin.own_membership("acme").await.unwrap().role, RoleAt::Admin);
    assert_eq!(member.own_membership("acme").await.unwrap().role, RoleAt::Member);
    let stranger = client(&forge).token(forge.token("mallory", None).into());
    assert_eq!(stranger.own_membership("acme").await.unwrap_err(), ProviderError::Gone);
}

#[tokio::test]
async fn a_personal_tokens_scopes_are_known_where_the_forge_shows_them() {
    let forge = Github::server("3.17.2");
    let wanted = ["public_repo", "repo:status", "user:email", "write:discussion"];
    let classic = client(&forge).token(forge.token("ada", Some("repo, user")).into()).who().await.unwrap();
    assert_eq!(classic.scopes.unwrap().missing(&wanted), ["write:discussion"]);
    assert!(classic.expires_at.is_some());
    let token = forge.token("ada", None);
    assert_eq!(TokenKind::of(token), TokenKind::FineGrained);
    assert_eq!(client(&forge).token(token.into()).who().await.unwrap().scopes, None);
    assert_eq!(client(&forge).anonymous().meta().await.unwrap().installed_version.as_deref(), Some("3.17.2"));
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn collaborators_and_invited_people_are_no_members() {
    let forge = Github::cloud();
    crowded(&forge, 3);
    forge.outside_collaborator("acme", "oscar");
    forge.invites("acme", "ivy");
    let session = insider(&forge, "admin:org");
    assert_eq!(session.outside_collaborators("acme").await.unwrap().items()[0].login, "oscar");
    assert_eq!(session.invitations("acme").await.unwrap().items()[0].login.as_deref(), Some("ivy"));
    assert_eq!(session.membership("acme", "oscar").await.unwrap_err(), ProviderError::Gone);
    assert_eq!(session.membership("acme", "m0000").await.unwrap().role, RoleAt::Admin);
    assert_eq!(forge.violations(), [""; 0]);
}

#[tokio::test]
async fn an_empty_list_is_whole_and_it_is_for_its_reader_to_doubt_it() {
    let forge = Github::cloud();
    crowded(&forge, 3);
    let session = insider(&forge, "read:org");
    forge.plants(Planted::at("/members", Fault::Empty));
    assert!(session.members("acme", Member).await.unwrap().items().is_empty());
}

#[tokio::test]
async fn r32_a_forge_that_falls_silent_in_a_list_is_slow_and_not_empty() {
    let forge = Github::cloud();
    crowded(&forge, 152);
    let session = insider(&forge, "read:org");
    forge.plants(Planted::at("/members", Fault::Silence).page(2));
    let ended = session.members("acme", Member).await;
    assert!(matches!(ended, Err(ProviderError::Unreachable(_))), "{ended:?}");
}
