//! Ruling 35: what a naive client does, the fakes refuse. Otherwise their silence about ours would prove nothing.

use scm_connect::provider::github::client::AppKey;
use serde_json::json;

use super::super::github::{APP_KEY, Github};
use super::super::{BEGIN_S, Fault, Planted};

/// A client without any of our care.
struct Naive {
    http: reqwest::Client,
    base: url::Url,
}

impl Naive {
    fn github(forge: &Github) -> Self {
        Self { http: reqwest::Client::builder().no_proxy().build().unwrap(), base: forge.api() }
    }

    fn get(&self, path: &str, token: &str) -> reqwest::RequestBuilder {
        let request = self.http.get(self.base.join(path).unwrap());
        let request = request.header("user-agent", "naive").header("accept", "application/vnd.github+json");
        request
            .header("x-github-api-version", "2022-11-28")
            .header("authorization", format!("Bearer {token}"))
    }
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

fn signed(claims: &serde_json::Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(APP_KEY.as_bytes()).unwrap();
    jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), claims, &key).unwrap()
}

#[tokio::test]
async fn a_naive_request_is_refused_by_the_fake_github_and_written_down() {
    let forge = Github::cloud();
    forge.org("acme");
    let token = forge.token("ada", Some("repo"));
    let naive = Naive::github(&forge);
    assert_eq!(status(naive.get("user", token)).await, 200);
    let url = |path: &str| naive.base.join(path).unwrap();
    let refused = [
        status(naive.http.get(url("user")).header("authorization", format!("Bearer {token}"))).await,
        status(
            naive.http.get(url("user")).header("user-agent", "naive").header("accept", "application/json"),
        )
        .await,
        status(naive.get("user", token).header("x-github-api-version", "1999-01-01")).await,
        status(naive.get(&format!("user?access_token={token}"), token)).await,
        // Mistake 18: page numbers that are made up.
        status(naive.get("orgs/acme/members?page=2", token)).await,
        status(naive.get("orgs/acme/members?per_page=1000", token)).await,
    ];
    assert!(refused.iter().all(|status| (400..500).contains(status)), "{refused:?}");
    assert_eq!(forge.violations().len(), refused.len(), "{:?}", forge.violations());
}

#[tokio::test]
async fn mistake_9_an_app_token_of_ten_minutes_by_a_fast_clock_is_refused() {
    let forge = Github::cloud();
    let id = forge.app("ours").to_string();
    let naive = Naive::github(&forge);
    let asked = async |iat: serde_json::Value, exp: serde_json::Value, issuer: &str| {
        status(naive.get("app", &signed(&json!({"iat": iat, "exp": exp, "iss": issuer})))).await
    };
    assert_eq!(asked(json!(BEGIN_S - 60), json!(BEGIN_S + 540), &id).await, 200);
    assert_eq!(asked(json!(BEGIN_S), json!(BEGIN_S + 601), &id).await, 401);
    assert_eq!(asked(json!(BEGIN_S + 5), json!(BEGIN_S + 540), &id).await, 401);
    assert_eq!(asked(json!(BEGIN_S as f64 + 0.5), json!(BEGIN_S + 540), &id).await, 401);
    assert_eq!(asked(json!(BEGIN_S - 60), json!(BEGIN_S + 540), "somebody").await, 401);
    let vector = include_str!("../../../fixture/keys/t9.jwt").trim();
    assert_eq!(status(naive.get("app", vector)).await, 401, "a token of 2023");
    let ours = AppKey::parse(id, &APP_KEY.into()).unwrap();
    assert!(!format!("{ours:?}").contains("PRIVATE"));
}

#[tokio::test]
async fn an_installation_token_for_everything_is_refused_and_so_is_a_wide_one() {
    let forge = Github::cloud();
    forge.org("acme");
    let id = forge.app("ours");
    let granted = [("members", "read"), ("contents", "write")];
    let installation = forge.installs(id, "acme", &granted);
    let naive = Naive::github(&forge);
    let claims = json!({"iat": BEGIN_S - 60, "exp": BEGIN_S + 540, "iss": id.to_string()});
    let mint = async |body: serde_json::Value| {
        let path = format!("app/installations/{installation}/access_tokens");
        let request = naive.get(&path, &signed(&claims)).build().unwrap();
        let headers = request.headers().clone();
        let request = naive.http.post(request.url().clone()).headers(headers).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    assert_eq!(mint(json!({})).await.0, 422);
    assert_eq!(mint(json!({"permissions": {"members": "write"}})).await.0, 422, "more than was granted");
    let (made, told) = mint(json!({"permissions": {"members": "read", "contents": "write"}})).await;
    assert_eq!(made, 201, "{told}");
    assert_eq!(status(naive.get("orgs/acme/members", told["token"].as_str().unwrap())).await, 403);
    assert_eq!(forge.violations().len(), 2, "{:?}", forge.violations());
}

#[tokio::test]
async fn mistake_17_28_a_weak_token_is_shown_a_part_as_if_it_were_all() {
    let forge = Github::cloud();
    forge.org("acme");
    forge.member("acme", "ada", "admin");
    forge.public_member("acme", "famous", "member");
    let token = forge.token("ada", Some("public_repo"));
    let naive = Naive::github(&forge);
    let shown: serde_json::Value =
        naive.get("orgs/acme/members", token).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_naive_request_is_refused_by_the_fake_gitlab_and_written_down() {
    let forge = super::super::gitlab::Gitlab::cloud();
    let group = forge.group("acme/platform");
    let token = forge.group_token(group, 50, &["api"]);
    let naive = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| forge.site().join("api/v4/").unwrap().join(path).unwrap();
    let get = |path: &str| naive.get(url(path)).header("private-token", &token);
    assert_eq!(status(get("groups/acme%2Fplatform")).await, 200);
    let refused = [
        // A slash that is not encoded.
        status(get("groups/acme/platform")).await,
        status(naive.get(url(&format!("user?private_token={token}")))).await,
        // Mistake 18: page numbers that are made up.
        status(get(&format!("groups/{group}/members/all?page=2"))).await,
        status(get(&format!("groups/{group}/members/all?per_page=1000"))).await,
    ];
    assert!(refused.iter().all(|status| (400..500).contains(status)), "{refused:?}");
    // Mistake 33: pushes are on unless somebody says no.
    let made: serde_json::Value = naive
        .post(url(&format!("groups/{group}/hooks")))
        .header("private-token", &token)
        .json(&json!({"url": "https://example.com", "token": "whsec_x"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(made["push_events"], true);
    let broken = forge.violations();
    assert_eq!(broken.len(), 4, "{broken:?}");
    assert!(broken[3].contains("in the clear"), "{broken:?}");
}

#[tokio::test]
async fn mistake_34_asking_on_while_limited_is_written_down() {
    let forge = Github::cloud();
    forge.org("acme");
    let token = forge.token("ada", Some("repo"));
    forge.plants(Planted::at("/user", Fault::Limit(403, vec![("retry-after", 60)], "{}")));
    let naive = Naive::github(&forge);
    assert_eq!(status(naive.get("user", token)).await, 403);
    assert_eq!(status(naive.get("user", token)).await, 403);
    assert_eq!(forge.violations().len(), 1, "{:?}", forge.violations());
}
