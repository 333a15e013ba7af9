//! What the API shows.

use std::sync::Arc;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};

use super::front;
use super::sample::{delivery_id, record};
use crate::domain::delivery::DeliveryState;
use crate::web::Front;
use crate::web::auth::Via;
use crate::web::serve::public_app;

pub(super) async fn call(
    front: &Arc<Front>,
    method: &str,
    path: &str,
    token: &str,
    body: Value,
) -> (u16, Value) {
    let app = init_service(public_app(Arc::clone(front), Via::Public)).await;
    let request = TestRequest::default().method(method.parse().unwrap()).uri(path);
    let request = request.insert_header(("authorization", format!("Bearer {token}")));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = call_service(&app, request.set_payload(body).to_request()).await;
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&read_body(answer).await).unwrap_or(Value::Null))
}

#[actix_web::test]
async fn lists_have_the_fields_that_the_contract_names() {
    let (front, _) = front();
    let table = [
        (
            "projects",
            "id organization connection provider host external_id full_path previous_paths default_branch \
          visibility archived state ci_state first_seen_at last_check_in_at last_pipeline proof",
        ),
        ("members", "id organization login external_id host role role_source state source last_confirmed_at"),
        (
            "connections",
            "key organization kind url account credential authority state reasons capabilities \
          repository_selection last_event_at last_sync_at created_by",
        ),
        (
            "deliveries",
            "id source organization connection provider event action external_id received_at state \
          attempts duplicates last_error reason replay_suspected body_bytes",
        ),
    ];
    for (list, fields) in table {
        let (status, body) = call(&front, "GET", &format!("/api/v1/{list}"), "read-acme", Value::Null).await;
        assert_eq!(status, 200);
        assert!(body.as_object().unwrap().contains_key("next_cursor"));
        let item = body["items"][0].as_object().unwrap();
        for field in fields.split_whitespace() {
            assert!(item.contains_key(field), "{list}.{field}");
        }
        for (name, value) in item {
            let is_id = name == "id" || name == "external_id";
            assert!(!is_id || value.is_string(), "{list}.{name} is a string");
        }
    }
    let (_, body) = call(&front, "GET", "/api/v1/projects", "read-acme", Value::Null).await;
    assert_eq!(body["items"][0]["external_id"], "9007199254740993");
    assert_eq!(body["items"][0]["first_seen_at"], "2026-09-21T14:13:20.000Z");
    let (_, body) = call(&front, "GET", "/api/v1/connections", "read-acme", Value::Null).await;
    assert_eq!(body["items"][0]["account"], json!({ "login": "acme", "external_id": "7" }));
    assert_eq!(
        body["items"][0]["capabilities"][0],
        json!({
            "feature": "connect", "needs": "metadata:read", "granted": "read", "ok": true
        })
    );
}

