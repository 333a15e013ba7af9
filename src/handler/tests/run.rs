//! Runs and the summary they leave in a project.

use super::*;
use crate::domain::change::Verdict;
use crate::domain::event::Run;
use crate::domain::pipeline::PipelineStatus::{self, Failed, Passed, Queued, Running};

pub(super) fn told(kind: RunKind, id: u64, parent: Option<u64>) -> Run {
    Run {
        kind,
        id,
        parent,
        attempt: 1,
        name: None,
        status: Running,
        detail: "in_progress".to_owned(),
        git_ref: Some("main".to_owned()),
        sha: None,
        cause: Some("push".to_owned()),
    }
}

fn statement(when: i64, run: Run) -> Event {
    let repository = Repository { default_branch: Some("main".to_owned()), ..repo(1, "acme/one") };
    event(Some(when), Fact::RunChanged { repository, run })
}

fn pipeline(id: u64, status: PipelineStatus) -> Run {
    Run { status, ..told(RunKind::Pipeline, id, None) }
}

fn summary(world: &World) -> (u64, &str) {
    let project = world.project(1);
    (project.last_pipeline.as_ref().map_or(0, |run| run.external_id), project.ci_state.as_str())
}

#[test]
fn r22_a_run_never_goes_backwards() {
    let attempt = |attempt, status| Run { attempt, ..pipeline(20, status) };
    // What is known, what comes, whether it is applied.
    let cases = [
        ((attempt(1, Queued), 10), (attempt(1, Running), 11), true),
        ((attempt(1, Running), 10), (attempt(1, Queued), 11), false),
        ((attempt(1, Passed), 10), (attempt(1, Running), 11), false),
        ((attempt(1, Failed), 10), (attempt(2, Queued), 11), true),
        ((attempt(2, Queued), 10), (attempt(1, Passed), 11), false),
        ((attempt(1, Running), 10), (attempt(1, Running), 9), false),
        ((attempt(1, Failed), 10), (attempt(1, Passed), 12), true),
        ((attempt(1, Passed), 10), (attempt(1, Passed), 10), true),
    ];
    for (before, after, applied) in cases {
        let mut world = World::new(Forge::Github);
        world.deliver(&statement(before.1, before.0.clone()), 100);
        let changes = world.deliver(&statement(after.1, after.0.clone()), 5000);
        let run = &world.runs[&(1, RunKind::Pipeline, 20)].value;
        let expected = if applied { &after.0 } else { &before.0 };
        assert_eq!((run.attempt, run.status), (expected.attempt, expected.status), "{before:?} {after:?}");
        let old_settings = after.1 < before.1;
        assert_eq!(changes.verdict == Verdict::Done, applied || !old_settings, "{before:?} {after:?}");
    }
}

#[test]
fn only_a_pipeline_says_how_ci_stands() {
    let mut world = World::new(Forge::Github);
    world.deliver(&statement(10, pipeline(20, Passed)), 100);
    assert_eq!(summary(&world), (20, "passing"));
    for kind in [RunKind::Job, RunKind::Suite] {
        let run = Run { status: Failed, ..told(kind, 21, Some(20)) };
        world.deliver(&statement(11, run), 101);
        assert_eq!(summary(&world), (20, "passing"), "{kind:?}");
    }
    assert_eq!(world.runs.len(), 3);
}

#[test]
fn the_default_branchs_newest_pipeline_is_shown_else_the_newest() {
    let on = |git_ref: &str, id, status| Run { git_ref: Some(git_ref.to_owned()), ..pipeline(id, status) };
    let fork = Run { cause: Some("pull_request".to_owned()), ..on("main", 50, Failed) };
    let steps = [
        (on("topic", 20, Failed), (20, "failing")),
        (on("topic", 19, Passed), (20, "failing")),
        (on("other", 25, Running), (25, "running")),
        (on("main", 22, Passed), (22, "passing")),
        (on("topic", 40, Failed), (22, "passing")),
        (on("main", 21, Failed), (22, "passing")),
        (fork, (22, "passing")),
        (on("main", 60, Running), (60, "running")),
    ];
    let mut world = World::new(Forge::Github);
    for (number, (run, expected)) in steps.into_iter().enumerate() {
        world.deliver(&statement(10 + number as i64, run.clone()), 100 + number as i64);
        assert_eq!(summary(&world), expected, "{run:?}");
    }
}

#[test]
fn a_run_of_an_unknown_repository_makes_it_known() {
    let mut world = World::new(Forge::Github);
    let changes = world.deliver(&statement(10, pipeline(20, Queued)), 100);
    assert_eq!(changes.verdict, Verdict::Done);
    assert_eq!(world.project(1).first_seen_at, at(100));
    assert_eq!(world.project(1).default_branch.as_deref(), Some("main"));
}
