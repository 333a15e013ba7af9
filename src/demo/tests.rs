//! The demo against a small daemon that answers as the contract says.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::*;
use crate::domain::Timestamp;

/// What the stand-in has heard; it takes what is proven and works each off when it is asked for the second time.
#[derive(Default)]
struct Heard {
    stored: Vec<(String, String)>,
    looks: usize,
}

type Shared = web::Data<Mutex<Heard>>;

fn keys() -> Keys {
    Keys::new(&[9; 64])
}

fn clock() -> Clock {
    Arc::new(|| Timestamp::from_ms(1_700_000_000_000))
}

fn header(request: &HttpRequest, name: &str) -> String {
    request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Signs the same body again and compares.
fn is_proven(request: &HttpRequest, provider: Forge, body: &[u8]) -> bool {
    let recorded = RECORDED.iter().find(|one| one.provider == provider && one.body == body).unwrap();
    let id = header(request, "x-github-delivery") + &header(request, "webhook-id");
    let wanted = headers(recorded, &id, keys().of(provider), clock()()).unwrap();
    wanted.iter().all(|(name, value)| header(request, name) == *value)
}

async fn hook(
    request: HttpRequest,
    source: web::Path<String>,
    body: web::Bytes,
    heard: Shared,
) -> HttpResponse {
    let provider = if source.as_str() == "github" { Forge::Github } else { Forge::Gitlab };
    if !is_proven(&request, provider, &body) {
        return HttpResponse::Unauthorized().json(json!({"code": "proof-wrong", "message": "x"}));
    }
    let external = header(&request, "x-github-delivery") + &header(&request, "webhook-id");
    let mut heard = heard.lock().unwrap();
    if let Some((_, id)) = heard.stored.iter().find(|(known, _)| *known == external) {
        return HttpResponse::Ok().json(json!({"id": id}));
    }
    let id = format!("id-{}", heard.stored.len());
    heard.stored.push((external, id.clone()));
    HttpResponse::Accepted().json(json!({"id": id}))
}

/// Two pages, so that a caller that reads only the first misses something.
fn pages(items: Vec<Value>, request: &HttpRequest) -> HttpResponse {
    let half = items.len() / 2;
    let (items, next) = match request.query_string().contains("cursor=second") {
        true => (items[half..].to_vec(), None),
        false => (items[..half].to_vec(), Some("second")),
    };
    HttpResponse::Ok().json(json!({"items": items, "next_cursor": next}))
}

async fn api(request: HttpRequest, name: web::Path<String>, heard: Shared) -> HttpResponse {
    if header(&request, "authorization") != "Bearer scmc_rd_x" {
        return HttpResponse::Unauthorized().finish();
    }
    let mut heard = heard.lock().unwrap();
    let items = match name.as_str() {
        "deliveries" => {
            heard.looks += 1;
            let state = if heard.looks > 2 { "done" } else { "queued" };
            heard.stored.iter().map(|(_, id)| json!({"id": id, "state": state})).collect()
        }
        "projects" => vec![
            json!({"provider": "github", "full_path": "Octocoders/Hello-World", "state": "not_set_up"}),
            json!({"provider": "gitlab", "full_path": "mike/dias\u{1b}pora", "state": "active"}),
        ],
        "members" => vec![json!({"login": "hacktocat", "state": "pending", "role": null})],
        _ => vec![json!({"key": "octocoders-github", "account": {"login": "Octocoders"}, "authority": true})],
    };
    pages(items, &request)
}

/// Plays on the stand-in.
async fn run(token: &str) -> Result<(Vec<Played>, Came), DemoError> {
    let heard: Shared = web::Data::new(Mutex::default());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(heard.clone())
            .route("/hooks/{source}", web::post().to(hook))
            .route("/api/v1/{name}", web::get().to(api))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let target = Url::parse(&format!("http://{}/", server.addrs()[0])).unwrap();
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (token, keys, clock) = (token.to_owned().into(), keys(), clock());
    let stage = Stage { target: &target, token: &token, keys: &keys, clock: &clock, client: &client };
    let played = play(&stage).await?;
    let came = watch(&stage, &played).await;
    handle.stop(false).await;
    Ok((played, came?))
}

#[actix_web::test]
async fn everything_is_stored_but_the_forged_one_and_the_repeated_one_is_known() {
    let (played, came) = run("scmc_rd_x").await.unwrap();
    let report = report(&played, came);
    assert_eq!(report.faults(), [""; 0]);
    let told = report.json();
    assert_eq!(told["sent"], RECORDED.len() + 1);
    assert_eq!(told["stored"], RECORDED.len() - 1);
    assert_eq!(told["duplicates"], 1);
    assert_eq!(told["deliveries"], json!({"done": RECORDED.len() - 1}));
    let refused = json!([{
        "event": "workflow_job.queued.2", "status": 401, "forged": true,
        "project": "lineville/elastic-machines-testing", "project_absent": true,
    }]);
    assert_eq!(told["refused"], refused);
}

#[actix_web::test]
async fn the_tables_show_both_forges_and_no_control_character() {
    let (played, came) = run("scmc_rd_x").await.unwrap();
    let text = report(&played, came).text();
    for part in ["Octocoders/Hello-World", "mike/diaspora", "hacktocat", "pending", "401", "absent"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[actix_web::test]
async fn a_token_that_is_refused_is_told() {
    let error = run("scmc_rd_wrong").await.unwrap_err().to_string();
    assert!(error.contains("GET /api/v1/deliveries gave 401"), "{error}");
    assert!(!error.contains("scmc_rd_wrong"), "{error}");
}

#[test]
fn what_the_front_door_should_not_have_done_is_a_fault() {
    let one = find("push", Some(Forge::Github)).unwrap();
    let genuine = Played { recorded: one, forged: false, status: 503, id: None };
    let forged = RECORDED.iter().find(|one| one.file == recorded::FORGED).unwrap();
    let let_in = Played { recorded: *forged, forged: true, status: 202, id: Some("x".into()) };
    let deliveries = vec![json!({"id": "x", "state": "dead"})];
    let faults = report(&[genuine, let_in], Came { deliveries, ..Came::default() }).faults();
    assert_eq!(
        faults,
        [
            "push.1 is genuine and was answered 503",
            "the forged delivery was let in",
            "no project of github came of it",
            "no project of gitlab came of it",
            "no member came of it",
            "1 deliveries are dead",
        ]
    );
    let refused = Played { recorded: *forged, forged: true, status: 401, id: None };
    let projects = vec![json!({"provider": "github", "full_path": "lineville/elastic-machines-testing"})];
    let faults = report(&[refused], Came { projects, ..Came::default() }).faults();
    assert_eq!(faults.first().unwrap(), "workflow_job.queued.2 is forged and left a trace");
}

#[test]
fn the_config_is_toml_whatever_the_folder_is_called() {
    let folder = Path::new("/tmp/a \"quoted\" \\ folder");
    let config: toml::Table = config(folder, &keys()).parse().unwrap();
    assert_eq!(config["keys"]["file"].as_str().unwrap(), "/tmp/a \"quoted\" \\ folder/master.key");
    let sources = config["sources"].as_array().unwrap();
    assert_eq!(sources[0]["webhook_secrets"][0]["value"].as_str().unwrap().len(), 64);
    assert!(sources[1]["signing_tokens"][0]["value"].as_str().unwrap().starts_with("whsec_"));
}
