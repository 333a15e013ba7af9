//! The wire of the fake forges: a server that hands whole requests to a forge and sends what it answers, or worse.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use serde_json::Value;
use url::Url;

/// A request, whole.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// As it was sent: still percent-encoded.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) raw_query: String,
    /// Names in lower case; a header that came twice is joined by a line break, and so never taken for one value.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The path's segments after `base`, decoded one by one.
    pub(crate) fn segments(&self, base: &str) -> Vec<String> {
        let path = self.path.strip_prefix(base).unwrap_or(&self.path);
        let decode = |part: &str| {
            url::form_urlencoded::parse(format!("x={}", part.replace('+', "%2B")).as_bytes())
                .next()
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        path.trim_matches('/').split('/').map(decode).collect()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

/// How the body ends.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// The connection breaks in the middle.
    Cut(Vec<u8>),
    /// It does not end.
    Endless,
    /// It does not even begin.
    Never,
    /// It comes after so many milliseconds.
    Late(u64, Vec<u8>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
        Self { status, headers, body: Body::Whole(body.to_string().into_bytes()) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Vec::new()) }
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn text(&self) -> &[u8] {
        match &self.body {
            Body::Whole(bytes) | Body::Cut(bytes) | Body::Late(_, bytes) => bytes,
            Body::Endless | Body::Never => &[],
        }
    }
}

/// What answers.
pub(crate) trait Answers: Send + Sync + 'static {
    fn answer(&self, asked: &Asked) -> Reply;
    /// Called before and after each answer, to see what happens at the same time.
    fn begin(&self, asked: &Asked);
    fn end(&self, asked: &Asked);
    /// How long an answer takes, in milliseconds.
    fn latency_ms(&self) -> u64;
}

async fn handle(request: HttpRequest, body: Bytes, forge: web::Data<Arc<dyn Answers>>) -> HttpResponse {
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in request.headers() {
        let value = value.to_str().unwrap_or("?");
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|before| *before = format!("{before}\n{value}"))
            .or_insert_with(|| value.to_owned());
    }
    // HTTP/2 has another word for it.
    headers.insert("host".to_owned(), request.connection_info().host().to_owned());
    let asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect(),
        raw_query: request.query_string().to_owned(),
        headers,
        body,
    };
    forge.begin(&asked);
    actix_web::rt::time::sleep(std::time::Duration::from_millis(forge.latency_ms())).await;
    let reply = forge.answer(&asked);
    forge.end(&asked);
    let mut response = HttpResponse::build(StatusCode::from_u16(reply.status).unwrap());
    for (name, value) in &reply.headers {
        response.append_header((name.as_str(), value.as_str()));
    }
    match reply.body {
        Body::Whole(bytes) => response.body(bytes),
        Body::Cut(bytes) => {
            let half = Bytes::from(bytes[..bytes.len() / 2].to_vec());
            let broken = Err(std::io::Error::other("the connection breaks"));
            response.streaming(futures_util::stream::iter([Ok(half), broken]))
        }
        Body::Endless => response.streaming(futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65_536]))
        })),
        Body::Never => std::future::pending().await,
        Body::Late(ms, bytes) => {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(ms)).await;
            response.body(bytes)
        }
    }
}

/// Serves a forge on this machine; gives its address.
pub(crate) fn serve(forge: Arc<dyn Answers>) -> Url {
    Url::parse(&format!("http://127.0.0.1:{}/", listen(forge, None))).unwrap()
}

/// Serves it, under a certificate where one is given; gives its port.
pub(crate) fn listen(forge: Arc<dyn Answers>, tls: Option<rustls::ServerConfig>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let make = move || {
        App::new()
            .app_data(web::Data::new(Arc::clone(&forge)))
            .app_data(web::PayloadConfig::new(1 << 20))
            .default_service(web::to(handle))
    };
    let server = HttpServer::new(make).workers(1).disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls),
        None => server.listen(listener),
    };
    tokio::spawn(server.unwrap().run());
    port
}
