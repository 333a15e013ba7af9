//! Walks the route table: every line with every caller and every kind of target.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service, read_body};

use super::sample::delivery_id;
use super::{Fake, front};
use crate::domain::organization::MemberState;
use crate::web::auth::{Via, Who};
use crate::web::route::table;
use crate::web::serve::public_app;
use crate::web::{Front, api};

/// Answer to one request: status, body.
async fn ask(
    front: &Arc<Front>,
    method: &Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, String) {
    let app = init_service(public_app(Arc::clone(front), Via::Public)).await;
    let mut request = TestRequest::default().method(method.clone()).uri(path);
    if let Some(token) = token {
        request = request.insert_header(("authorization", format!("Bearer {token}")));
    }
    let answer = call_service(&app, request.set_payload(body.to_owned()).to_request()).await;
    let status = answer.status().as_u16();
    (status, String::from_utf8(read_body(answer).await.to_vec()).unwrap())
}

/// An id of `tenant` for this path, or one that does not exist.
async fn target(front: &Arc<Front>, path: &str, tenant: Option<&str>) -> String {
    if !path.contains("{id}") {
        return path.to_owned();
    }
    let Some(tenant) = tenant else {
        return path.replace(
            "{id}",
            if path.contains("deliveries") { "99999999-9999-9999-9999-999999999999" } else { "missing" },
        );
    };
    if path.starts_with("/api/v1/members/held/") {
        return path.replace("{id}", &super::sample::hold(tenant).id());
    }
    let id = match path.trim_start_matches("/api/v1/").split('/').next().unwrap() {
        "organizations" | "" => tenant.to_owned(),
        "ci" => "gitlab".to_owned(),
        "connections" => format!("{tenant}-github"),
        "deliveries" => delivery_id(if tenant == "acme" { 1 } else { 2 }).to_string(),
        "tokens" => format!("id-ci-{tenant}"),
        kind => {
            let list = format!("/api/v1/{kind}");
            let token = format!("read-{tenant}");
            let (_, body) = ask(front, &Method::GET, &list, Some(&token), "").await;
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            body["items"][0]["id"].as_str().unwrap().to_owned()
        }
    };
    path.replace("{id}", &id)
}

fn body_for(path: &str) -> &'static str {
    match path {
        "/api/v1/tokens" => r#"{"kind":"read"}"#,
        "/api/v1/catch-up" => r#"{"dry_run":false}"#,
        "/api/v1/members/{id}/pin" => r#"{"role":"member"}"#,
        "/api/v1/deliveries/replay" => r#"{"state":"dead","dry_run":true}"#,
        _ => "",
    }
}

fn guarded() -> Vec<(Method, &'static str, Who)> {
    let lines = table().into_iter().map(|line| (line.method, line.path, line.who));
    lines.filter(|(_, _, who)| !matches!(who, Who::Anyone | Who::Forge | Who::Job)).collect()
}

#[actix_web::test]
async fn s17_only_the_lines_of_the_pass_list_answer_strangers() {
    let open: Vec<_> = table()
        .into_iter()
        .filter(|line| matches!(line.who, Who::Anyone | Who::Forge))
        .map(|line| format!("{} {}", line.method, line.path))
        .collect();
    assert_eq!(
        open,
        [
            "POST /hooks/{source}",
            "GET /",
            "GET /setup",
            "POST /setup",
            "GET /api/v1/openapi.json",
            "GET /docs",
            "GET /docs/{file}",
            "POST /api/agent/tokens/requests",
            "GET /login",
            "POST /login",
            "GET /connect-scm",
            "GET /connect-scm/github",
            "POST /connect-scm/github",
            "GET /connect-scm/github/step",
            "POST /connect-scm/github/review",
            "POST /connect-scm/github/install",
            "GET /connect-scm/github/{source}/created",
            "GET /connect-scm/github/{source}/installed",
            "GET /connect-scm/github/{source}/authorized"
        ]
    );
    let (front, _) = front();
    for (method, path, _) in guarded() {
        let path = target(&front, path, Some("acme")).await;
        let (status, body) = ask(&front, &method, &path, None, body_for(&path)).await;
        assert_eq!(status, 401, "{method} {path}");
        assert!(body.contains("token-missing"), "{body}");
    }
    for path in ["/metrics", "/healthz", "/readyz", "/livez"] {
        assert_eq!(ask(&front, &Method::GET, path, None, "").await.0, 404, "{path}");
    }
}

