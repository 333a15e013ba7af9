//! The floor of the benches: an actix-web server that reads a GitHub delivery, verifies it and keeps nothing.
//!
//! `floor PORT SECRET`. What a durable acknowledgement costs is counted against this (benches/README.md). It shares no
//! code with the product, so that a slow proof there would show.

use std::ffi::OsString;
use std::io;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key's state, made once.
#[derive(Clone)]
struct Key(Hmac<Sha256>);

impl Key {
    fn has_signed(&self, body: &[u8], header: &str) -> bool {
        let tag = header.strip_prefix("sha256=").and_then(|digits| hex::decode(digits).ok());
        tag.is_some_and(|tag| self.0.clone().chain_update(body).verify_slice(&tag).is_ok())
    }
}

async fn receive(request: HttpRequest, key: web::Data<Key>, body: web::Bytes) -> HttpResponse {
    let header = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let proven = header.is_some_and(|header| key.has_signed(&body, header));
    HttpResponse::new(if proven { StatusCode::ACCEPTED } else { StatusCode::UNAUTHORIZED })
}

fn argument(given: Option<OsString>) -> io::Result<String> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "use: floor PORT SECRET");
    given.and_then(|text| text.into_string().ok()).ok_or_else(wrong)
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let mut given = std::env::args_os().skip(1);
    let (port, secret) = (argument(given.next())?, argument(given.next())?);
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let key = Key(Hmac::new_from_slice(secret.as_bytes()).map_err(io::Error::other)?);
    let app = move || {
        App::new()
            .app_data(web::Data::new(key.clone()))
            .app_data(web::PayloadConfig::new(26 << 20))
            .route("/hooks/{source}", web::post().to(receive))
    };
    HttpServer::new(app).bind(("127.0.0.1", port))?.run().await
}
