//! What every recorded body means, written down.

use super::*;
use crate::domain::event::Fact;

/// Events that this product has no use for.
const UNWANTED: [&str; 8] = [
    "Deployment Hook",
    "Feature Flag Hook",
    "Issue Hook",
    "Note Hook",
    "Release Hook",
    "Resource Access Token Hook",
    "Wiki Page Hook",
    "Confidential Note Hook",
];

/// Recordings of wanted events that mean nothing to us, and why.
const BROKEN: [(&str, &str); 1] = [(
    "gogitlab.group_merge_request.json",
    "a broken recording: its keys end in blanks (\"iid \"), so it names neither project nor number",
)];

fn group_of(fixture: &Fixture) -> &'static str {
    let event = fixture.name.trim_start_matches("gogitlab.").trim_start_matches("system.");
    let event = event.trim_end_matches(".json");
    match event {
        _ if UNWANTED.contains(&fixture.header) => "unwanted",
        "pipeline" | "job" | "build" => "pipeline",
        "push" | "tag_push" | "repository_update" => "push",
        _ if event.ends_with("merge_request") => "merge_request",
        "member" => "member",
        _ if event.ends_with("_group") => "member",
        _ if event.ends_with("_team") => "collaborator",
        _ if event.starts_with("project_") => "project",
        _ if event.starts_with("group_") || event == "subgroup" => "group",
        _ if event.starts_with("user_") || event.starts_with("key_") => "person",
        other => panic!("no group for {other}"),
    }
}

#[test]
fn every_recorded_body_means_what_is_written_down() {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for fixture in fixtures() {
        let event = match read_body(fixture.header, fixture.body.clone()) {
            Ok(event) => serde_json::to_string(&event).unwrap(),
            Err(error) => error.to_string(),
        };
        groups.entry(group_of(&fixture)).or_default().push(format!("{}\n  {event}", fixture.name));
    }
    assert_eq!(groups.values().map(Vec::len).sum::<usize>(), 45);
    assert_eq!(groups.len(), 9);
    for (group, events) in groups {
        insta::assert_snapshot!(group, events.join("\n"));
    }
}

#[test]
fn no_recording_of_a_wanted_event_is_unwanted_or_unreadable() {
    for fixture in fixtures() {
        let read = read_body(fixture.header, fixture.body);
        if BROKEN.iter().any(|(name, _)| *name == fixture.name) {
            assert_eq!(read.expect(&fixture.name).fact, Fact::Unwanted);
            continue;
        }
        let event = read.expect(&fixture.name);
        let unwanted = UNWANTED.contains(&fixture.header);
        assert_eq!(event.fact == Fact::Unwanted, unwanted, "{}", fixture.name);
    }
}

#[test]
fn no_secret_of_a_body_is_read() {
    for fixture in fixtures() {
        let Ok(event) = read_body(fixture.header, fixture.body) else { continue };
        let shown = format!("{event:?}");
        for secret in ["NESTOR_PROD_ENVIRONMENT", "us-west-1", "ssh-rsa", "AAAAB3", "@"] {
            assert!(!shown.contains(secret), "{} shows {secret}", fixture.name);
        }
    }
}
