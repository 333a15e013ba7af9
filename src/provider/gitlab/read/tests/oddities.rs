//! What no recording shows.

use serde_json::{Value, json};

use super::*;
use crate::domain::event::{Fact, Person};
use crate::domain::pipeline::PipelineStatus;
use crate::domain::project::Visibility;

fn told(header: &'static str, body: &Value) -> Event {
    read_body(header, body.to_string()).unwrap()
}

fn pipeline(status: &Value) -> Value {
    json!({
        "object_kind": "pipeline", "object_attributes": {"id": 31, "status": status},
        "project": {"id": 1, "path_with_namespace": "a/b/c", "visibility_level": 10},
    })
}

#[test]
fn a_pipeline_stands_where_its_status_says() {
    use PipelineStatus::{Canceled, Failed, Passed, Queued, Running};
    let rows = [
        (json!("created"), Queued),
        (json!("waiting_for_resource"), Queued),
        (json!("preparing"), Queued),
        (json!("pending"), Queued),
        (json!("scheduled"), Queued),
        (json!("manual"), Queued),
        (json!("running"), Running),
        (json!("canceling"), Running),
        (json!("success"), Passed),
        (json!("failed"), Failed),
        (json!("canceled"), Canceled),
        (json!("skipped"), Canceled),
        (json!("a word of the future"), Running),
        (json!(null), Running),
    ];
    for (word, status) in rows {
        let event = told("Pipeline Hook", &pipeline(&word));
        let Fact::RunChanged { repository, run } = event.fact else { panic!("{word}") };
        assert_eq!((run.status, run.detail.as_str()), (status, word.as_str().unwrap_or_default()));
        assert_eq!((repository.id, repository.visibility), (1, Some(Visibility::Internal)));
        assert_eq!(event.about.account.map(|account| account.login).as_deref(), Some("a"));
    }
}

#[test]
fn the_body_says_what_an_event_is_and_the_header_only_who_sends_it() {
    let member =
        |event: &str| json!({"event_name": event, "group_id": 1, "user_id": 2, "user_username": "x"});
    let rows = [
        ("Member Hook", member("user_add_to_group"), "Member Hook", Some("user_add_to_group")),
        ("System Hook", member("user_add_to_group"), "System Hook", Some("user_add_to_group")),
        ("Push Hook", member("user_add_to_group"), "Member Hook", Some("user_add_to_group")),
        ("Push Hook", pipeline(&json!("failed")), "Pipeline Hook", None),
        ("System Hook", pipeline(&json!("failed")), "Pipeline Hook", None),
        ("Push Hook", json!({"event_name": "user_create", "user_id": 1}), "System Hook", Some("user_create")),
        (
            "System Hook",
            json!({"object_kind": "gitlab_subscription_member_approval"}),
            "System Hook",
            Some("gitlab_subscription_member_approval"),
        ),
        ("Emoji Hook", json!({"object_kind": "emoji"}), "Emoji Hook", None),
        ("New Hook", json!({}), "New Hook", None),
        ("System Hook", json!({}), "System Hook", None),
    ];
    for (header, body, name, action) in rows {
        let event = told(header, &body);
        assert_eq!((event.name.as_str(), event.action.as_deref()), (name, action), "{header} {body}");
    }
}

