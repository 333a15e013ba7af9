//! Sixty tokens that somebody might try (security S41).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{KEY, NOW, github, gitlab, header, mint, part, refusal, sign, sign_text, with};
use crate::ci::id_token::Rejected::{
    self, Algorithm as Unsafe, Audience, Claim, Expired, Issuer, Key, Life, Malformed, NotYet, Signature,
};

/// What it is, the token, and why it is refused.
type Tried = (&'static str, String, Rejected);

fn changed(changes: Value) -> String {
    mint(&with(gitlab(), changes))
}

fn headed(changes: Value) -> String {
    sign(&with(header(), changes), &gitlab())
}

/// Somebody else's key, under the name of the issuer's.
fn by_another_key() -> String {
    let pem = include_bytes!("stranger.pem");
    let message = format!("{}.{}", part(&header().to_string()), part(&gitlab().to_string()));
    let key = EncodingKey::from_rsa_pem(pem).unwrap();
    format!("{message}.{}", jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::RS256).unwrap())
}

/// A genuine token with one character of one part replaced.
fn bent(which: usize) -> String {
    let token = mint(&gitlab());
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let middle = parts[which].len() / 2;
    let old = parts[which].as_bytes()[middle];
    parts[which].replace_range(middle..=middle, if old == b'A' { "B" } else { "A" });
    parts.join(".")
}

fn unsigned(algorithm: &str) -> String {
    let header = json!({"alg": algorithm, "typ": "JWT", "kid": KEY});
    format!("{}.{}.", part(&header.to_string()), part(&gitlab().to_string()))
}

fn doubled(name: &str, second: &str) -> String {
    let claims = gitlab().to_string();
    sign_text(&header().to_string(), &format!("{},\"{name}\":{second}}}", claims.trim_end_matches('}')))
}

#[rustfmt::skip]
fn about_the_form() -> Vec<Tried> {
    let good = mint(&gitlab());
    let parts: Vec<&str> = good.split('.').collect();
    vec![
        ("nothing", String::new(), Malformed("it has not three parts")),
        ("no parts", "abc".into(), Malformed("it has not three parts")),
        ("two parts", format!("{}.{}", parts[0], parts[1]), Malformed("it has not three parts")),
        ("four parts", format!("{good}.{}", parts[2]), Malformed("it has not three parts")),
        ("empty parts", "..".into(), Malformed("it has not three parts")),
        ("empty claims", format!("{}..{}", parts[0], parts[2]), Malformed("it has not three parts")),
        ("a space in front", format!(" {good}"), Malformed("it is not in base64url")),
        ("a line end behind", format!("{good}\n"), Signature),
        ("padding", format!("{}=.{}.{}", parts[0], parts[1], parts[2]), Malformed("it is not in base64url")),
        ("ordinary base64", good.replace('-', "+").replace('_', "/") + "+/", Signature),
        ("claims that are no JSON", sign_text(&header().to_string(), "not json"), Malformed("its claims are no JSON object")),
        ("claims that are a list", sign_text(&header().to_string(), "[]"), Malformed("its claims are no JSON object")),
        ("claims that are a text", sign_text(&header().to_string(), "\"x\""), Malformed("its claims are no JSON object")),
        ("a header that is a list", sign_text("[]", &gitlab().to_string()), Malformed("its header is no JSON object")),
        ("deep claims", sign_text(&header().to_string(), &format!("{{\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000))), Malformed("its claims are no JSON object")),
        ("a huge token", changed(json!({"groups_direct": "x".repeat(100_000)})), Malformed("it is too long")),
        ("a huge header", headed(json!({"x": "x".repeat(10_000)})), Malformed("its header is too long")),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), Signature),
        ("a bent header", bent(0), Malformed("its header is no JSON object")),
        ("bent claims", bent(1), Malformed("its claims are no JSON object")),
        ("other claims under this signature", format!("{}.{}.{}", parts[0], part(&with(gitlab(), json!({"project_id": "21"})).to_string()), parts[2]), Signature),
        ("a bent signature", bent(2), Signature),
        ("a short signature", good[..good.len() - 8].to_owned(), Signature),
        ("a signature of zeros", format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 256])), Signature),
        ("another's key", by_another_key(), Signature),
    ]
}

