//! `connections` and `secrets`.

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_made_looked_at_held_and_ended() {
    let desk = Desk::open().await;
    let empty = desk.types("connections list").await.ends(0, &[]);
    assert_eq!(empty.out, "KEY\tORGANIZATION\tKIND\tACCOUNT\tSTATE\tPROOF\tBY\tLAST EVENT\n");
    let empty = desk.types("connections list --json").await.ends(0, &[]).json();
    assert_eq!(empty, serde_json::json!({ "items": [], "next_cursor": null }));

    let old = desk.connects("").await;
    let again = format!(
        "connections add --organization acme --kind gitlab_self_managed --forge {} --account acme --token-file {}",
        desk.gitlab.site(),
        desk.file("same", &old)
    );
    desk.types(&again).await.ends(1, &["error: ", "connected already"]);
    let listed = desk.types("connections list --organization acme").await.ends(0, &[]);
    let cells = listed.cells();
    assert_eq!(cells[1][..4], ["acme", "acme", "gitlab_self_managed", "acme"], "{cells:?}");
    let shown = desk.types("connections show acme --json").await.ends(0, &[]).json();
    assert_eq!((&shown["created_by"], &shown["authority"]), (&"cli".into(), &false.into()), "{shown}");
    assert!(!shown.to_string().contains(&old));
    desk.types("connections show nobody").await.ends(4, &["error: "]);
    desk.types("connections test nobody").await.ends(4, &["error: "]);
    desk.types("connections list --organization nobody").await.ends(4, &["error: "]);

    assert!(
        !desk.types("connections test acme").await.ends(0, &[]).out.trim().is_empty(),
        "it says what it found"
    );
    desk.types("connections sync acme").await.ends(0, &[]);
    let task = desk.types("connections sync acme --json").await.ends(0, &[]).json();
    assert_eq!(task["last_error"], serde_json::Value::Null, "{task}");
    desk.types("secrets rotate acme").await.ends(0, &[]);
    let said = desk.types("secrets rotate acme --leaked").await.ends(0, &[]);
    assert!(said.out.contains("the old one counts no more") && said.out.contains("is refused"), "{said:?}");
    let file = desk.file("client-secret", "nobody's");
    let said = desk.types(&format!("secrets rotate acme --client-secret-file {file}")).await;
    said.ends(1, &["not believed by an App"]);
    desk.types("connections test acme").await.ends(0, &[]);

    let told = desk.types("connections show acme").await.ends(0, &[]).out;
    assert!(
        told.contains("\naccount.login\tacme\n") && told.contains("\ncapabilities\tfeature connect, "),
        "{told}"
    );

    desk.types("connections pause acme").await.ends(0, &["connection acme is paused"]);
    assert_eq!(desk.types("connections show acme --json").await.json()["state"], "suspended");
    desk.types("connections resume acme").await.ends(0, &[]);
    desk.types("connections disconnect acme").await.ends(2, &["give --yes"]);
    desk.types("connections disconnect acme --yes").await.ends(0, &[]);
    assert_eq!(desk.types("connections show acme --json").await.json()["state"], "uninstalled");
    assert!(!desk.types("projects list").await.out.is_empty(), "projects are kept");
    assert_eq!(desk.gitlab.violations(), [""; 0]);
    desk.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_credential_a_link_is_printed_where_there_is_one_to_print() {
    let desk = Desk::open().await;
    let add = "connections add --organization acme --kind";
    let said = desk
        .types(&format!("{add} github_enterprise_server --forge https://git.example.com --account acme"))
        .await;
    let said = said.ends(0, &["open it in a browser, once, until"]);
    assert!(said.out.contains("/connect-scm/github?code=scmc_ln_"), "{said:?}");
    assert_eq!(said.out.lines().count(), 1, "the link alone can be piped");
    let said =
        desk.types(&format!("{add} github_enterprise_server --forge https://git.example.com --json")).await;
    assert!(said.ends(0, &[]).json()["expires_at"].is_string());
    // GitHub would not reach this machine's own address, and that is said before anything is filled in.
    desk.types(&format!("{add} github_cloud")).await.ends(1, &["cannot reach", "public_url"]);
    desk.types(&format!("{add} github_enterprise_server")).await.ends(2, &["url names the server"]);
    desk.types(&format!("{add} gitlab_cloud --account acme"))
        .await
        .ends(2, &["--token-file", "first CI job"]);
    desk.types(&format!("{add} github_cloud --key a")).await.ends(2, &["mean nothing"]);
    desk.types(&format!("{add} bitbucket")).await.ends(2, &["use one of github_cloud"]);
    desk.types("connections promote acme").await.ends(2, &["give --token-file"]);
    let file = desk.file("token", "glpat-nobody");
    desk.types(&format!("{add} gitlab_cloud --token-file {file}")).await.ends(2, &["--account"]);
    desk.types(&format!("{add} gitlab_cloud --forge {} --account a --token-file {file}", desk.gitlab.site()))
        .await
        .ends(2, &["is to gitlab.com, not to 127.0.0.1", "an instance of your own"]);
    let refused = format!(
        "{add} gitlab_self_managed --forge {} --account acme --token-file {file}",
        desk.gitlab.site()
    );
    desk.types(&refused).await.ends(5, &["error: "]);
    desk.daemon.stop().await;
}

/// A script that tests its connections has to hear of one that does not work.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_a_connection_that_does_not_work_fails() {
    let desk = Desk::open().await;
    let token = desk.connects("").await;
    desk.types("connections test acme").await.ends(0, &[]);
    desk.gitlab.revokes(&token);
    let first = desk.types("connections test acme").await.ends(5, &[]).out;
    assert!(first.starts_with("this look failed") && !first.contains("all is well"), "{first}");
    let second = desk.types("connections test acme").await.ends(5, &[]).out;
    assert!(second.starts_with("it is token_invalid"), "{second}");
    desk.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_read_in_parts() {
    let desk = Desk::open().await;
    desk.connects("").await;
    desk.types("connections sync acme").await.ends(0, &[]);
    let first = desk.types("projects list --limit 2").await.ends(0, &["there are more: --cursor "]);
    let cursor = first.err.trim().trim_start_matches("there are more: --cursor ").split(',').next().unwrap();
    let rest = desk.types(&format!("projects list --limit 2 --cursor {cursor}")).await.ends(0, &[]);
    let mut paths: Vec<&str> =
        first.cells()[1..].iter().chain(&rest.cells()[1..]).map(|row| row[0]).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["acme/shop", "acme/site", "acme/tools"]);
    assert_eq!(desk.types("projects list --all").await.ends(0, &[]).cells().len(), 4);
    let page = desk.types("projects list --limit 1 --json").await.ends(0, &[]).json();
    assert!(page["next_cursor"].is_string() && page["items"].as_array().unwrap().len() == 1);
    for made_up in ["1", "616263", "x.y", &cursor[1..]] {
        let said = desk.types(&format!("projects list --cursor {made_up}")).await;
        said.ends(2, &["cursor is none that this list gave", "begin without it"]);
    }
    // Another list's, and the same list's with another filter.
    desk.types(&format!("audit list --cursor {cursor}")).await.ends(2, &["cursor is none"]);
    desk.types(&format!("projects list --state active --cursor {cursor}")).await.ends(2, &["cursor is none"]);
    desk.daemon.stop().await;
}
