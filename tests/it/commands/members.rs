//! `members`.

use std::time::Duration;

use super::Desk;

/// Waits until the list has so many rows, its head among them.
async fn has_rows(desk: &Desk, count: usize) {
    let mut looks = 0;
    while desk.types("members list --all").await.cells().len() < count {
        looks += 1;
        assert!(looks < 100, "nobody joined:\n{}", desk.daemon.output());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_shown_before_and_after_they_are_read() {
    let desk = Desk::open().await;
    let empty = desk.types("members list").await.ends(0, &[]);
    assert!(empty.out.starts_with("LOGIN\t") && empty.cells().len() == 1, "{empty:?}");
    desk.types("members sync --organization acme").await.ends(1, &["error: "]);
    desk.types("members sync --organization nobody").await.ends(4, &["error: "]);
    desk.types("members list --state gone").await.ends(2, &["state"]);
    desk.types("members sync --organization acme --role owner=member").await.ends(2, &["--dry-run"]);

    let joins = |name: &str, level| desk.gitlab.member(desk.group, desk.gitlab.person(name), level);
    joins("zoe", 30);
    desk.connects("--authority").await;
    // What a connection is read for at once is over before anything is shown.
    has_rows(&desk, 2).await;
    for (name, level) in [("ada", 50), ("bob", 30), ("eve", 10)] {
        joins(name, level);
    }
    let plan = desk.types("members sync --organization acme --dry-run").await;
    let plan = plan.ends(0, &["people at the forge", "nothing was changed"]);
    let joins = plan.cells()[1..].iter().filter(|row| row[0] == "join").count();
    assert_eq!(joins, 2, "a guest has no role unless one is given: {plan:?}");
    assert_eq!(desk.types("members list").await.cells().len(), 2, "it only showed");
    let wrong = "members sync --organization acme --dry-run --role owner=king";
    desk.types(wrong).await.ends(2, &["PLACE=ROLE"]);
    desk.types("members sync --organization acme").await.ends(0, &["it will be done soon; task "]);
    has_rows(&desk, 4).await;
    let listed = desk.types("members list --json").await.ends(0, &[]).json();
    let ada = listed["items"].as_array().unwrap().iter().find(|row| row["login"] == "ada").unwrap();
    assert_eq!((&ada["role"], &ada["state"]), (&"admin".into(), &"active".into()), "{ada}");
    let show = format!("members show {}", ada["id"].as_str().unwrap());
    let shown = desk.types(&show).await.ends(0, &[]);
    assert!(shown.out.contains("login\tada\n"), "{shown:?}");
    desk.types("members show nobody").await.ends(4, &["error: "]);
    desk.types("members held").await.ends(0, &["nothing waits"]);
    desk.types("members approve nothing").await.ends(4, &["error: "]);
    desk.types("members refuse nothing").await.ends(4, &["error: "]);
    desk.daemon.stop().await;
}
