//! Published clients of the forges' signing schemes agree with us, both ways (tests/peers).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use scm_connect::domain::delivery::{Authenticate, Delivery, RawDelivery, Rejected};
use scm_connect::domain::organization::Forge;
use scm_connect::domain::{SourceKey, Timestamp};
use scm_connect::provider::{Door, LiveSecret, Secrets, github, gitlab};
use serde_json::{Value, json};

use crate::harness::tools;

/// What a published client is started as.
enum Client {
    Node(&'static str),
    Python(&'static str),
}

const METHODS: Client = Client::Node(include_str!("../peers/octokit-methods.mjs"));
const WEBHOOKS: Client = Client::Node(include_str!("../peers/octokit-webhooks.mjs"));
const GIDGETHUB: Client = Client::Python("by_gidgethub.py");
const STANDARD_NODE: Client = Client::Node(include_str!("../peers/standardwebhooks.mjs"));
const STANDARD_PYTHON: Client = Client::Python("by_standardwebhooks.py");

const GITHUB_SECRETS: [&str; 2] = ["It's a Secret to Everybody", "geheim-schlüssel-🔑"];
const GITLAB_TOKENS: [&str; 2] = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw7jT/5z+pJ+0=",
    "whsec_/////////////////////////////////////////////////////////////////////////////////////w==",
];

/// One body that is signed with one secret.
struct Case {
    what: String,
    event: &'static str,
    content_type: &'static str,
    secret: &'static str,
    id: String,
    /// Seconds.
    time: i64,
    body: Vec<u8>,
}

impl Case {
    fn asked(&self, signature: Option<&str>) -> Value {
        let body = STANDARD.encode(&self.body);
        json!({"secret": self.secret, "id": self.id, "time": self.time, "body": body, "signature": signature})
    }
}

impl Client {
    /// Starts it once, for all cases.
    fn answers(&self, act: &str, asked: &[Value]) -> Vec<String> {
        let home = home();
        let mut command = match self {
            Self::Node(script) => {
                let mut command = Command::new("node");
                command.current_dir(home.join("node")).args(["--input-type=module", "-e", script, act]);
                command
            }
            Self::Python(script) => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
                let mut command = Command::new("python3");
                command.env("PYTHONPATH", home.join("python")).arg("-B").arg(path).arg(act);
                command
            }
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let text = serde_json::to_vec(asked).unwrap();
        child.stdin.take().unwrap().write_all(&text).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "the client ended with {}", output.status);
        let answers: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answers.len(), asked.len());
        answers
    }
}

/// Where `tests/peers/install` puts the clients. Without them nothing is proven, so their absence is no skip.
pub(crate) fn home() -> PathBuf {
    let home = tools().join("peers");
    assert!(home.join("installed").exists(), "the published clients are missing: run `bash tests/tools`");
    home
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture").join(name);
    std::fs::read(path).unwrap()
}