#[rustfmt::skip]
fn about_the_header() -> Vec<Tried> {
    let jwk = json!({"kty": "RSA", "kid": KEY, "e": "AQAB", "n": "AQAB"});
    vec![
        ("alg none", unsigned("none"), Unsafe),
        ("alg None", unsigned("None"), Unsafe),
        ("no alg", headed(json!({"alg": null})), Unsafe),
        ("alg HS256", headed(json!({"alg": "HS256"})), Unsafe),
        ("alg ES256", headed(json!({"alg": "ES256"})), Unsafe),
        ("alg PS256", headed(json!({"alg": "PS256"})), Unsafe),
        ("alg RS384", headed(json!({"alg": "RS384"})), Unsafe),
        ("a list of algs", headed(json!({"alg": ["RS256", "none"]})), Unsafe),
        ("a key of its own", headed(json!({"jwk": jwk})), Malformed("its header brings a key or a rule along")),
        ("an address of keys", headed(json!({"jku": "https://evil.example/jwks"})), Malformed("its header brings a key or a rule along")),
        ("an address of certificates", headed(json!({"x5u": "https://evil.example/x"})), Malformed("its header brings a key or a rule along")),
        ("certificates", headed(json!({"x5c": ["AAAA"]})), Malformed("its header brings a key or a rule along")),
        ("an extension to mind", headed(json!({"crit": ["exp"]})), Malformed("its header brings a key or a rule along")),
        ("another type", headed(json!({"typ": "at+jwt"})), Malformed("its type is not JWT")),
        ("no key's name", headed(json!({"kid": null})), Malformed("it names no key")),
        ("a key's name that is a number", headed(json!({"kid": 1})), Malformed("it names no key")),
        ("an unknown key", headed(json!({"kid": "../../etc/passwd"})), Key),
        ("alg twice", sign_text(&format!("{{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"{KEY}\"}}"), &gitlab().to_string()), Malformed("its header is no JSON object")),
    ]
}

