//! What `benches/jobs` needs: signed ID tokens of many GitLab jobs as requests, and a floor that only verifies them.
//!
//! `jobs mint OUT N SEED TOKEN` writes `OUT.blob` and `OUT.idx` (see benches/replay.lua): check-ins of N jobs in fifty
//! projects of one group, each with an ID token of its own and the CI token. `jobs floor PORT` reads such a request,
//! verifies the RSA-2048 signature of its ID token and keeps nothing. Both use the published key of RFC 7515 A.2.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

const PRIVATE_KEY: &str = include_str!("../tests/fixture/id_token/private_key.txt");
const KEY_SET: &str = include_str!("../tests/fixture/id_token/key_set.json");
const AUDIENCE: &str = "http://127.0.0.1:18080";
const PROJECTS: u64 = 50;
const GROUP: u64 = 72;

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.to_owned())
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Value>,
}

fn public_key() -> io::Result<(Value, DecodingKey)> {
    let key = serde_json::from_str::<Keys>(KEY_SET)?.keys.into_iter().next();
    let key = key.ok_or_else(|| wrong("the key set is empty"))?;
    let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let public = DecodingKey::from_rsa_components(&text("n"), &text("e")).map_err(io::Error::other)?;
    Ok((key, public))
}

/// A job's claims, as GitLab.com writes them.
fn claims(job: u64, now_s: u64) -> Value {
    let number = 1_000 + job % PROJECTS;
    let path = format!("bench/project-{}", job % PROJECTS);
    json!({
        "iss": "https://gitlab.com", "aud": AUDIENCE, "iat": now_s, "nbf": now_s - 5, "exp": now_s + 3_600,
        "jti": format!("bench-{job}"), "sub": format!("project_path:{path}"), "namespace_id": GROUP.to_string(),
        "namespace_path": "bench", "project_id": number.to_string(), "project_path": path, "user_login": "founder",
        "pipeline_id": "574", "pipeline_source": "push", "job_id": job.to_string(), "ref": "main",
        "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true", "runner_id": 1,
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
    })
}

/// The requests of the jobs from `first` on.
fn requests(first: u64, count: u64, ci_token: &str) -> io::Result<Vec<Vec<u8>>> {
    let der =
        STANDARD.decode(PRIVATE_KEY.split_whitespace().collect::<String>()).map_err(io::Error::other)?;
    let key = EncodingKey::from_rsa_der(&der);
    let (public, _) = public_key()?;
    let mut header = Header::new(Algorithm::RS256);
    header.kid = public.get("kid").and_then(Value::as_str).map(str::to_owned);
    let now_s = scm_connect::app::clock()().ms().unsigned_abs() / 1000;
    let request = |job| {
        let token = jsonwebtoken::encode(&header, &claims(job, now_s), &key).map_err(io::Error::other)?;
        let body = json!({ "id_token": token }).to_string();
        let head = format!(
            "POST /api/v1/ci/check-ins HTTP/1.1\r\nHost: 127.0.0.1:18080\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {ci_token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Ok([head.into_bytes(), body.into_bytes()].concat())
    };
    (first..first.saturating_add(count)).map(request).collect()
}

/// Signing takes twenty times as long as verifying, so that all processors take part.
fn mint(out: &str, count: u64, seed: u64, ci_token: &str) -> io::Result<()> {
    let threads = u64::try_from(std::thread::available_parallelism()?.get()).unwrap_or(1);
    let share = count.div_ceil(threads);
    let all = std::thread::scope(|scope| {
        let part = |number: u64| {
            let first = seed.saturating_mul(10_000_000).saturating_add(number.saturating_mul(share));
            let rest = count.saturating_sub(number.saturating_mul(share)).min(share);
            scope.spawn(move || requests(first, rest, ci_token))
        };
        let parts: Vec<_> = (0..threads).map(part).collect();
        let joined = parts.into_iter().map(|part| part.join().map_err(|_| wrong("a thread has panicked"))?);
        joined.collect::<io::Result<Vec<_>>>()
    })?;
    let mut blob = BufWriter::new(File::create(format!("{out}.blob"))?);
    let mut index = BufWriter::new(File::create(format!("{out}.idx"))?);
    let mut at = 0;
    for request in all.concat() {
        writeln!(index, "{at} {}", request.len())?;
        blob.write_all(&request)?;
        at += request.len();
    }
    blob.flush()?;
    index.flush()
}

#[derive(Deserialize)]
struct CheckIn {
    id_token: String,
}

async fn verify(key: web::Data<DecodingKey>, body: web::Bytes) -> HttpResponse {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[AUDIENCE]);
    let read = serde_json::from_slice::<CheckIn>(&body).ok();
    let proven = read.is_some_and(|it| jsonwebtoken::decode::<Value>(&it.id_token, &key, &rules).is_ok());
    HttpResponse::new(if proven { StatusCode::OK } else { StatusCode::UNAUTHORIZED })
}

async fn floor(port: u16) -> io::Result<()> {
    let (_, key) = public_key()?;
    let key = web::Data::new(key);
    let app = move || App::new().app_data(key.clone()).route("/api/v1/ci/check-ins", web::post().to(verify));
    HttpServer::new(app).bind(("127.0.0.1", port))?.run().await
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let given: Vec<String> = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok()).collect();
    match given.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["mint", out, count, seed, token] => {
            let number = |text: &str| text.parse().map_err(|_| wrong("N and SEED are numbers"));
            mint(out, number(count)?, number(seed)?, token)
        }
        ["floor", port] => floor(port.parse().map_err(|_| wrong("PORT is a number"))?).await,
        _ => Err(wrong("use: jobs mint OUT N SEED TOKEN, or: jobs floor PORT")),
    }
}