#[actix_web::test]
async fn s37_every_route_lets_in_exactly_whom_it_declares() {
    for (method, path, who) in guarded() {
        let tokens = [
            ("read-acme", matches!(who, Who::Reader), 403),
            ("admin-acme", matches!(who, Who::Reader | Who::Admin), 403),
            ("ci-acme", false, 403),
            ("admin-acme-expired", false, 401),
            ("admin-acme-revoked", false, 401),
            ("admin-nobody", false, 401),
            ("nonsense", false, 401),
        ];
        for (token, passes, refusal) in tokens {
            let (front, store) = front();
            // Only who belongs has a role to be set.
            store.state().members.iter_mut().for_each(|member| member.state = MemberState::Active);
            let own = target(&front, path, Some("acme")).await;
            let own = if path.ends_with("refused") { format!("{own}?source=acme-github") } else { own };
            let (status, body) = ask(&front, &method, &own, Some(token), body_for(path)).await;
            // These ask a forge; that the body is looked at shows that the caller was let in.
            let asks = method == Method::POST
                && ["/connections", "/promote", "/app-key"].iter().any(|end| path.ends_with(end));
            if passes && asks {
                assert!(
                    status == 400 && body.contains("-invalid"),
                    "{method} {own} {token}: {status} {body}"
                );
            } else if passes && status == 409 {
                // What is asked for is not possible with the sample; only whoever was let in is told so.
                let codes = ["connection-on", "declared-in-config", "no-hook", "not-cancellable"];
                let told = codes.iter().any(|code| body.contains(code));
                assert!(told, "{method} {own} {token}: {body}");
            } else if passes {
                assert!((200..300).contains(&status), "{method} {own} {token}: {status} {body}");
            } else {
                assert_eq!(status, refusal, "{method} {own} {token}: {body}");
            }
        }
    }
}

#[actix_web::test]
async fn s37_what_belongs_to_another_tenant_looks_like_what_does_not_exist() {
    let mut compared = 0;
    for (method, path, who) in guarded() {
        // A CI file is the same for everybody.
        if !path.contains("{id}") || path.starts_with("/api/v1/ci/") {
            continue;
        }
        for token in ["read-acme", "admin-acme"] {
            let (front, store) = front();
            let foreign = target(&front, path, Some("other")).await;
            let missing = target(&front, path, None).await;
            let before = store.fingerprint();
            let foreign = ask(&front, &method, &foreign, Some(token), "").await;
            let missing = ask(&front, &method, &missing, Some(token), "").await;
            let allowed = who == Who::Reader || token.starts_with("admin");
            assert_eq!(foreign, missing, "{method} {path} {token}");
            assert_eq!(foreign.0, if allowed { 404 } else { 403 }, "{method} {path} {token}");
            assert_eq!(before, store.fingerprint());
            compared += 1;
        }
    }
    assert!(compared >= 18, "{compared}");
}

#[actix_web::test]
async fn s37_a_list_never_shows_another_tenant() {
    for (method, path, who) in guarded() {
        if method != Method::GET || path.contains("{id}") || who == Who::Operator || path.ends_with("refused")
        {
            continue;
        }
        let (front, _) = front();
        let (status, body) = ask(&front, &method, path, Some("admin-acme"), "").await;
        assert_eq!(status, 200, "{path}: {body}");
        assert!(body.contains("acme") && !body.contains("other"), "{path}: {body}");
        for foreign in ["other", "missing", "NOT A SLUG"] {
            let path = format!("{path}?organization={}", foreign.replace(' ', "%20"));
            let (status, body) = ask(&front, &method, &path, Some("admin-acme"), "").await;
            assert_eq!((status, body.contains("not-found")), (404, true), "{path}: {body}");
        }
    }
}

#[actix_web::test]
async fn s37_refusals_of_foreign_and_shared_sources_are_hidden() {
    let (front, store) = front();
    let url = "/api/v1/deliveries/refused?source=";
    let foreign = ask(&front, &Method::GET, &format!("{url}other-github"), Some("admin-acme"), "").await;
    let missing = ask(&front, &Method::GET, &format!("{url}missing"), Some("admin-acme"), "").await;
    assert_eq!(foreign, missing);
    assert_eq!(foreign.0, 404);
    let both = store.state().organizations.iter().map(|known| known.slug.clone()).collect();
    store.state().sources[0].organizations = both;
    assert_eq!(
        ask(&front, &Method::GET, &format!("{url}acme-github"), Some("admin-acme"), "").await,
        missing
    );
    assert_eq!(ask(&front, &Method::GET, "/api/v1/deliveries/refused", Some("admin-acme"), "").await.0, 400);
}

#[actix_web::test]
async fn s37_a_link_to_anothers_app_is_as_one_to_nothing() {
    let (front, _) = front();
    for what in ["source", "connection"] {
        let mut answers = Vec::new();
        for key in ["other-github", "missing", "NOT A KEY"] {
            let body = format!("{{\"{what}\":\"{key}\"}}");
            answers
                .push(ask(&front, &Method::POST, "/api/v1/connect-links", Some("admin-acme"), &body).await);
        }
        assert!(answers.iter().all(|answer| answer.0 == 404 && *answer == answers[0]), "{answers:?}");
    }
}

