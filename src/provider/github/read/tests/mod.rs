//! Every recorded payload, as it is understood; what is not understood, and why.

mod facts;
mod mutation;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;

use super::*;
use crate::domain::SourceKey;
use crate::domain::delivery::RawDelivery;
use crate::provider::github::hook::{Verifier, sign};
use crate::provider::{LiveSecret, Secrets};

/// Events that mean something to this product.
const LISTED: [&str; 18] = [
    "check_suite",
    "github_app_authorization",
    "installation",
    "installation_repositories",
    "installation_target",
    "member",
    "membership",
    "meta",
    "organization",
    "ping",
    "public",
    "pull_request",
    "push",
    "repository",
    "team",
    "team_add",
    "workflow_job",
    "workflow_run",
];

/// Files made from the schema with random, negative numbers that GitHub would never send: they mean nothing.
const IMPOSSIBLE: [&str; 3] = [
    "generated.installation_target.renamed.json",
    "generated.member.removed.json",
    "generated.organization.member_removed.json",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/github")
}

/// Event, file name and body of every fixture, in order.
fn fixtures() -> Vec<(String, String, String)> {
    let map = std::fs::read_to_string(folder().join("_events.map")).unwrap();
    let map: BTreeMap<String, String> = serde_json::from_str(&map).unwrap();
    let read = |file: &String| std::fs::read_to_string(folder().join(file)).unwrap();
    let mut all: Vec<_> = map
        .into_iter()
        .map(|(file, event)| {
            let body = read(&file);
            (event, file, body)
        })
        .collect();
    all.sort();
    all
}

fn fixture(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap()
}

fn delivery(event: &str, content_type: &str, body: &[u8]) -> Delivery {
    let secret: secrecy::SecretString = "a secret for tests".into();
    let source = SourceKey::parse("acme-github").unwrap();
    let webhook = vec![LiveSecret { secret: secret.clone(), not_after: None }];
    let door = Verifier::new(source.clone(), Secrets { webhook, signing: Vec::new() }).unwrap();
    let signature = sign(&secret, body);
    let headers = [
        ("content-type", content_type),
        ("x-hub-signature-256", &signature),
        ("x-github-event", event),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ];
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    let raw = RawDelivery { source, headers: headers.collect(), body: Bytes::copy_from_slice(body) };
    Delivery::authenticate(raw, &door, Timestamp::from_ms(1_780_000_000_000)).unwrap()
}

fn read_json(event: &str, body: &str) -> Result<Event, Unreadable> {
    read(&delivery(event, "application/json", body.as_bytes()))
}

fn fact(event: &str, body: &str) -> Fact {
    read_json(event, body).unwrap().fact
}

fn why(event: &str, body: &str) -> String {
    read_json(event, body).unwrap_err().0
}

/// Fact by fact: one file per listed event, one line per payload.
#[test]
fn every_recorded_payload_means_what_the_snapshots_say() {
    let mut pages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (event, file, body) in fixtures() {
        let page = if LISTED.contains(&event.as_str()) { event.as_str() } else { "unwanted" };
        let understood = match read_json(&event, &body) {
            Ok(understood) => serde_json::to_string(&understood).unwrap(),
            Err(why) => format!("{why}"),
        };
        pages.entry(page.to_owned()).or_default().push(format!("{file}\n  {understood}"));
    }
    assert_eq!(pages.len(), LISTED.len() + 1);
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (page, lines) in pages {
            insta::assert_snapshot!(page.clone(), lines.join("\n"));
        }
    });
}

#[test]
fn no_recorded_payload_of_a_listed_event_is_unwanted_or_unreadable() {
    let all = fixtures();
    assert!(all.len() >= 325);
    for (event, file, body) in &all {
        let is_unwanted = read_json(event, body).unwrap().fact == Fact::Unwanted;
        let means_nothing = !LISTED.contains(&event.as_str()) || IMPOSSIBLE.contains(&file.as_str());
        assert_eq!(is_unwanted, means_nothing, "{file}");
    }
    for event in LISTED {
        assert!(all.iter().any(|(name, ..)| name == event), "{event} has no payload");
    }
}