/// The clients hold signed times against the machine's clock, so ours is asked too.
#[expect(clippy::disallowed_methods, reason = "the clients know no other clock")]
fn seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Every body with every secret.
fn crossed(
    bodies: Vec<(String, &'static str, &'static str, Vec<u8>)>,
    secrets: &[&'static str],
) -> Vec<Case> {
    let time = seconds();
    let mut cases = Vec::new();
    for (what, event, content_type, body) in bodies {
        for secret in secrets {
            let id = format!("f5e5f430-f57b-4e6e-9fac-{:012}", cases.len());
            let body = body.clone();
            cases.push(Case { what: what.clone(), event, content_type, secret, id, time, body });
        }
    }
    assert!(cases.len() >= 12);
    cases
}

fn github_cases() -> Vec<Case> {
    let json = "application/json";
    let recorded = [
        ("push", "octokit.push.3.json"),
        ("pull_request", "octokit.pull_request.opened.3.json"),
        ("workflow_run", "octokit.workflow_run.requested.1.json"),
        ("dependabot_alert", "octokit.dependabot_alert.created.1.json"),
        ("organization", "generated.organization.member_removed.json"),
    ];
    let mut bodies: Vec<_> = recorded
        .into_iter()
        .map(|(event, file)| (file.to_owned(), event, json, fixture(&format!("github/{file}"))))
        .collect();
    assert!(bodies.iter().any(|(.., body)| !body.is_ascii()), "no body has a letter beyond ASCII");
    let (file, .., push) = bodies.first().unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", std::str::from_utf8(push).unwrap())
        .finish();
    let form = (format!("{file} as a form"), "push", "application/x-www-form-urlencoded", form.into_bytes());
    bodies.push(form);
    let odd = "{\"zen\":\"\u{2028}é e\u{301} 🦀\\ud83d \u{feff}\"}\r\n ".as_bytes().to_vec();
    bodies.push(("letters that other encoders change".into(), "ping", json, odd));
    crossed(bodies, &GITHUB_SECRETS)
}

fn gitlab_cases() -> Vec<Case> {
    let recorded = [
        ("Push Hook", "gogitlab.push.json"),
        ("Pipeline Hook", "gogitlab.pipeline.json"),
        ("Merge Request Hook", "gogitlab.merge_request.json"),
        ("Merge Request Hook", "gogitlab.service_merge_request.json"),
        ("Member Hook", "gogitlab.member.json"),
        ("System Hook", "gogitlab.system.project_create.json"),
    ];
    let json = "application/json";
    let mut bodies: Vec<_> = recorded
        .into_iter()
        .map(|(event, file)| (file.to_owned(), event, json, fixture(&format!("gitlab/{file}"))))
        .collect();
    assert!(bodies.iter().any(|(.., body)| !body.is_ascii()), "no body has a letter beyond ASCII");
    let odd = "{\"title\":\"\u{2028}é e\u{301} 🦀 . .. %2E\"}\n".as_bytes().to_vec();
    bodies.push(("letters that other encoders change".into(), "Push Hook", "application/json", odd));
    crossed(bodies, &GITLAB_TOKENS)
}

fn door(forge: Forge, secret: &str) -> Door {
    let live = vec![LiveSecret { secret: secret.into(), not_after: None }];
    let secrets = match forge {
        Forge::Github => Secrets { webhook: live, signing: Vec::new() },
        Forge::Gitlab => Secrets { webhook: Vec::new(), signing: live },
    };
    Door::new(forge, SourceKey::parse("acme").unwrap(), secrets).unwrap()
}

fn raw(forge: Forge, case: &Case, signature: &str) -> RawDelivery {
    let time = case.time.to_string();
    let headers = match forge {
        Forge::Github => vec![
            ("content-type", case.content_type),
            ("x-github-event", case.event),
            ("x-github-delivery", &case.id),
            ("x-hub-signature-256", signature),
        ],
        Forge::Gitlab => vec![
            ("content-type", case.content_type),
            ("x-gitlab-event", case.event),
            ("webhook-id", &case.id),
            ("webhook-timestamp", &time),
            ("webhook-signature", signature),
        ],
    };
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value.as_bytes())))
        .collect();
    RawDelivery { source: SourceKey::parse("acme").unwrap(), headers, body: case.body.clone().into() }
}

