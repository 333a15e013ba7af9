//! Configs that hold: what they mean, how the layers win, and what is shown of them.

use std::path::PathBuf;

use super::super::{Config, Period, StoreUrl};
use super::{env, parse};
use crate::domain::organization::{Forge, Kind, Role};
use crate::domain::roster::Standing;
use crate::domain::{SourceKey, Timestamp};
use secrecy::ExposeSecret;

/// The documented sample, with only the files replaced by variables.
const SAMPLE: &str = r#"
public_url = "http://127.0.0.1:8080"

[listen]
public = "127.0.0.1:8080"
ops    = "127.0.0.1:9090"
tls    = { cert = "cert.pem", key = "key.pem" }
trusted_proxies = []

[store]
url = "sled:data/store"

[keys]
file = "data/master.key"

[limits]
body_bytes_max = 27262976
report_bytes_max = 67108864
allow_http_forges = false
allow_private_forges = []

[ci]
auto_connect = true
auto_connect_accounts = []
require_proof = false
[[ci.issuers]]
issuer = "https://gitlab.example.com"
jwks_url = "https://gitlab.example.com/oauth/discovery/keys"

[[organizations]]
slug = "acme"
name = "Acme"
home = "github"
authority = "acme-github"
rules = "rules/"
members = { outside = "read_only", levels = ["20 = read_only", "30=member", "40 = none"], direct_only = true, subgroups = true }
break_glass = { login = "ada", host = "github.com", external_id = 583231 }

[[sources]]
key = "our-app"
organizations = ["acme"]
provider = "github"
url = "https://github.com"
webhook_secrets = [{ env = "APP_HOOK_SECRET" }]
app = { id = 1, client_id = "Iv1.x", private_key = { env = "PEM" }, client_secret = { env = "S" } }

[retention]
payload = "14d"
metadata = "90d"

[catch_up]
polling = false

[[connections]]
key = "acme-github"
organization = "acme"
kind = "github_cloud"
account = "acme"
url = "https://github.com"
api_url = "https://api.github.com"
webhook_secrets = [{ env = "ACME_HOOK_SECRET" }, { value = "old", not_after = "2027-01-01T00:00:00Z" }]
signing_tokens = []
app = { id = 1, client_id = "Iv1.x", private_key = { env = "PEM" }, client_secret = { env = "S" }, installation_id = 2 }
ca_file = "tests/fixture/tls/authority.pem"
proxy = "http://proxy.example.com:3128"
allow_private = ["10.0.0.0/8"]

[[connections]]
source = "our-app"
key = "acme-second"
organization = "acme"
kind = "github_cloud"
account = "acme-second"

