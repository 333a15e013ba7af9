//! Genuine tokens of both forges, and more than sixty that are not.

use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::*;

const KEY: &str = include_str!("../../../tests/fixture/keys/rfc7515-a2.pem");
const MODULUS: &str = include_str!("../../../tests/fixture/keys/rfc7515-a2.modulus");
const T10: &str = include_str!("../../../tests/fixture/keys/t10.jwt");
const T11: &str = include_str!("../../../tests/fixture/keys/t11.jwt");
const KID: &str = "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8";
const OURS: &str = "https://scm-connect.example.com";
const GITLAB: &str = "https://gitlab.example.com";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn issuer(name: &str, forge: Forge) -> Issuer {
    Issuer { name: name.into(), forge, es256: false }
}

fn gitlab() -> Issuer {
    issuer(GITLAB, Forge::Gitlab)
}

fn github() -> Issuer {
    issuer(GITHUB, Forge::Github)
}

fn key() -> DecodingKey {
    DecodingKey::from_rsa_components(MODULUS.trim(), "AQAB").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000)
}

fn check(token: &str, issuer: &Issuer, now_s: i64) -> Result<Proof, Refused> {
    verify(token.trim(), issuer, &key(), OURS, at(now_s))
}

fn part(value: &str) -> String {
    URL_SAFE_NO_PAD.encode(value)
}

/// Signs whatever it is given, as the issuer's own key.
fn sign(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", part(header), part(payload));
    let key = EncodingKey::from_rsa_pem(KEY.as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::RS256).unwrap();
    format!("{message}.{signature}")
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": KID, "typ": "JWT"})
}

const NOW_S: i64 = 1_780_272_000;

fn gitlab_claims() -> Value {
    json!({
        "iss": GITLAB, "aud": OURS, "sub": "project_path:acme/site:ref_type:branch:ref:main", "jti": "235b3a54",
        "iat": NOW_S, "nbf": NOW_S - 5, "exp": NOW_S + 3600, "project_id": "20", "namespace_id": "72",
        "project_path": "acme/site", "namespace_path": "acme", "pipeline_id": "574", "job_id": "302",
        "pipeline_source": "push", "ref": "main", "ref_type": "branch", "ref_protected": "true", "sha": "714a629c",
        "user_id": "1", "user_login": "ada", "user_access_level": "developer", "runner_id": 1,
        "runner_environment": "gitlab-hosted",
    })
}

fn github_claims() -> Value {
    json!({
        "iss": GITHUB, "aud": OURS, "sub": "repo:acme/site:ref:refs/heads/main", "jti": "6f4762ed",
        "iat": NOW_S, "nbf": NOW_S - 600, "exp": NOW_S + 300, "repository": "acme/site", "repository_id": "456789",
        "repository_owner": "acme", "repository_owner_id": "123456", "run_id": "9000000001", "run_attempt": "1",
        "ref": "refs/heads/main", "ref_protected": "false", "event_name": "push", "actor_id": "7",
        "runner_environment": "github-hosted",
    })
}

