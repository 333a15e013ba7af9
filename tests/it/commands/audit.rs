//! `audit`.

use std::fs;

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_listed_exported_and_checked_and_a_changed_line_is_named() {
    let desk = Desk::open().await;
    for number in 0..5 {
        let line = format!("token create --organization acme --kind read --name t{number}");
        desk.types(&line).await.ends(0, &[]);
    }
    let listed = desk.types("audit list --organization acme --limit 3").await.ends(0, &["there are more"]);
    assert!(listed.cells()[1..].iter().all(|row| row[3] == "token.created"), "{listed:?}");
    let found = desk.types("audit verify").await.ends(0, &["every line is as it was written"]);
    assert!(found.out.lines().any(|line| line.starts_with("acme: ")), "{found:?}");
    let found = desk.types("audit verify --json").await.ends(0, &[]).json();
    assert!(found["chains"].as_array().unwrap().iter().all(|chain| chain["broken"].is_null()), "{found}");

    let file = desk.bench.file("audit.jsonl");
    let name = file.display();
    desk.types(&format!("audit export --to {name}")).await.ends(0, &["lines; check them with"]);
    desk.types(&format!("audit export --to {name}")).await.ends(1, &["cannot be written"]);
    desk.types(&format!("audit verify --file {name}")).await.ends(0, &["every line is as it was written"]);
    let good = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    assert!(lines.len() >= 5, "{good}");
    let changed = good.replacen("\"actor\":\"cli\"", "\"actor\":\"somebody\"", 1);
    let without: String =
        lines.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, line)| format!("{line}\n")).collect();
    for (what, text) in [("changed", changed), ("left out", without)] {
        assert_ne!(text, good, "{what}");
        fs::write(&file, &text).unwrap();
        let said = desk.types(&format!("audit verify --file {name}")).await.ends(3, &[]);
        assert!(said.out.contains("line"), "{what}: it names no place: {said:?}");
    }
    fs::write(&file, "nonsense\n").unwrap();
    desk.types(&format!("audit verify --file {name}")).await.ends(1, &["line 1 of the file is no line"]);
    desk.types("audit verify --file /nowhere").await.ends(1, &["cannot be read"]);
    desk.types("audit list --organization nobody").await.ends(4, &["error: "]);
    desk.daemon.stop().await;
}