fn other(secrets: &[&'static str], than: &str) -> &'static str {
    secrets.iter().find(|secret| **secret != than).unwrap()
}

/// They sign; we accept with the same secret, and refuse with another one and one flipped byte.
fn accepted(forge: Forge, client: &Client, cases: &[Case], secrets: &[&'static str]) {
    let asked: Vec<_> = cases.iter().map(|case| case.asked(None)).collect();
    for (case, signature) in cases.iter().zip(client.answers("sign", &asked)) {
        let now = Timestamp::from_ms(case.time.saturating_mul(1000));
        let raw = raw(forge, case, &signature);
        let taken = Delivery::authenticate(raw.clone(), &door(forge, case.secret), now);
        let taken = taken.unwrap_or_else(|error| unreachable!("{}: {error}", case.what));
        assert_eq!((taken.body().as_ref(), &taken.envelope().external_id), (&case.body[..], &case.id));
        let elsewhere = door(forge, other(secrets, case.secret)).authenticate(&raw, now);
        assert_eq!(elsewhere, Err(Rejected::ProofWrong), "{}", case.what);
        let mut changed = raw;
        let mut body = case.body.clone();
        *body.last_mut().unwrap() ^= 1;
        changed.body = body.into();
        let flipped = door(forge, case.secret).authenticate(&changed, now);
        assert_eq!(flipped, Err(Rejected::ProofWrong), "{}", case.what);
    }
}

/// We sign; they accept it with the same secret and refuse it with another.
fn verified(client: &Client, cases: &[Case], secrets: &[&'static str], sign: impl Fn(&Case, &str) -> String) {
    let mut asked: Vec<_> = cases.iter().map(|case| case.asked(Some(&sign(case, case.secret)))).collect();
    let wrong = cases.iter().map(|case| case.asked(Some(&sign(case, other(secrets, case.secret)))));
    asked.extend(wrong);
    let answers = client.answers("verify", &asked);
    let (right, wrong) = answers.split_at(cases.len());
    for (case, (right, wrong)) in cases.iter().zip(right.iter().zip(wrong)) {
        assert_eq!(right, "accepted", "{}", case.what);
        assert!(wrong.starts_with("refused: "), "{} under another secret: {wrong}", case.what);
    }
}

fn sign_github(case: &Case, secret: &str) -> String {
    github::hook::sign(&secret.into(), &case.body)
}

fn sign_gitlab(case: &Case, token: &str) -> String {
    gitlab::hook::sign(token, &case.id, case.time, &case.body).unwrap()
}

#[test]
fn what_octokit_webhooks_methods_signs_is_accepted() {
    accepted(Forge::Github, &METHODS, &github_cases(), &GITHUB_SECRETS);
}

#[test]
fn what_octokit_webhooks_signs_is_accepted() {
    accepted(Forge::Github, &WEBHOOKS, &github_cases(), &GITHUB_SECRETS);
}

#[test]
fn octokit_webhooks_methods_verifies_what_is_signed_for_github() {
    verified(&METHODS, &github_cases(), &GITHUB_SECRETS, sign_github);
}

#[test]
fn octokit_webhooks_verifies_what_is_signed_for_github() {
    verified(&WEBHOOKS, &github_cases(), &GITHUB_SECRETS, sign_github);
}

#[test]
fn gidgethub_verifies_what_is_signed_for_github() {
    verified(&GIDGETHUB, &github_cases(), &GITHUB_SECRETS, sign_github);
}

#[test]
fn what_standardwebhooks_of_npm_signs_is_accepted() {
    accepted(Forge::Gitlab, &STANDARD_NODE, &gitlab_cases(), &GITLAB_TOKENS);
}

#[test]
fn what_standardwebhooks_of_pypi_signs_is_accepted() {
    accepted(Forge::Gitlab, &STANDARD_PYTHON, &gitlab_cases(), &GITLAB_TOKENS);
}

#[test]
fn standardwebhooks_of_npm_verifies_what_is_signed_for_gitlab() {
    verified(&STANDARD_NODE, &gitlab_cases(), &GITLAB_TOKENS, sign_gitlab);
}

#[test]
fn standardwebhooks_of_pypi_verifies_what_is_signed_for_gitlab() {
    verified(&STANDARD_PYTHON, &gitlab_cases(), &GITLAB_TOKENS, sign_gitlab);
}

#[test]
fn a_delivery_signed_too_long_ago_is_refused_by_us_and_by_standardwebhooks() {
    for client in [STANDARD_NODE, STANDARD_PYTHON] {
        let mut cases = gitlab_cases();
        let now = Timestamp::from_ms(seconds().saturating_mul(1000));
        for case in &mut cases {
            case.time = case.time.saturating_sub(310);
        }
        let asked: Vec<_> =
            cases.iter().map(|case| case.asked(Some(&sign_gitlab(case, case.secret)))).collect();
        for (case, theirs) in cases.iter().zip(client.answers("verify", &asked)) {
            assert_eq!(theirs, "refused: Message timestamp too old");
            let raw = raw(Forge::Gitlab, case, &sign_gitlab(case, case.secret));
            let ours = door(Forge::Gitlab, case.secret).authenticate(&raw, now);
            assert_eq!(ours, Err(Rejected::Stale));
        }
    }
}