#[rustfmt::skip]
fn about_the_claims() -> Vec<Tried> {
    let ours = "https://scm-connect.example.com";
    vec![
        ("no issuer", changed(json!({"iss": null})), Claim("iss")),
        ("another instance", changed(json!({"iss": "https://gitlab.evil.example"})), Issuer),
        ("an issuer with a slash", changed(json!({"iss": "https://gitlab.example.com/"})), Issuer),
        ("an issuer in capitals", changed(json!({"iss": "https://GitLab.example.com"})), Issuer),
        ("a list of issuers", changed(json!({"iss": ["https://gitlab.example.com"]})), Claim("iss")),
        ("a bare host as issuer", changed(json!({"iss": "gitlab.example.com"})), Issuer),
        ("no audience", changed(json!({"aud": null})), Audience),
        ("an audience with a slash", changed(json!({"aud": format!("{ours}/")})), Audience),
        ("two audiences", changed(json!({"aud": [ours, "https://other.example"]})), Audience),
        ("ours twice", changed(json!({"aud": [ours, ours]})), Audience),
        ("no audience in a list", changed(json!({"aud": []})), Audience),
        ("GitHub's own audience", mint(&with(github(), json!({"aud": "https://github.com/octo-org"}))), Audience),
        ("exp as a text", changed(json!({"exp": (NOW + 3600).to_string()})), Claim("exp")),
        ("exp with a fraction", changed(json!({"exp": NOW as f64 + 0.5})), Claim("exp")),
        ("no exp", changed(json!({"exp": null})), Claim("exp")),
        ("no nbf", changed(json!({"nbf": null})), Claim("nbf")),
        ("no iat", changed(json!({"iat": null})), Claim("iat")),
        ("nbf as a text", changed(json!({"nbf": "0"})), Claim("nbf")),
        ("an end long past", changed(json!({"iat": NOW - 9000, "exp": NOW - 61})), Expired),
        ("a beginning to come", changed(json!({"nbf": NOW + 61})), NotYet),
        ("made in the future", changed(json!({"iat": NOW + 61, "exp": NOW + 3600})), NotYet),
        ("an end without end", changed(json!({"exp": i64::MAX})), Life),
        ("a negative time", changed(json!({"iat": -1})), Claim("iat")),
        ("over before it began", changed(json!({"iat": NOW, "exp": NOW})), Life),
        ("two days", changed(json!({"exp": NOW + 86_401})), Life),
        ("GitHub's for two hours", mint(&with(github(), json!({"exp": NOW + 7200}))), Life),
        ("no number of its own", changed(json!({"jti": null})), Claim("jti")),
        ("exp twice", doubled("exp", &(NOW + 60).to_string()), Malformed("its claims are no JSON object")),
        ("an unknown claim twice", sign_text(&header().to_string(), &gitlab().to_string().replacen('{', "{\"x\":1,\"x\":2,", 1)), Malformed("its claims are no JSON object")),
        ("a login token", changed(json!({"job_id": null, "pipeline_id": null, "project_id": null})), Claim("project_id")),
        ("a project's number that is a name", changed(json!({"project_id": "20x"})), Claim("project_id")),
        ("a project's number that is ours", changed(json!({"project_id": (1_u64 << 62).to_string()})), Claim("project_id")),
        ("a negative number", changed(json!({"namespace_id": "-72"})), Claim("namespace_id")),
        ("a path outside of its namespace", changed(json!({"project_path": "victim/my-project"})), Claim("project_path")),
        ("a path with nothing in it", changed(json!({"project_path": "my-group/"})), Claim("project_path")),
        ("a path with a line end", changed(json!({"project_path": "my-group/a\nb"})), Claim("project_path")),
        ("GitHub's claims at GitLab", mint(&with(github(), json!({"iss": "https://gitlab.example.com"}))), Claim("project_id")),
        ("an owner with a slash", mint(&with(github(), json!({"repository_owner": "a/b", "repository": "a/b/c"}))), Claim("repository_owner")),
    ]
}

#[tokio::test]
async fn s41_no_hostile_token_is_taken() {
    let good = mint(&gitlab());
    assert!(super::check_at(&good, NOW).await.is_ok(), "the one that all others are made of");
    assert!(super::check_at(&mint(&github()), NOW).await.is_ok());
    let all: Vec<_> = [about_the_form(), about_the_header(), about_the_claims()].concat();
    assert!(all.len() >= 60, "{} tokens", all.len());
    let mut wrong = Vec::new();
    for (what, token, why) in &all {
        let rejected = refusal(what, token).await;
        println!("{what}: {rejected}");
        if rejected != *why {
            wrong.push(format!("{what}: {rejected}; not because {why}"));
        }
    }
    assert!(wrong.is_empty(), "refused by another check than the one it is for: {wrong:#?}");
    println!("{} hostile tokens, none was taken", all.len());
}

#[tokio::test]
async fn s41_each_check_refuses_by_itself() {
    let table = [
        (changed(json!({"aud": "https://other.example"})), Rejected::Audience),
        (changed(json!({"iss": "https://gitlab.evil.example"})), Rejected::Issuer),
        (changed(json!({"exp": NOW + 86_401})), Rejected::Life),
        (changed(json!({"iat": NOW - 9000, "exp": NOW - 61})), Rejected::Expired),
        (changed(json!({"nbf": NOW + 61})), Rejected::NotYet),
        (headed(json!({"kid": "another"})), Rejected::Key),
        (by_another_key(), Rejected::Signature),
        (unsigned("none"), Rejected::Algorithm),
    ];
    for (token, why) in table {
        assert_eq!(refusal("it", &token).await, why);
    }
}