#[actix_web::test]
async fn a_list_is_read_page_by_page() {
    let (front, store) = front();
    for n in 3..8 {
        store.state().deliveries.push(record(n, Some("acme"), DeliveryState::Done));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/deliveries?limit=4{cursor}");
        let (_, body) = call(&front, "GET", &path, "read-acme", Value::Null).await;
        seen.extend(body["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        let Some(next) = body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 6);
    for bad in ["limit=0", "limit=201", "state=nonsense", "since=yesterday", "limit=1&limit=2"] {
        let path = format!("/api/v1/deliveries?{bad}");
        assert_eq!(call(&front, "GET", &path, "read-acme", Value::Null).await.0, 400, "{bad}");
    }
}

#[actix_web::test]
async fn a_deliverys_content_is_for_admins_and_has_nothing_private_in_it() {
    let (front, _) = front();
    let path = format!("/api/v1/deliveries/{}", delivery_id(1));
    let (_, reader) = call(&front, "GET", &path, "read-acme", Value::Null).await;
    assert_eq!(reader["history"][0]["number"], 1);
    assert_eq!(reader["attempts"], 1);
    assert!(reader.get("content").is_none());
    let (_, admin) = call(&front, "GET", &path, "admin-acme", Value::Null).await;
    assert_eq!(admin["content"]["body"], json!({ "email": "(hidden)", "ref": "main" }));
    assert!(!admin.to_string().contains('\u{1b}') && !admin.to_string().contains("\\u001b"));
}

#[actix_web::test]
async fn replaying_by_filter_counts_first_and_touches_only_its_tenant() {
    let (front, store) = front();
    let wish = |dry_run: bool| json!({ "state": "dead", "dry_run": dry_run });
    let path = "/api/v1/deliveries/replay";
    let later = store.state().deliveries[0].received_at.plus_ms(-1);
    store.state().deliveries.iter_mut().for_each(|record| record.received_at = later);
    let (status, dry) = call(&front, "POST", path, "admin-acme", wish(true)).await;
    assert_eq!((status, dry), (202, json!({ "matched": 1, "queued": 0, "dry_run": true, "more": false })));
    let (status, task) = call(&front, "POST", path, "admin-acme", wish(false)).await;
    assert_eq!((status, &task["kind"], &task["state"]), (202, &json!("replay_deliveries"), &json!("queued")));
    assert_eq!((&task["organization"], &task["connection"]), (&json!("acme"), &Value::Null));
    assert_eq!(task["subject"], r#"{"organization":"acme","state":"dead"}"#, "no other tenant's");
    assert_eq!(task["progress"], json!({ "matched": null, "queued": 0, "skipped": 0 }));
    assert!(
        store.state().deliveries.iter().all(|record| record.state == DeliveryState::Dead),
        "not in the request"
    );
    let (_, again) = call(&front, "POST", path, "admin-acme", wish(false)).await;
    assert_eq!(again, task, "the same wish is the same task");
    let long = json!({ "event": "x".repeat(256) });
    let (status, refused) = call(&front, "POST", path, "admin-acme", long).await;
    assert_eq!((status, &refused["code"]), (400, &json!("body-invalid")));
}

#[actix_web::test]
async fn a_replay_is_cancelled_by_an_admin_of_its_organization_once() {
    let (front, _) = front();
    let wish = json!({ "state": "dead" });
    let (_, task) = call(&front, "POST", "/api/v1/deliveries/replay", "admin-acme", wish).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    let cancel = format!("{path}/cancel");
    for (token, status) in [("read-acme", 403), ("admin-other", 404)] {
        assert_eq!(call(&front, "POST", &cancel, token, Value::Null).await.0, status, "{token}");
    }
    let (status, ended) = call(&front, "POST", &cancel, "admin-acme", Value::Null).await;
    assert_eq!((status, &ended["state"]), (200, &json!("cancelled")));
    assert_eq!(ended["note"], "cancelled: nothing was queued");
    assert_eq!(call(&front, "GET", &path, "read-acme", Value::Null).await.1, ended);
    let (status, again) = call(&front, "POST", &cancel, "admin-acme", Value::Null).await;
    assert_eq!((status, &again["code"]), (409, &json!("task-over")));
    let (_, tasks) =
        call(&front, "GET", "/api/v1/tasks?kind=check_connection", "admin-acme", Value::Null).await;
    let other = format!("/api/v1/tasks/{}/cancel", tasks["items"][0]["id"].as_str().unwrap());
    let (status, refused) = call(&front, "POST", &other, "admin-acme", Value::Null).await;
    assert_eq!((status, &refused["code"]), (409, &json!("not-cancellable")));
}

#[actix_web::test]
async fn lists_are_filtered_by_their_fields_and_a_word_that_is_none_is_refused() {
    let (front, store) = front();
    store
        .state()
        .members
        .iter_mut()
        .for_each(|member| member.role = Some(crate::domain::organization::Role::Admin));
    let table = [
        ("connections?state=connected", 1),
        ("connections?state=suspended", 0),
        ("connections?kind=github_cloud&authority=true", 1),
        ("connections?authority=false", 0),
        ("projects?provider=github&host=github.com&archived=false&ci_state=none&proof=proven", 1),
        ("projects?visibility=public", 0),
        ("projects?archived=true", 0),
        ("members?role=admin&host=github.com", 1),
        ("members?role=member", 0),
        ("members?login=ACME-person", 1),
        ("audit?actor=config&action=organization.created", 1),
        ("audit?actor=cli", 0),
        ("audit?since=2099-01-01T00:00:00Z", 0),
        ("audit?until=2099-01-01T00:00:00Z", 1),
        ("deliveries?provider=github", 1),
        ("deliveries?provider=gitlab", 0),
        ("deliveries?action=opened", 0),
    ];
    for (path, wanted) in table {
        let (status, body) = call(&front, "GET", &format!("/api/v1/{path}"), "read-acme", Value::Null).await;
        assert_eq!((status, body["items"].as_array().map(Vec::len)), (200, Some(wanted)), "{path}: {body}");
    }
    for path in
        ["connections?authority=yes", "connections?kind=bitbucket", "projects?proof=", "members?role=root"]
    {
        let (status, body) = call(&front, "GET", &format!("/api/v1/{path}"), "read-acme", Value::Null).await;
        assert_eq!((status, &body["code"]), (400, &json!("parameter-invalid")), "{path}");
    }
}

#[actix_web::test]
async fn only_what_is_dead_can_be_discarded() {
    let (front, _) = front();
    let path = format!("/api/v1/deliveries/{}/discard", delivery_id(1));
    assert_eq!(call(&front, "POST", &path, "admin-acme", Value::Null).await.0, 200);
    let (status, again) = call(&front, "POST", &path, "admin-acme", Value::Null).await;
    assert_eq!((status, &again["code"]), (409, &json!("not-dead")));
}

#[actix_web::test]
async fn s44_a_new_token_is_shown_once_kept_as_a_hash_and_written_down() {
    let (front, store) = front();
    let body = json!({ "kind": "read", "name": "ci box" });
    let (status, made) = call(&front, "POST", "/api/v1/tokens", "admin-acme", body).await;
    assert_eq!((status, &made["token"], &made["organization"]), (201, &json!("read-minted"), &json!("acme")));
    assert_eq!(call(&front, "GET", "/api/v1/projects", "read-minted", Value::Null).await.0, 200);
    assert!(!format!("{:?}", store.state().tokens).contains("read-minted"));
    let (_, list) = call(&front, "GET", "/api/v1/tokens", "admin-acme", Value::Null).await;
    assert!(!list.to_string().contains("minted") && !list.to_string().contains("hash"));
    assert!(store.state().audit.iter().any(|entry| entry.action == "token.created"));
    for expires_at in ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "soon"] {
        let body = json!({ "kind": "read", "expires_at": expires_at });
        assert_eq!(call(&front, "POST", "/api/v1/tokens", "admin-acme", body).await.0, 400, "{expires_at}");
    }
}
