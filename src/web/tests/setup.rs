//! The first start's page.

use std::sync::Arc;

use actix_web::test::{TestRequest, call_service, init_service, read_body};

use super::{NOW, front, front_limited, roomy};
use crate::store::Access;
use crate::web::auth::Via;
use crate::web::serve::public_app;
use crate::web::{Front, Limits, setup_code_hash};

async fn post(front: &Arc<Front>, headers: &[(&str, &str)], form: String) -> (u16, String) {
    let app = init_service(public_app(Arc::clone(front), Via::Public)).await;
    let mut request = TestRequest::post().uri("/setup").set_payload(form);
    request = request.insert_header(("content-type", "application/x-www-form-urlencoded"));
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let answer = call_service(&app, request.to_request()).await;
    let status = answer.status().as_u16();
    (status, String::from_utf8(read_body(answer).await.to_vec()).unwrap())
}

fn form(code: &str, slug: &str) -> String {
    format!("code={code}&name=Fresh+%3Cb%3E&slug={slug}")
}

#[actix_web::test]
async fn of_a_hundred_who_use_the_code_at_once_exactly_one_wins() {
    let (front, store) = front();
    store.put_setup_code(&setup_code_hash("right"), NOW.plus_ms(1000)).await.unwrap();
    let before = store.state().organizations.len();
    let tries = (0..100).map(|n| {
        let front = Arc::clone(&front);
        async move { post(&front, &[], form("right", &format!("fresh-{n}"))).await }
    });
    let answers = futures_util::future::join_all(tries).await;
    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 201).collect();
    assert_eq!(won.len(), 1);
    assert!(won[0].1.contains("admin-minted"));
    assert!(answers.iter().all(|(status, _)| matches!(status, 201 | 403)));
    assert_eq!(store.state().organizations.len(), before + 1);
}

#[actix_web::test]
async fn a_wrong_or_old_code_makes_nothing_and_a_mistake_uses_nothing_up() {
    let (front, store) = front();
    store.put_setup_code(&setup_code_hash("right"), NOW.plus_ms(1000)).await.unwrap();
    let (status, page) = post(&front, &[], form("wrong", "fresh")).await;
    assert_eq!(status, 403);
    assert!(!page.contains("minted") && page.contains("organizations create"));
    let (status, page) = post(&front, &[], form("right", "Not+A+Slug")).await;
    assert_eq!(status, 400);
    assert!(
        page.contains("role=\"alert\"") && page.contains("value=\"right\"") && page.contains("&lt;b&gt;")
    );
    assert!(!page.contains("<b>"));
    assert_eq!(post(&front, &[], form("right", "fresh") + "&role=x").await.0, 400);
    assert_eq!(post(&front, &[], form("right", "fresh")).await.0, 201);
    store.put_setup_code(&setup_code_hash("old"), NOW).await.unwrap();
    assert_eq!(post(&front, &[], form("old", "fresh")).await.0, 403);
}

#[actix_web::test]
async fn a_page_of_another_site_cannot_press_the_button() {
    let (front, store) = front();
    store.put_setup_code(&setup_code_hash("right"), NOW.plus_ms(1000)).await.unwrap();
    let foreign: [&[(&str, &str)]; 4] = [
        &[("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://scm.example.com")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://scm.example.com")],
    ];
    for headers in foreign {
        assert_eq!(post(&front, headers, form("right", "fresh")).await.0, 403, "{headers:?}");
    }
    assert!(store.state().setup.is_some());
    let own = [("sec-fetch-site", "same-origin"), ("origin", "null")];
    assert_eq!(post(&front, &own, form("right", "fresh")).await.0, 201);
}

#[actix_web::test]
async fn guessing_is_slowed_down() {
    let (front, _) = front_limited(Limits { failures_burst: 2, ..roomy() });
    assert_eq!(post(&front, &[], form("a", "fresh")).await.0, 403);
    assert_eq!(post(&front, &[], form("b", "fresh")).await.0, 403);
    assert_eq!(post(&front, &[], form("c", "fresh")).await.0, 429);
}

#[actix_web::test]
async fn the_page_is_plain_labelled_and_scriptless() {
    let (front, _) = front();
    let app = init_service(public_app(Arc::clone(&front), Via::Public)).await;
    let request = TestRequest::get().uri("/setup?code=%22%3E%3Cscript%3E").to_request();
    let answer = call_service(&app, request).await;
    assert_eq!(answer.status(), 200);
    let policy = answer.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
    let page = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
    assert!(!page.contains("<script"), "{page}");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(page.contains(&format!("<style nonce=\"{nonce}\">")));
    for field in ["name", "slug"] {
        assert!(
            page.contains(&format!("<label for=\"{field}\">")) && page.contains(&format!("id=\"{field}\""))
        );
    }
    let bare = call_service(&app, TestRequest::get().uri("/setup").to_request()).await;
    assert_eq!(bare.status(), 403);
}
