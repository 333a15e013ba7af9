//! Ready clients out of what is kept of a connection.

use scm_connect::connect::{How, NotReady, Ready};
use scm_connect::domain::change::Change;
use scm_connect::domain::credential::{CredentialKind, CredentialOwner};
use scm_connect::domain::organization::{ConnectionState, Forge, Kind};
use scm_connect::provider::ProviderError;

use super::bench::{Bench, app_source, connection};
use crate::forge::{APP_KEY, FakeGithub, FakeGitlab, Fault, Planted};

#[tokio::test]
async fn a_connection_speaks_with_what_is_kept_for_it_whatever_that_is() {
    let bench = Bench::new().await;
    // A token at a GitLab under a sub-path.
    let gitlab = FakeGitlab::old_instance();
    let group = gitlab.group("acme");
    let token = gitlab.group_token(group, 50, &["api"]);
    let there = connection(Kind::GitlabSelfManaged, &gitlab.site(), "access_token");
    let owner = CredentialOwner::Connection(there.key.clone());
    bench.keeps(owner, CredentialKind::AccessToken, &token, Forge::Gitlab, &gitlab.site()).await;
    let Ready::Gitlab(session) = bench.forges.ready(&there).await.unwrap() else { panic!("it is GitLab") };
    assert_eq!(session.group_at("acme").await.unwrap().id.get(), group);
    // An App at a GitHub.
    let github = FakeGithub::server("3.19.0");
    github.org("acme");
    let app = github.app("ours");
    let installation = github.installs(app, "acme", &[("members", "read")]);
    let mut here = connection(Kind::GithubEnterpriseServer, &github.site(), "app");
    here.installation = Some(installation);
    bench.writes(vec![Change::PutSource(app_source(&here, app))]).await;
    let owner = CredentialOwner::Source(here.source.clone());
    bench.keeps(owner, CredentialKind::AppKey, APP_KEY, Forge::Github, &github.site()).await;
    let Ready::Installation(it) = bench.forges.ready(&here).await.unwrap() else { panic!("an installation") };
    it.session.all_installation_repositories().await.unwrap();
    let Ready::Installation(it) = bench.forges.ready(&here).await.unwrap() else { panic!("it still is") };
    it.session.all_installation_repositories().await.unwrap();
    assert_eq!(github.minted(), 1, "what was minted is remembered between two uses");
    assert_eq!(it.app.installation(it.installation).await.unwrap().id.get(), installation);
    // S34: what was minted for an installation is let go of.
    bench.forges.forget_installation(&here.host, installation);
    let Ready::Installation(it) = bench.forges.ready(&here).await.unwrap() else { panic!("it still is") };
    it.session.all_installation_repositories().await.unwrap();
    assert_eq!(github.minted(), 2);
    assert_eq!((github.violations(), gitlab.violations()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn r31_a_config_that_is_read_again_forgets_no_wait() {
    let bench = Bench::new().await;
    let gitlab = FakeGitlab::cloud();
    let group = gitlab.group("acme");
    let token = gitlab.group_token(group, 50, &["api"]);
    let declared = connection(Kind::GitlabSelfManaged, &gitlab.site(), "access_token");
    let who = async || {
        bench.declares(&declared, How::Token(token.clone().into()));
        let Ready::Gitlab(session) = bench.forges.ready(&declared).await.unwrap() else {
            panic!("it is GitLab")
        };
        session.who().await
    };
    gitlab.plants(Planted::at("/user", Fault::Limit(429, vec![("retry-after", 40)], "Retry later")));
    for _ in 0..3 {
        assert!(matches!(who().await, Err(ProviderError::Throttled { .. })));
    }
    assert_eq!(gitlab.book.lines().len(), 1, "nothing is asked while the forge says wait");
    assert_eq!(gitlab.violations(), [""; 0]);
}

#[tokio::test]
async fn a_declared_connection_speaks_with_the_files_own_token() {
    let bench = Bench::new().await;
    let github = FakeGithub::server("3.17.0");
    let token = github.token("ada", Some("repo, user:email"));
    let there = connection(Kind::GithubEnterpriseServer, &github.site(), "access_token");
    assert!(matches!(bench.forges.ready(&there).await, Err(NotReady::NoCredential)));
    bench.declares(&there, How::Token(token.into()));
    assert!(bench.forges.is_declared(&there.key));
    let Ready::Github(session) = bench.forges.ready(&there).await.unwrap() else { panic!("it is a token") };
    assert_eq!(session.who().await.unwrap().person.login, "ada");
}

#[tokio::test]
async fn nothing_is_asked_for_a_connection_that_is_off() {
    let bench = Bench::new().await;
    let gitlab = FakeGitlab::cloud();
    let there = connection(Kind::GitlabSelfManaged, &gitlab.site(), "access_token");
    for change in 0..4 {
        let mut off = there.clone();
        match change {
            0 => off.rejected_at = Some(bench.now()),
            1 => off.paused_at = Some(bench.now()),
            2 => off.add_reason(ConnectionState::Suspended),
            _ => off.add_reason(ConnectionState::Uninstalled),
        }
        assert!(matches!(bench.forges.ready(&off).await, Err(NotReady::Off(_))), "{change}");
    }
}

#[tokio::test]
async fn s19_a_credential_is_not_sent_anywhere_but_where_it_was_given_for() {
    let bench = Bench::new().await;
    let (ours, canary) = (FakeGitlab::cloud(), FakeGitlab::cloud());
    let group = ours.group("acme");
    let token = ours.group_token(group, 50, &["api"]);
    let there = connection(Kind::GitlabSelfManaged, &ours.site(), "access_token");
    let owner = CredentialOwner::Connection(there.key.clone());
    bench.keeps(owner, CredentialKind::AccessToken, &token, Forge::Gitlab, &ours.site()).await;
    assert!(bench.forges.ready(&there).await.is_ok());
    let mut moved = there;
    moved.url = canary.site();
    assert!(matches!(bench.forges.ready(&moved).await, Err(NotReady::Elsewhere)));
    assert!(canary.book.seen().is_empty(), "the other host was not even asked");
}
