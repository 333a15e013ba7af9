//! Small rules that no recorded payload shows.

use super::fact;
use crate::domain::event::{Fact, Repository, Run};
use crate::domain::pipeline::{PipelineStatus, RunKind};
use crate::domain::project::Visibility;

fn seen(repository: &str) -> Repository {
    let body = format!(r#"{{"action":"edited","repository":{repository}}}"#);
    match fact("repository", &body) {
        Fact::RepositorySeen { repository } => repository,
        other => panic!("{other:?}"),
    }
}

#[test]
fn private_without_more_may_be_internal_unless_the_whole_repository_is_told() {
    let visibility = |told: &str| seen(&format!(r#"{{"id":1,{told}}}"#)).visibility;
    assert_eq!(visibility(r#""private":true,"visibility":"internal""#), Some(Visibility::Internal));
    assert_eq!(visibility(r#""private":true,"visibility":"private""#), Some(Visibility::Private));
    assert_eq!(visibility(r#""private":false"#), Some(Visibility::Public));
    assert_eq!(visibility(r#""private":true"#), None);
    assert_eq!(visibility(r#""private":true,"owner":{"id":2}"#), Some(Visibility::Private));
    assert_eq!(visibility(r#""visibility":"secret""#), None);
    assert_eq!(visibility(r#""private":true,"visibility":"public""#), None);
    assert_eq!(
        visibility(r#""private":true,"visibility":"public","owner":{"id":2}"#),
        Some(Visibility::Private)
    );
}

#[test]
fn a_repository_is_named_by_owner_and_name_where_the_full_name_is_missing() {
    assert_eq!(seen(r#"{"id":1,"name":"tool","owner":{"login":"acme"}}"#).full_path, "acme/tool");
    assert_eq!(seen(r#"{"id":1,"name":"tool","full_name":5}"#).full_path, "");
    let short = seen(r#"{"id":1}"#);
    assert_eq!((short.archived, short.default_branch), (None, None));
}

#[test]
fn a_rename_without_the_old_name_still_tells_the_new_one() {
    let renamed = |changes: &str| {
        let body = format!(
            r#"{{"action":"renamed","changes":{changes},"repository":{{"id":1,"full_name":"acme/new"}}}}"#
        );
        fact("repository", &body)
    };
    let repository = seen(r#"{"id":1,"full_name":"acme/new"}"#);
    let from = "acme/old".to_owned();
    assert_eq!(
        renamed(r#"{"repository":{"name":{"from":"old"}}}"#),
        Fact::RepositoryRenamed { repository: repository.clone(), from }
    );
    assert_eq!(renamed("{}"), Fact::RepositorySeen { repository });
}

fn run(event: &str, action: &str, told: &str) -> Run {
    let body = format!(r#"{{"action":"{action}","repository":{{"id":1}},"{event}":{{"id":5{told}}}}}"#);
    match fact(event, &body) {
        Fact::RunChanged { run, .. } => run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_is_as_far_as_its_status_says_and_else_as_its_action_says() {
    let status = |action: &str, status: &str, conclusion: &str| {
        run("workflow_run", action, &format!(r#","status":{status},"conclusion":{conclusion}"#)).status
    };
    for word in ["requested", "queued", "pending", "waiting"] {
        assert_eq!(status("x", &format!("\"{word}\""), "null"), PipelineStatus::Queued, "{word}");
    }
    assert_eq!(status("requested", r#""in_progress""#, "null"), PipelineStatus::Running);
    for (conclusion, expected) in [
        ("success", PipelineStatus::Passed),
        ("failure", PipelineStatus::Failed),
        ("timed_out", PipelineStatus::Failed),
        ("startup_failure", PipelineStatus::Failed),
        ("cancelled", PipelineStatus::Canceled),
        ("skipped", PipelineStatus::Canceled),
        ("neutral", PipelineStatus::Canceled),
        ("stale", PipelineStatus::Canceled),
        ("action_required", PipelineStatus::Canceled),
        ("a word of tomorrow", PipelineStatus::Canceled),
    ] {
        assert_eq!(status("x", r#""completed""#, &format!("\"{conclusion}\"")), expected, "{conclusion}");
    }
    assert_eq!(status("in_progress", "null", "null"), PipelineStatus::Running);
    assert_eq!(status("completed", r#""tomorrow""#, r#""success""#), PipelineStatus::Passed);
    assert_eq!(status("tomorrow", r#""tomorrow""#, "null"), PipelineStatus::Queued);
}

#[test]
fn a_rerun_keeps_its_number_and_raises_its_attempt() {
    let told =
        run("workflow_run", "completed", r#","run_attempt":3,"status":"completed","conclusion":"failure""#);
    assert_eq!((told.kind, told.id, told.attempt), (RunKind::Pipeline, 5, 3));
    assert_eq!(told.detail, "completed: failure");
    assert_eq!(run("workflow_run", "completed", "").attempt, 1);
}

#[test]
fn a_job_knows_the_run_it_belongs_to_and_a_suite_its_app() {
    let job = run("workflow_job", "queued", r#","run_id":77,"name":"build""#);
    assert_eq!((job.kind, job.parent, job.name.as_deref()), (RunKind::Job, Some(77), Some("build")));
    let suite = run("check_suite", "completed", r#","app":{"slug":"github-actions"}"#);
    assert_eq!((suite.kind, suite.name.as_deref()), (RunKind::Suite, Some("github-actions")));
}

#[test]
fn a_pushed_ref_that_was_deleted_has_no_commit() {
    let after = |hash: &str| {
        let body = format!(r#"{{"ref":"refs/heads/main","after":"{hash}","repository":{{"id":1}}}}"#);
        match fact("push", &body) {
            Fact::Pushed { after, .. } => after,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(after(&"0".repeat(40)), None);
    assert_eq!(after("main"), None);
    assert_eq!(after(&"ab".repeat(20)), Some("ab".repeat(20)));
    assert_eq!(after(&"ab".repeat(32)), Some("ab".repeat(32)));
}

#[test]
fn a_pull_request_is_merged_only_when_it_is_closed_too() {
    let state = |told: &str| {
        let body = format!(r#"{{"number":4,"repository":{{"id":1}},"pull_request":{{{told}}}}}"#);
        match fact("pull_request", &body) {
            Fact::ChangeRequested { state, .. } => state,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(state(r#""state":"open","merged":false"#), "open");
    assert_eq!(state(r#""state":"open","merged":true"#), "open");
    assert_eq!(state(r#""state":"closed","merged":false,"merged_at":null"#), "closed");
    assert_eq!(state(r#""state":"closed","merged":true"#), "merged");
    assert_eq!(state(r#""state":"closed","merged_at":"2019-05-15T15:20:41Z""#), "merged");
}

#[test]
fn a_bot_is_told_apart_from_a_person() {
    let body = |kind: &str| {
        format!(
            r#"{{"action":"added","scope":"team","team":{{"id":1}},"member":{{"id":3,"login":"x","type":"{kind}"}}}}"#
        )
    };
    for (kind, bot) in [("Bot", true), ("User", false), ("Mannequin", false)] {
        let Fact::TeamChanged { person, .. } = fact("membership", &body(kind)) else { panic!("{kind}") };
        assert_eq!(person.map(|person| person.bot), Some(bot), "{kind}");
    }
}