#[test]
fn the_generated_payloads_mean_something_once_their_numbers_are_possible() {
    let body = fixture("generated.member.removed.json").replace(": -", ": ");
    let Fact::CollaboratorChanged { repository, person } = fact("member", &body) else { panic!("{body}") };
    assert_eq!((repository.id, person.map(|person| person.id)), (9, Some(97)));

    let body = fixture("generated.organization.member_removed.json").replace(": -", ": ");
    assert_eq!(fact("organization", &body), Fact::MemberRemoved { person: None });

    let body = fixture("generated.installation_target.renamed.json").replace(": -", ": ");
    let body = body.replace(r#""name": "Nu""#, r#""login": "Nu""#);
    let event = read_json("installation_target", &body).unwrap();
    assert_eq!(event.fact, Fact::AccountRenamed { from: Some("uSIU8".to_owned()), to: "Nu".to_owned() });
    assert_eq!(event.about.account, Some(AccountRef { id: Some(63), login: "Nu".to_owned() }));
    assert_eq!(event.about.installation, Some(140));
}

#[test]
fn a_form_means_the_same_as_its_json_wherever_its_payload_stands() {
    let body = fixture("octokit.workflow_run.completed.1.json");
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("first", "payload=1")
        .append_pair("payload", &body)
        .append_pair("payload", "{}")
        .finish();
    let form = delivery("workflow_run", "application/x-www-form-urlencoded", form.as_bytes());
    assert_eq!(read(&form), read_json("workflow_run", &body));

    let vector = b"payload=%7B%22zen%22%3A%22Keep+it+logically+awesome.%22%2C%22hook_id%22%3A1%7D";
    let form = delivery("ping", "application/x-www-form-urlencoded", vector);
    assert_eq!(read(&form).unwrap().fact, Fact::Ping);
    let json = document(Encoding::Form, vector).unwrap();
    assert_eq!(json, r#"{"zen":"Keep it logically awesome.","hook_id":1}"#);

    let none = delivery("ping", "application/x-www-form-urlencoded", b"playload=%7B%7D");
    assert_eq!(read(&none).unwrap_err().0, "a form without the field payload");
}

#[test]
fn a_body_that_is_no_json_object_is_unreadable_and_its_content_is_not_repeated() {
    for body in ["", " ", "null", "true", "1", "\"hunter2\"", "[]", "[{}]", "hunter2"] {
        assert_eq!(why("push", body), "no JSON object", "{body}");
    }
    for body in [r#"{"hunter2"#, r#"{"action":hunter2}"#, r#"{"action":"x"} hunter2"#, "{]"] {
        let why = why("push", body);
        assert!(why.starts_with("no valid JSON at line 1") && !why.contains("hunter2"), "{why}");
    }
    let latin = read(&delivery("push", "application/json", b"{\"a\":\"\xe9\"}"));
    assert_eq!(latin.unwrap_err().0, "no UTF-8 after byte 6");
}

#[test]
fn every_recorded_payload_that_is_cut_short_is_unreadable() {
    for (event, file, body) in fixtures() {
        let cut = body.trim_end().len() - 1;
        assert!(understand(&event, &body[..cut]).is_err(), "{file}");
    }
}

#[test]
fn a_body_of_another_event_than_the_header_says_is_unreadable() {
    let push = fixture("octokit.push.1.json");
    for event in ["installation", "installation_repositories", "organization", "workflow_run", "check_suite"]
    {
        let named = push.replacen('{', r#"{"action":"added","#, 1);
        let swapped = ["created", "added", "deleted", "completed"];
        let all = swapped.map(|action| read_json(event, &named.replacen("added", action, 1)));
        assert!(all.iter().any(Result::is_err), "{event}");
        let none = all.iter().flatten().all(|event| event.fact == Fact::Unwanted);
        assert!(none, "{event}: {all:?}");
    }
    for event in ["workflow_run", "workflow_job", "pull_request", "check_suite", "team", "team_add"] {
        assert!(why(event, &push).contains("is missing"), "{event}");
    }
    assert_eq!(why("push", &fixture("octokit.fork.1.json")), "the ref is missing or malformed");
}

#[test]
fn what_github_invents_tomorrow_is_unwanted_and_still_says_whom_it_is_about() {
    let body = r#"{"action":"sparkled","installation":{"id":2},"organization":{"id":3,"login":"acme"}}"#;
    let event = read_json("unicorn", body).unwrap();
    assert_eq!(event.fact, Fact::Unwanted);
    assert_eq!(event.action.as_deref(), Some("sparkled"));
    assert_eq!(event.about.installation, Some(2));
    assert_eq!(event.about.account, Some(AccountRef { id: Some(3), login: "acme".to_owned() }));
    let acting = ["installation", "installation_repositories", "installation_target", "organization"];
    let others = ["membership", "repository", "meta", "github_app_authorization"];
    for event in acting.iter().chain(&others) {
        assert_eq!(fact(event, r#"{"action":"sparkled"}"#), Fact::Unwanted, "{event}");
        assert_eq!(fact(event, "{}"), Fact::Unwanted, "{event}");
    }
}

#[test]
fn a_fact_without_its_number_is_unreadable() {
    for (event, body) in [
        ("installation", r#"{"action":"deleted","installation":{"id":0}}"#),
        ("installation", r#"{"action":"created"}"#),
        ("installation_repositories", r#"{"action":"added","installation":{"id":1e400}}"#),
        ("organization", r#"{"action":"member_added","organization":{"id":1},"membership":{"user":null}}"#),
        ("organization", r#"{"action":"deleted","organization":{"login":"acme"}}"#),
        ("repository", r#"{"action":"deleted","repository":{"id":"1"}}"#),
        ("github_app_authorization", r#"{"action":"revoked","sender":{"login":"a"}}"#),
        ("meta", r#"{"action":"deleted","hook_id":null}"#),
        ("workflow_run", r#"{"repository":{"id":1},"workflow_run":{"id":0}}"#),
        ("pull_request", r#"{"repository":{"id":1},"pull_request":{}}"#),
    ] {
        let why = why(event, body);
        assert!(why.ends_with("is missing or malformed"), "{event}: {why}");
    }
}

#[test]
fn a_person_who_leaves_the_organization_is_no_team_matter() {
    let body = |scope: &str| {
        format!(
            r#"{{"action":"removed","scope":"{scope}","member":{{"id":7,"login":"mona"}},"team":{{"id":5}}}}"#
        )
    };
    let mona = Some(Person { id: 7, login: "mona".to_owned(), bot: false });
    assert_eq!(fact("membership", &body("organization")), Fact::MemberRemoved { person: mona.clone() });
    assert_eq!(fact("membership", &body("team")), Fact::TeamChanged { team: Some(5), person: mona });
}

#[test]
fn rule_12_a_member_who_is_said_to_be_pending_has_been_added() {
    let body = fixture("octokit.organization.member_added.1.json");
    assert!(body.contains(r#""state": "pending""#));
    assert!(matches!(fact("organization", &body), Fact::MemberAdded { .. }));
}

#[test]
fn a_transfer_names_the_owner_before_of_either_kind() {
    let body = |from: &str| {
        format!(
            r#"{{"action":"transferred","repository":{{"id":9,"full_name":"acme/tool"}},"changes":{{"owner":{{"from":{from}}}}}}}"#
        )
    };
    for (before, expected) in [
        (r#"{"user":{"id":4,"login":"mona"}}"#, (Some("mona/tool"), Some(4))),
        (r#"{"user":null,"organization":{"id":5,"login":"old"}}"#, (Some("old/tool"), Some(5))),
        (r#"{"organization":{"id":5}}"#, (None, Some(5))),
        ("null", (None, None)),
    ] {
        let Fact::RepositoryTransferred { from, from_account, .. } = fact("repository", &body(before)) else {
            panic!("{before}")
        };
        assert_eq!((from.as_deref(), from_account), expected, "{before}");
    }
}