/// The claims with some of them changed; `null` takes one away.
fn with(claims: Value, changes: Value) -> Value {
    let mut claims = claims;
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn token(claims: &Value) -> String {
    sign(&header().to_string(), &claims.to_string())
}

#[test]
fn s42_the_published_vectors_are_read_by_their_numbers() {
    let proof = check(T10, &gitlab(), 1_681_395_200).unwrap();
    let job = proof.job();
    assert_eq!((job.project.get(), job.owner.get(), job.path.as_str()), (20, 72, "my-group/my-project"));
    assert_eq!((job.job.as_str(), job.run.as_str(), job.ref_protected), ("302", "574", false));
    let proof = check(T11, &github(), 1_755_351_300).unwrap();
    let job = proof.job();
    assert_eq!(
        (job.project.get(), job.owner.get(), job.path.as_str()),
        (456_789, 123_456, "octo-org/octo-repo")
    );
    assert_eq!((proof.issuer(), proof.ends_at().ms()), (GITHUB, 1_755_351_553_000));
}

#[test]
fn s42_the_form_of_the_subject_decides_nothing() {
    let forms = [
        "repo:acme/site:ref:refs/heads/main",
        "repo:acme@123456/site@456789:ref:refs/heads/main",
        "repo:acme/site:environment:prod%3A1",
        "repository_owner_id:123456:job_workflow_ref:x",
        "repo:mallory/evil:ref:refs/heads/main",
    ];
    let read = forms
        .map(|sub| check(&token(&with(github_claims(), json!({"sub": sub}))), &github(), NOW_S).unwrap());
    for proof in &read {
        assert_eq!(proof.job(), read[0].job());
    }
}

#[test]
fn s42_the_project_that_runs_the_job_counts_and_a_fork_is_told() {
    let ours = check(&token(&gitlab_claims()), &gitlab(), NOW_S).unwrap();
    assert!(!ours.job().from_fork && ours.job().ref_protected && ours.job().hosted);
    let running =
        json!({"job_project_id": "20", "job_namespace_id": "72", "project_id": "99", "namespace_id": "98"});
    let forked = check(&token(&with(gitlab_claims(), running)), &gitlab(), NOW_S).unwrap();
    assert_eq!(
        (forked.job().project.get(), forked.job().owner.get(), forked.job().from_fork),
        (20, 72, true)
    );
}

#[test]
fn a_leeway_of_a_minute_is_given_and_no_more() {
    let token = token(&gitlab_claims());
    for (now_s, want) in [
        (NOW_S - 60, None),
        (NOW_S - 61, Some(Refused::NotYet)),
        (NOW_S + 3659, None),
        (NOW_S + 3660, Some(Refused::Expired)),
    ] {
        assert_eq!(check(&token, &gitlab(), now_s).err(), want, "{now_s}");
    }
}

#[test]
fn one_audience_alone_may_stand_in_a_list() {
    assert!(check(&token(&with(gitlab_claims(), json!({"aud": [OURS]}))), &gitlab(), NOW_S).is_ok());
}

#[test]
fn what_a_token_says_of_its_sender_can_be_looked_up_before_anything_is_proven() {
    let named = peek(T10.trim()).unwrap();
    assert_eq!((named.issuer.as_str(), named.key.as_str()), (GITLAB, KID));
    for bad in ["", "a.b", "a.b.c", "....", &"x".repeat(20_000)] {
        assert!(peek(bad).is_err(), "{bad:.20}");
    }
}

/// Claims that are changed in one way, each a token that must be refused though its signature is right.
fn hostile_claims() -> Vec<(Issuer, Value)> {
    let mut cases = Vec::new();
    let common = [
        json!({"iss": "https://gitlab.com"}),
        json!({"iss": format!("{GITLAB}/")}),
        json!({"iss": "https://GITLAB.example.com"}),
        json!({"iss": "gitlab.example.com"}),
        json!({"iss": [GITLAB]}),
        json!({"iss": null}),
        json!({"aud": format!("{OURS}/")}),
        json!({"aud": OURS.to_uppercase()}),
        json!({"aud": [OURS, "https://other.example.com"]}),
        json!({"aud": [OURS, OURS]}),
        json!({"aud": []}),
        json!({"aud": ""}),
        json!({"aud": 7}),
        json!({"aud": {"0": OURS}}),
        json!({"aud": null}),
        json!({"aud": "https://github.com/acme"}),
        json!({"exp": null}),
        json!({"exp": "4102444800"}),
        json!({"exp": 4_102_444_800.0}),
        json!({"exp": 4_102_444_800_u64}),
        json!({"exp": true}),
        json!({"exp": []}),
        json!({"exp": NOW_S - 61}),
        json!({"exp": -1}),
        json!({"exp": u64::MAX}),
        json!({"nbf": null}),
        json!({"nbf": (NOW_S - 5).to_string()}),
        json!({"nbf": NOW_S + 61}),
        json!({"iat": null}),
        json!({"iat": NOW_S.to_string()}),
        json!({"iat": NOW_S as f64 + 0.5}),
        json!({"iat": NOW_S + 61}),
        json!({"iat": NOW_S - 90_000}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 7}),
        json!({"jti": "x".repeat(300)}),
    ];
    cases.extend(common.map(|changes| (gitlab(), with(gitlab_claims(), changes))));
    let of_gitlab = [
        json!({"project_id": null}),
        json!({"project_id": 20}),
        json!({"project_id": "0"}),
        json!({"project_id": "020"}),
        json!({"project_id": "-20"}),
        json!({"project_id": " 20"}),
        json!({"project_id": "18446744073709551616"}),
        json!({"namespace_id": null}),
        json!({"job_id": null}),
        json!({"pipeline_id": null}),
        json!({"job_project_id": "20"}),
    ];
    cases.extend(of_gitlab.map(|changes| (gitlab(), with(gitlab_claims(), changes))));
    let of_github = [
        json!({"repository_id": null}),
        json!({"repository_owner_id": null}),
        json!({"repository_id": "acme/site"}),
        json!({"exp": NOW_S + 3601}),
        json!({"iss": format!("{GITHUB}/acme")}),
    ];
    cases.extend(of_github.map(|changes| (github(), with(github_claims(), changes))));
    // One forge's claims for the other, and a person's sign-in of the same issuer and key.
    cases.push((gitlab(), with(github_claims(), json!({"iss": GITLAB}))));
    cases.push((github(), with(gitlab_claims(), json!({"iss": GITHUB, "exp": NOW_S + 300}))));
    let login = json!({"iss": GITLAB, "aud": "client-id", "sub": "1", "jti": "x", "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 120});
    cases.push((gitlab(), login.clone()));
    cases.push((gitlab(), with(login, json!({"aud": OURS}))));
    cases
}

/// Tokens that are wrong in their form, their header or their signature.
fn hostile_forms() -> Vec<String> {
    let payload = gitlab_claims().to_string();
    let good = sign(&header().to_string(), &payload);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let headed = |changes: Value| sign(&with(header(), changes).to_string(), &payload);
    let second = T10.trim().split('.').nth(1).unwrap();
    let confused_header = part(&format!("{{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"{KID}\"}}"));
    let twice = |name: &str, value: &str| {
        let text = payload.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        sign(&header().to_string(), &text)
    };
    let by_another = {
        let message = format!("{}.{}", part(&header().to_string()), part(&payload));
        let key = EncodingKey::from_secret(MODULUS.trim().as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    };
    vec![
        format!("{}.{}.", part(r#"{"alg":"none","typ":"JWT","kid":"x"}"#), part(&payload)),
        format!("{}.{}.x", part(r#"{"alg":"none","typ":"JWT","kid":"x"}"#), part(&payload)),
        format!("{}.{}.{signature}", part(r#"{"alg":"NoNe","typ":"JWT","kid":"x"}"#), part(&payload)),
        // T13: the public key as the secret of another algorithm.
        format!("{confused_header}.{second}.DCe06kh-ls6YgHNWrolcKGNiTbad0dY3r7fNcCRbNdk"),
        by_another,
        headed(json!({"alg": "HS256"})),
        headed(json!({"alg": "RS512"})),
        headed(json!({"alg": "PS256"})),
        headed(json!({"alg": "ES256"})),
        headed(json!({"alg": "rs256"})),
        headed(json!({"alg": ["RS256"]})),
        headed(json!({"alg": null})),
        headed(json!({"typ": null})),
        headed(json!({"typ": "at+jwt"})),
        headed(json!({"typ": "JWE"})),
        headed(json!({"kid": null})),
        headed(json!({"crit": ["exp"]})),
        format!("{message}.{}", &signature[..signature.len() - 4]),
        format!("{message}.{signature}="),
        format!("{message}.{signature}.{signature}"),
        format!("{message}."),
        message.to_owned(),
        format!(" {good}"),
        good.replace('.', ".."),
        format!("{}.{}.{signature}", part(&header().to_string()), part(&payload.replace("\"20\"", "\"21\""))),
        format!("{}.{}.{signature}", part(&with(header(), json!({"x": 1})).to_string()), part(&payload)),
        twice("exp", "4102444800"),
        twice("aud", "\"https://other.example.com\""),
        twice("iss", "\"https://gitlab.com\""),
        twice("project_id", "\"21\""),
        sign(
            &header().to_string(),
            &format!("{}{}{}", payload.trim_end_matches('}'), ",\"x\":\"", "y".repeat(17_000) + "\"}"),
        ),
        sign(&header().to_string(), "[]"),
        sign(&header().to_string(), "null"),
        sign("{}", &payload),
    ]
}

#[test]
fn s41_sixty_hostile_tokens_and_more_are_all_refused() {
    assert!(check(&token(&gitlab_claims()), &gitlab(), NOW_S).is_ok());
    assert!(check(&token(&github_claims()), &github(), NOW_S).is_ok());
    let claims = hostile_claims();
    let forms = hostile_forms();
    assert!(claims.len() + forms.len() >= 60, "{}", claims.len() + forms.len());
    for (issuer, claims) in &claims {
        let ended = check(&token(claims), issuer, NOW_S);
        assert!(ended.is_err(), "accepted: {claims}");
    }
    for form in &forms {
        let ended = verify(form, &gitlab(), &key(), OURS, at(NOW_S));
        assert!(ended.is_err(), "accepted: {form}");
    }
}

#[test]
fn s41_keys_that_a_token_brings_along_are_not_looked_at() {
    // Signed by somebody else, who also says where to find the key.
    let other = jsonwebtoken::crypto::sign(b"x", &EncodingKey::from_secret(b"x"), Algorithm::HS256).unwrap();
    for name in ["jku", "x5u", "jwk"] {
        let header = with(header(), json!({ name: "https://evil.example.com/keys" }));
        let form = format!("{}.{}.{other}", part(&header.to_string()), part(&gitlab_claims().to_string()));
        assert_eq!(check(&form, &gitlab(), NOW_S), Err(Refused::Signature));
        // A genuine token that carries one is judged by our key alone.
        assert!(check(&sign(&header.to_string(), &gitlab_claims().to_string()), &gitlab(), NOW_S).is_ok());
    }
}