#[actix_web::test]
async fn s40_nobody_names_tenant_or_id_in_a_body() {
    let (front, _) = front();
    let table = [
        ("/api/v1/tokens", r#"{"kind":"read","organization":"other"}"#),
        ("/api/v1/tokens", r#"{"kind":"read","id":"x"}"#),
        ("/api/v1/tokens", r#"{"kind":"root"}"#),
        ("/api/v1/connect-links", r#"{"organization":"other"}"#),
        ("/api/v1/connect-links", r#"{"kind":"gitlab_cloud"}"#),
        ("/api/v1/connect-links", r#"{"kind":"github_cloud","url":"https://evil.example.com"}"#),
        ("/api/v1/connect-links", r#"{"kind":"github_enterprise_server"}"#),
        ("/api/v1/connect-links", r#"{"kind":"github_enterprise_server","url":"https://github.com"}"#),
        (
            "/api/v1/connect-links",
            r#"{"kind":"github_enterprise_server","url":"https://a:b@git.example.com"}"#,
        ),
        ("/api/v1/connect-links", r#"{"source":"acme-github","connection":"acme-github"}"#),
        ("/api/v1/deliveries/replay", r#"{"state":"dead","organization":"other"}"#),
        ("/api/v1/deliveries/replay", r#"{"state":"dead","role":"admin"}"#),
        ("/api/v1/deliveries/replay", "{}"),
        ("/api/v1/deliveries/replay", "[]"),
    ];
    for (path, body) in table {
        let (status, answer) = ask(&front, &Method::POST, path, Some("admin-acme"), body).await;
        assert_eq!(status, 400, "{path} {body}: {answer}");
    }
    let lists =
        guarded().into_iter().filter(|(method, _, who)| *method == Method::GET && *who != Who::Operator);
    for (method, path, _) in lists {
        let path = format!("{}?tenant=other", target(&front, path, Some("acme")).await);
        let (status, answer) = ask(&front, &method, &path, Some("admin-acme"), "").await;
        assert_eq!((status, answer.contains("tenant")), (400, true), "{path}: {answer}");
    }
}

#[actix_web::test]
async fn s44_a_revoked_token_ends_at_once_and_two_headers_are_no_token() {
    let (front, _) = front();
    let list = "/api/v1/projects";
    assert_eq!(ask(&front, &Method::GET, list, Some("read-acme"), "").await.0, 200);
    let path = "/api/v1/tokens/id-read-acme";
    assert_eq!(ask(&front, &Method::DELETE, path, Some("admin-acme"), "").await.0, 204);
    let codes =
        [("read-acme", "token-invalid"), ("admin-acme-expired", "token-expired"), ("x", "token-invalid")];
    for (token, code) in codes {
        let (status, body) = ask(&front, &Method::GET, list, Some(token), "").await;
        assert_eq!((status, body.contains(code)), (401, true), "{token}: {body}");
    }
    let app = init_service(public_app(Arc::clone(&front), Via::Public)).await;
    let request = TestRequest::get().uri(list).append_header(("authorization", "Bearer admin-acme"));
    let request = request.append_header(("authorization", "Bearer admin-other")).to_request();
    assert_eq!(call_service(&app, request).await.status(), 401);
}

#[actix_web::test]
async fn a_wrong_path_is_404_and_a_wrong_method_405_both_as_json() {
    let (front, _) = front();
    let (status, body) = ask(&front, &Method::GET, "/api/v1/nothing", None, "").await;
    assert_eq!((status, body.contains("\"code\":\"not-found\"")), (404, true));
    for (method, path) in
        [(Method::PUT, "/api/v1/projects"), (Method::TRACE, "/"), (Method::GET, "/hooks/acme-github")]
    {
        let (status, body) = ask(&front, &method, path, None, "").await;
        assert_eq!(
            (status, body.contains("\"code\":\"method-not-allowed\"")),
            (405, true),
            "{method} {path}"
        );
    }
}

#[actix_web::test]
async fn s13_every_answer_carries_the_safe_headers() {
    let (front, _) = front();
    let app = init_service(public_app(Arc::clone(&front), Via::Public)).await;
    let mut paths: Vec<_> = table().into_iter().map(|line| (line.method, line.path)).collect();
    paths.push((Method::GET, "/nothing"));
    for (method, path) in paths {
        for token in ["admin-acme", "nobody"] {
            let request = TestRequest::default().method(method.clone()).uri(path);
            let request = request.insert_header(("authorization", format!("Bearer {token}"))).to_request();
            let answer = call_service(&app, request).await;
            let header = |name: &str| {
                answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
            };
            assert_eq!(header("x-content-type-options"), "nosniff", "{method} {path}");
            assert_eq!(header("cache-control"), "no-store", "{method} {path}");
            assert_eq!(header("referrer-policy"), "no-referrer", "{method} {path}");
            assert!(header("strict-transport-security").contains("31536000"), "{method} {path}");
            let policy = header("content-security-policy");
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{path}"
            );
            assert!(!policy.contains("unsafe"), "{path}");
        }
    }
}

impl Fake {
    /// Everything that a caller of the API could have changed.
    fn fingerprint(&self) -> String {
        let state = self.state();
        format!("{:?} {:?} {:?}", state.deliveries, state.tokens, state.audit)
    }
}

#[test]
fn the_largest_page_is_two_hundred() {
    assert_eq!(api::LIMIT_MAX, 200);
}