#[test]
fn a_wanted_event_whose_body_does_not_say_what_it_is_cannot_be_read() {
    for header in ["Pipeline Hook", "Member Hook", "Subgroup Hook"] {
        let error = read_body(header, r#"{"text":"a customer's own template"}"#).unwrap_err();
        assert_eq!(error, Unreadable("it does not say which event it is".into()));
    }
}

#[test]
fn a_person_who_asks_is_invited_and_one_who_is_refused_only_makes_the_list_old() {
    let body = |event: &str| json!({"event_name": event, "group_id": 9, "user_id": 2, "user_username": "x", "group_access": "Guest"});
    let person = Person { id: 2, login: "x".into(), bot: false };
    let fact = |event: &str| told("Member Hook", &body(event)).fact;
    let invited = Fact::MemberInvited { person: Some(person.clone()), role: Some("Guest".into()) };
    assert_eq!(fact("user_access_request_to_group"), invited);
    let doubted = Fact::TeamChanged { team: None, person: Some(person) };
    assert_eq!(fact("user_access_request_denied_for_group"), doubted);
    assert_eq!(fact("user_access_request_revoked_for_group"), doubted);
    assert_eq!(told("Member Hook", &body("user_add_to_group")).about.group, Some(9));
}

#[test]
fn a_bot_is_told_from_a_person() {
    let body = json!({"event_name": "user_add_to_group", "group_id": 9, "user_id": 2, "user_username": "group_9_bot_a1"});
    let Fact::MemberAdded { person, .. } = told("Member Hook", &body).fact else { panic!() };
    assert!(person.bot);
}

#[test]
fn a_deleted_ref_has_no_commit() {
    for zeros in [40, 64] {
        let body = json!({
            "object_kind": "push", "ref": "refs/heads/x", "after": "0".repeat(zeros), "checkout_sha": null,
            "project_id": 3,
        });
        let Fact::Pushed { after, repository, .. } = told("Push Hook", &body).fact else { panic!() };
        assert_eq!((after, repository.id, repository.full_path.as_str()), (None, 3, ""));
    }
}

#[test]
fn a_merge_request_is_open_until_it_is_closed_or_merged() {
    for (state, ours) in [("opened", "open"), ("locked", "open"), ("closed", "closed"), ("merged", "merged")]
    {
        let body = json!({
            "object_kind": "merge_request", "project": {"id": 1},
            "object_attributes": {"iid": 4, "state": state, "action": "update", "last_commit": {"id": "abc"}},
        });
        let event = told("Merge Request Hook", &body);
        assert_eq!(event.action.as_deref(), Some("update"));
        let Fact::ChangeRequested { number, state, head, .. } = event.fact else { panic!() };
        assert_eq!((number, state.as_str(), head.as_deref()), (4, ours, Some("abc")));
    }
}

#[test]
fn an_update_without_a_ref_only_shows_the_repository() {
    let body = json!({"event_name": "repository_update", "project_id": 1, "changes": [], "refs": []});
    assert!(matches!(told("System Hook", &body).fact, Fact::RepositorySeen { .. }));
    let body =
        json!({"event_name": "repository_update", "project_id": 1, "refs": ["refs/heads/a", "refs/heads/b"]});
    let Fact::Pushed { git_ref, .. } = told("System Hook", &body).fact else { panic!() };
    assert_eq!(git_ref, "refs/heads/a");
}

#[test]
fn a_mistyped_password_of_somebody_who_is_not_blocked_is_no_news() {
    let body = |state: &str| json!({"event_name": "user_failed_login", "user_id": 1, "username": "x", "state": state});
    assert!(matches!(told("System Hook", &body("ldap_blocked")).fact, Fact::PersonBlocked { .. }));
    assert_eq!(told("System Hook", &body("active")).fact, Fact::Unwanted);
}

#[test]
fn a_number_that_is_none_is_no_number() {
    for id in [json!(0), json!(-1), json!(1.5), json!("7"), json!(1e300), json!([7]), json!(null)] {
        let body = json!({"event_name": "project_create", "project_id": id, "path_with_namespace": "a/b"});
        let error = read_body("Project Hook", body.to_string()).unwrap_err();
        assert_eq!(error, Unreadable("the project has no number".into()), "{id}");
    }
    let body = json!({"event_name": "project_create", "project_id": u64::MAX, "path_with_namespace": "a/b"});
    assert_eq!(told("Project Hook", &body).about.project, Some(u64::MAX));
}

#[test]
fn a_group_named_by_its_last_segment_names_no_account() {
    let created = json!({"event_name": "group_create", "group_id": 5, "path": "sub"});
    assert_eq!(told("System Hook", &created).about.account, None);
    let subgroup =
        json!({"event_name": "subgroup_destroy", "group_id": 5, "path": "sub", "full_path": "top/sub"});
    let event = told("Subgroup Hook", &subgroup);
    assert_eq!(event.fact, Fact::GroupDeleted { group: 5 });
    assert_eq!(event.about.account.map(|account| account.login).as_deref(), Some("top"));
}

#[test]
fn an_error_repeats_nothing_of_the_body() {
    for body in [
        r#"{"object_kind":"push","ref":"hunter2","project":"hunter2""#,
        r#"{"object_kind":"push","a":hunter2}"#,
    ] {
        let error = read_body("Push Hook", body).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
