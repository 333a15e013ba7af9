//! `apply`: the plan is shown first, and the same file twice changes nothing.

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_shown_as_a_plan_made_and_then_there() {
    let desk = Desk::open().await;
    let token = desk.file("token", &desk.gitlab.group_token(desk.group, 50, &["api"]));
    let file = desk.file(
        "team.toml",
        &format!(
            r#"
[limits]
allow_http_forges = true
allow_private_forges = ["127.0.0.0/8"]
[[organizations]]
slug = "team"
name = "The team"
[[connections]]
key = "team-lab"
organization = "team"
kind = "gitlab_self_managed"
account = "acme"
url = "{}"
webhook_secrets = [{{ value = "a-long-random-secret" }}]
access_token = {{ file = "{token}" }}
"#,
            desk.gitlab.site()
        ),
    );
    let names = |said: &super::Said| {
        let plan = said.json()["plan"].as_array().unwrap().clone();
        plan.iter()
            .map(|step| format!("{} {}", step["act"].as_str().unwrap(), step["name"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let shown = desk.types(&format!("apply {file} --dry-run --json")).await.ends(0, &[]);
    assert_eq!(names(&shown), ["make team", "make team-lab"]);
    assert_eq!(desk.types("organizations list --json").await.json()["items"].as_array().unwrap().len(), 1);
    let done = desk.types(&format!("apply {file}")).await.ends(0, &["team", "team-lab"]);
    assert!(done.out.contains("team-lab"), "the plan is shown: {done:?}");
    desk.types("connections show team-lab").await.ends(0, &[]);
    let again = desk.types(&format!("apply {file} --json")).await.ends(0, &[]);
    assert_eq!(names(&again), ["keep team", "keep team-lab"]);
    let wrong = desk.file("wrong.toml", "[[organisations]]\nslug = \"x\"\n");
    desk.types(&format!("apply {wrong}")).await.ends(2, &["organisations", "organizations"]);
    desk.types("apply /nowhere.toml --dry-run").await.ends(2, &["/nowhere.toml"]);
    desk.daemon.stop().await;
}
