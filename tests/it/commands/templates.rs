//! `ci-template`.

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_ci_file_is_printed_for_each_forge_with_this_servers_address() {
    let desk = Desk::open().await;
    for forge in ["gitlab", "github"] {
        // The file is all that can be piped; beside it stands what a job would fail at.
        let plain =
            desk.types(&format!("ci-template {forge}")).await.ends(0, &["only this machine can reach"]);
        assert!(
            plain.out.contains("http://127.0.0.1:8080") && !plain.out.contains("semgrep ci"),
            "{}",
            plain.out
        );
        let scan = desk.types(&format!("ci-template {forge} --scan")).await.ends(0, &[]);
        assert!(scan.out.contains("semgrep ci"), "{}", scan.out);
    }
    desk.types("ci-template bitbucket").await.ends(2, &["use github or gitlab"]);
    desk.types("ci-template").await.ends(2, &["FORGE"]);
    desk.daemon.stop().await;
}
