//! The lists' filters: what the API can be asked for, the command line offers, word for word.

use std::process::Command;

use serde_json::Value;

use super::Desk;

const LISTS: [&str; 7] = ["connections", "projects", "members", "deliveries", "audit", "tasks", "findings"];

fn printed(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_scm-connect")).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_command_line_offers_every_filter_of_the_api_and_each_of_its_words() {
    let document: Value = serde_json::from_str(&printed(&["openapi"])).unwrap();
    let mut compared = 0;
    for list in LISTS {
        let parameters = &document["paths"][format!("/api/v1/{list}")]["get"]["parameters"];
        let help = printed(&[list, "list", "--help"]);
        for parameter in parameters.as_array().unwrap() {
            let option = format!("--{}", parameter["name"].as_str().unwrap().replace('_', "-"));
            assert!(help.contains(&option), "{list} list has no {option}:\n{help}");
            for word in parameter["schema"]["enum"].as_array().into_iter().flatten() {
                assert!(help.contains(word.as_str().unwrap()), "{list} list {option}: no {word}:\n{help}");
            }
            compared += 1;
        }
    }
    assert!(compared > 45, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_pick_records_and_a_word_that_is_none_says_which_there_are() {
    let desk = Desk::open().await;
    desk.connects("").await;
    desk.types("connections sync acme").await.ends(0, &[]);
    for (line, rows) in [
        ("connections list --kind gitlab_self_managed", 1),
        ("connections list --kind github_cloud", 0),
        ("connections list --authority true", 0),
        ("connections list --authority false", 1),
        ("projects list --provider gitlab --archived false --proof proven", 3),
        ("projects list --provider github", 0),
        ("projects list --ci-state failing", 0),
        ("members list --role admin --login nobody", 0),
        ("audit list --action connection.created --actor cli --since 1h", 1),
        ("audit list --action connection.created --until 1h", 0),
        ("tasks list --kind sync_connection", 1),
        ("tasks list --state cancelled", 0),
        ("findings list --organization acme --state open", 0),
    ] {
        let listed = desk.types(line).await.ends(0, &[]);
        assert_eq!(listed.cells().len(), rows + 1, "{line}: {listed:?}");
    }
    desk.types("connections list --state well").await.ends(2, &["possible values", "token_expiring"]);
    desk.types("projects list --archived maybe").await.ends(2, &["true, false"]);
    desk.types("audit list --since yesterday").await.ends(2, &["is no time"]);
    desk.types("findings list").await.ends(2, &["name the organization"]);
    desk.daemon.stop().await;
}
