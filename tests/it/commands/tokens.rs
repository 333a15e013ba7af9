//! `token`, and what a token opens from elsewhere.

use super::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_opens_what_it_is_for_and_can_be_taken_back() {
    let desk = Desk::open().await;
    assert_eq!(desk.types("token list").await.ends(0, &[]).cells().len(), 1, "a head and nothing else");
    let made = desk.types("token create --organization acme --kind read --name dash --expires 30d").await;
    let made = made.ends(0, &["until ", "not kept and not shown again"]);
    let token = made.out.trim();
    assert!(token.starts_with("scmc_rd_") && made.out.lines().count() == 1, "{made:?}");
    assert!(!made.err.contains(token));
    let listed = desk.types("token list --json").await.ends(0, &[]).json();
    let one = &listed["items"][0];
    assert_eq!((&one["kind"], &one["name"]), (&"read".into(), &"dash".into()));
    assert!(!listed.to_string().contains(token));
    let admin = desk.types("token create --organization acme --kind admin --json").await.ends(0, &[]).json();
    for field in ["id", "token", "kind", "organization", "expires_at"] {
        assert!(admin[field].is_string(), "{field}: {admin}");
    }

    let url = format!("--url http://{}", desk.daemon.public);
    let as_reader = [("SCM_CONNECT_TOKEN", token)];
    desk.typed(&format!("connections list {url}"), &as_reader).await.ends(0, &[]);
    desk.typed(&format!("token list {url}"), &as_reader).await.ends(1, &["error: "]);
    desk.typed(&format!("keys rotate {url}"), &as_reader).await.ends(1, &["error: "]);
    desk.typed(&format!("projects list --organization other {url}"), &as_reader).await.ends(4, &["error: "]);
    desk.typed(&format!("backup --to x {url}"), &as_reader).await.ends(2, &["without --url"]);
    let as_nobody = [("SCM_CONNECT_TOKEN", "scmc_rd_nobody")];
    desk.typed(&format!("projects list {url}"), &as_nobody).await.ends(1, &["error: "]);
    desk.typed(&format!("projects list {url}"), &[]).await.ends(2, &["SCM_CONNECT_TOKEN"]);
    desk.typed("projects list --url http://127.0.0.1:9", &as_reader).await.ends(1, &["is it running?"]);

    let id = one["id"].as_str().unwrap();
    desk.types(&format!("token revoke {id}")).await.ends(0, &["opens nothing any more"]);
    desk.typed(&format!("connections list {url}"), &as_reader).await.ends(1, &["error: "]);
    let listed = desk.types("token list --json").await.json();
    let revoked = listed["items"].as_array().unwrap().iter().find(|it| it["id"] == id).unwrap();
    assert!(revoked["revoked_at"].is_string(), "{listed}");
    desk.types("token revoke nobody").await.ends(4, &["error: "]);
    desk.types("token create --organization nobody --kind ci").await.ends(4, &["error: "]);
    desk.types("token create --organization acme --kind ci --expires soon").await.ends(2, &["--expires"]);
    desk.types("token create --organization acme --kind ci --expires 3000d").await.ends(2, &["error: "]);
    desk.daemon.stop().await;
}