[[connections]]
key = "acme-gitlab"
organization = "acme"
kind = "gitlab_self_managed"
account = "group/sub"
url = "https://git.example.com/gitlab/"
signing_tokens = [{ value = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" }]
access_token = { env = "S" }
"#;

const SECRETS: &[(&str, &str)] = &[
    ("APP_HOOK_SECRET", "app-hook-secret-0123456789"),
    ("ACME_HOOK_SECRET", "acme-hook-secret-0123456789"),
    ("PEM", "-----BEGIN PRIVATE KEY-----"),
    ("S", "client-secret-0123456789"),
];

fn sample() -> Config {
    parse(SAMPLE, SECRETS).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_documented_sample_is_taken_whole() {
    let config = sample();
    assert_eq!(config.listen.tls.as_ref().unwrap().cert, PathBuf::from("cert.pem"));
    assert_eq!(config.ci.issuers[0].issuer, "https://gitlab.example.com");
    let first = &config.connections[0];
    assert_eq!((first.kind, first.host.as_str()), (Kind::GithubCloud, "github.com"));
    assert_eq!(first.app.as_ref().unwrap().installation_id, Some(2));
    assert_eq!(first.webhook_secrets[1].not_after, Timestamp::parse_rfc3339("2027-01-01T00:00:00Z"));
    assert_eq!(first.allow_private[0].to_string(), "10.0.0.0/8");
    assert_eq!(config.connections[2].host.as_str(), "git.example.com/gitlab");
    let members = config.organizations[0].members.as_ref().unwrap();
    let role = |standing| members.roles.role(standing);
    assert!(members.direct_only && members.subgroups && role(Standing::Outside) == Some(Role::ReadOnly));
    assert_eq!((role(Standing::Owner), role(Standing::Level(30))), (Some(Role::Admin), Some(Role::Member)));
    assert_eq!(
        (role(Standing::Level(15)), role(Standing::Level(50))),
        (None, None),
        "the levels are these alone"
    );
    let glass = config.organizations[0].break_glass.as_ref().unwrap();
    assert_eq!(
        (glass.login.as_str(), glass.host.as_str(), glass.external_id),
        ("ada", "github.com", 583_231)
    );
}

#[test]
fn without_any_config_it_runs_on_the_embedded_store_on_this_machine() {
    let config = Config::load(None, []).unwrap();
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(config.listen.public.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listen.ops.to_string(), "127.0.0.1:9090");
    assert_eq!(config.store, StoreUrl::Sled("data/store".into()));
    assert_eq!(config.key_file, PathBuf::from("data/master.key"));
    assert_eq!((config.limits.body_bytes_max, config.limits.report_bytes_max), (27_262_976, 67_108_864));
    assert!(!config.limits.allow_http_forges && config.ci.auto_connect && !config.ci.require_proof);
    assert_eq!((config.retention.payload, config.retention.metadata), (Period::days(14), Period::days(90)));
    assert!(config.organizations.is_empty() && config.connections.is_empty() && config.sources.is_empty());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let text =
        "[listen]\npublic = \"127.0.0.1:81\"\nops = \"127.0.0.1:82\"\n[limits]\nbody_bytes_max = 2048\n";
    let overrides = [
        ("SCM_CONNECT__LISTEN__PUBLIC", "0.0.0.0:99"),
        ("SCM_CONNECT__LIMITS__BODY_BYTES_MAX", "4096"),
        ("SCM_CONNECT__LIMITS__ALLOW_HTTP_FORGES", "true"),
        ("SCM_CONNECT__STORE__URL", "sled:/var/lib/scm/store"),
        ("SCM_CONNECT_TOKEN", "not a setting"),
    ];
    let config = parse(text, &overrides).unwrap();
    assert_eq!(config.listen.public.port(), 99);
    assert_eq!(config.listen.ops.port(), 82);
    assert_eq!(config.limits.body_bytes_max, 4096);
    assert!(config.limits.allow_http_forges);
    // What is derived follows: our own address, and the key beside the store.
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:99/");
    assert_eq!(config.key_file, PathBuf::from("/var/lib/scm/master.key"));
}

#[test]
fn a_connection_without_a_source_is_one_itself() {
    let declared = sample().declared();
    let keys: Vec<&str> = declared.sources.iter().map(|source| source.key.as_str()).collect();
    assert_eq!(keys, ["our-app", "acme-github", "acme-gitlab"]);
    let of = |key: &str| declared.connections.iter().find(|it| it.key.as_str() == key).unwrap();
    assert_eq!(of("acme-github").source.as_str(), "acme-github");
    assert_eq!(of("acme-second").source.as_str(), "our-app");
    assert_eq!((of("acme-github").credential.as_str(), of("acme-github").installation), ("app", Some(2)));
    assert_eq!((of("acme-second").credential.as_str(), of("acme-second").installation), ("app", None));
    assert_eq!(of("acme-gitlab").credential, "access_token");
    assert_eq!(declared.organizations[0].home, Some(Forge::Github));
}

#[test]
fn every_source_has_a_door_with_its_secrets_in_order() {
    let doors = sample().doors();
    assert_eq!(doors.len(), 3);
    let (forge, host, secrets) = &doors[&SourceKey::parse("acme-github").unwrap()];
    assert_eq!((*forge, host.as_str()), (Forge::Github, "github.com"));
    let texts: Vec<&str> = secrets.webhook.iter().map(|it| it.secret.expose_secret()).collect();
    assert_eq!(texts, ["acme-hook-secret-0123456789", "old"]);
    let (_, _, gitlab) = &doors[&SourceKey::parse("acme-gitlab").unwrap()];
    assert_eq!((gitlab.webhook.len(), gitlab.signing.len()), (0, 1));
}

#[test]
fn a_secret_file_loses_one_line_end_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    for (content, secret) in [
        ("0123456789abcdef", "0123456789abcdef"),
        ("0123456789abcdef\n", "0123456789abcdef"),
        ("0123456789abcdef\r\n", "0123456789abcdef"),
        ("0123456789abcdef\n\n", "0123456789abcdef\n"),
        (" 0123456789abcdef ", " 0123456789abcdef "),
    ] {
        std::fs::write(&path, content).unwrap();
        let text = connection_with(&format!("webhook_secrets = [{{ file = {path:?} }}]"));
        let config = parse(&text, &[]).unwrap();
        assert_eq!(config.connections[0].webhook_secrets[0].expose(), secret, "{content:?}");
    }
}

#[test]
fn what_is_printed_holds_no_secret_and_is_toml_again() {
    let config = sample();
    let shown = format!("{}\n{config:?}", config.report());
    for secret in ["app-hook", "acme-hook", "BEGIN PRIVATE", "client-secret-", "c2VjcmV0", "\"old\""] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    let report: toml::Table = toml::from_str(&config.report()).unwrap();
    assert_eq!(report["limits"]["body_bytes_max"].as_integer(), Some(27_262_976));
    assert_eq!(report["connections"][0]["webhook_secrets"][0]["env"].as_str(), Some("ACME_HOOK_SECRET"));
    assert_eq!(report["connections"][0]["webhook_secrets"][0]["value"].as_str(), Some("(hidden)"));
}

#[test]
fn r48_the_hash_follows_every_change_and_nothing_else() {
    let hash = |text: &str, pairs: &[(&str, &str)]| parse(text, pairs).unwrap().hash(b"key");
    let base = hash(SAMPLE, SECRETS);
    assert_eq!(base.len(), 12);
    assert_eq!(base, hash(&format!("# a remark\n{SAMPLE}"), SECRETS));
    assert_ne!(base, hash(&SAMPLE.replace("14d", "13d"), SECRETS));
    assert_ne!(base, hash(&SAMPLE.replace("value = \"old\"", "value = \"new\""), SECRETS));
    let mut rotated = SECRETS.to_vec();
    rotated[0].1 = "app-hook-secret-9876543210";
    assert_ne!(base, hash(SAMPLE, &rotated));
    assert_ne!(base, sample().hash(b"another key"));
}

#[test]
fn short_and_ended_secrets_are_warned_about() {
    let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    let before = sample().warnings(at("2026-01-01T00:00:00Z"));
    assert_eq!(
        before,
        ["connections[0].webhook_secrets[1] has fewer than 16 bytes and may be guessed; use 32 random ones"]
    );
    let text = SAMPLE.replace("value = \"old\"", "value = \"old-but-long-enough\"");
    let after = parse(&text, SECRETS).unwrap().warnings(at("2027-01-01T00:00:00Z"));
    assert_eq!(
        after,
        [
            "connections[0].webhook_secrets[1] proves nothing any more: its not_after was 2027-01-01T00:00:00.000Z"
        ]
    );
}

#[test]
fn a_file_is_read_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scm.toml");
    std::fs::write(&path, SAMPLE).unwrap();
    assert_eq!(Config::load(Some(&path), env(SECRETS)).unwrap().hash(b"k"), sample().hash(b"k"));
    let missing = Config::load(Some(&folder.path().join("none.toml")), []).unwrap_err().to_string();
    assert!(missing.contains("none.toml: the file cannot be read:"), "{missing}");
}

/// A small config whose only connection has these lines besides what it needs.
pub(super) fn connection_with(lines: &str) -> String {
    format!(
        "[[organizations]]\nslug = \"acme\"\n[[connections]]\nkey = \"acme-github\"\norganization = \"acme\"\n\
         kind = \"github_cloud\"\naccount = \"acme\"\n{lines}\n"
    )
}
