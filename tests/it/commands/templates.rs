//! `ci-template`.

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_ci_file_is_printed_for_each_forge_with_this_servers_address() {
    let desk = Desk::open().await;
    for forge in ["gitlab", "github"] {
        let plain = desk.types(&format!("ci-template {forge}")).await.ends(0, &[]);
        assert!(plain.err.is_empty(), "it is all for a file: {plain:?}");
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
