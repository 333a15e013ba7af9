//! Asks a daemon: the one on this machine through its control socket, another one by URL and token.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::exit::{Exit, Failure};
use super::{Environment, TOKEN_VARIABLE};

/// No answer is longer.
const BYTES_MAX: usize = 64 << 20;
/// The most that one page may hold.
const PAGE_MAX: usize = 200;

/// Asks a daemon.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
    is_idle: bool,
}

/// One part of a list, or all of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Items {
    /// The records.
    pub items: Vec<Value>,
    /// Where the rest begins.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// Codes by which the forge, not the daemon, has said no.
const BY_FORGE: [&str; 4] =
    ["credential-refused", "installation-suspended", "not-installed", "scope-missing"];

/// What a daemon says when it does not do it.
#[derive(Debug, Deserialize)]
struct Refusal {
    code: String,
    message: String,
    #[serde(default)]
    help: Option<String>,
}

impl Client {
    /// The client for a command: of the URL if there is one, else of the daemon that holds the store. `None` when no
    /// daemon runs here; the store is then to be opened.
    ///
    /// # Errors
    /// When the URL has no token, or the daemon may not be asked.
    pub async fn find(
        url: Option<&Url>,
        store: Option<&Path>,
        environment: &Environment,
    ) -> Result<Option<Self>, Failure> {
        if let Some(url) = url {
            let token = environment.get(TOKEN_VARIABLE).filter(|token| !token.trim().is_empty());
            let missing = || {
                Failure::usage(format!(
                    "--url needs a token: put one that `token create` made into {TOKEN_VARIABLE}"
                ))
            };
            let token = SecretString::from(token.ok_or_else(missing)?.trim());
            return Self::remote(url.clone(), token).map(Some);
        }
        match store {
            Some(directory) => Self::local(directory).await,
            None => Ok(None),
        }
    }

    /// A daemon elsewhere.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn remote(url: Url, token: SecretString) -> Result<Self, Failure> {
        Self::build(url, Some(token), None)
    }

    /// The daemon that holds the store in this directory, if one does.
    ///
    /// # Errors
    /// When there is one that this user may not ask.
    pub async fn local(store: &Path) -> Result<Option<Self>, Failure> {
        let socket = socket_of(store);
        match tokio::net::UnixStream::connect(&socket).await {
            Ok(_) => Self::at_socket(&socket).map(Some),
            // No socket, or one that a daemon left behind when it was killed.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(Failure {
                exit: Exit::Store,
                message: format!(
                    "the daemon's control socket {} cannot be used: {error}; run this as the daemon's user",
                    socket.display()
                ),
            }),
        }
    }

    /// Whoever listens at this socket.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn at_socket(socket: &Path) -> Result<Self, Failure> {
        let base = Url::parse("http://localhost").map_err(|error| Failure::failed(error.to_string()))?;
        Self::build(base, None, Some(socket))
    }

    fn build(base: Url, token: Option<SecretString>, socket: Option<&Path>) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("scm-connect/", env!("CARGO_PKG_VERSION")))
            // A token must not follow a redirect to another host.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10));
        if let Some(socket) = socket {
            builder = builder.unix_socket(socket).no_proxy();
        }
        let http =
            builder.build().map_err(|error| Failure::failed(format!("no client can be made: {error}")))?;
        Ok(Self { http, base, token, is_idle: false })
    }

    /// The same, of a daemon that answers and does no work: what takes long waits for another one.
    #[must_use]
    pub fn idle(self) -> Self {
        Self { is_idle: true, ..self }
    }

    /// Whether whoever answers does no work.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Whether the token would travel unprotected.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        let near = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        self.token.is_some() && self.base.scheme() == "http" && !near
    }

    /// Reads.
    ///
    /// # Errors
    /// When the daemon does not answer, or refuses.
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        let request = self.http.get(self.address(path)?).query(query).timeout(Duration::from_secs(60));
        self.send(request).await
    }

    /// Does.
    ///
    /// # Errors
    /// When the daemon does not answer, or refuses.
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.post_within(None, path, body).await
    }

    /// Asks for something to be done inside of one organization.
    ///
    /// # Errors
    /// When the daemon does not answer, or refuses.
    pub async fn post_within(
        &self,
        organization: Option<&str>,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, Failure> {
        let mut address = self.address(path)?;
        if let Some(organization) = organization {
            address.query_pairs_mut().append_pair("organization", organization);
        }
        // Without a time limit: verifying a large store takes as long as it takes.
        self.send(self.http.post(address).json(body)).await
    }

    /// Changes.
    ///
    /// # Errors
    /// When the daemon does not answer, or refuses.
    pub async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.send(self.http.patch(self.address(path)?).json(body).timeout(Duration::from_secs(60))).await
    }

    /// Takes away.
    ///
    /// # Errors
    /// When the daemon does not answer, or refuses.
    pub async fn delete(&self, path: &[&str]) -> Result<Value, Failure> {
        self.send(self.http.delete(self.address(path)?).timeout(Duration::from_secs(60))).await
    }

    /// Reads a list page by page, up to `limit` records.
    ///
    /// # Errors
    /// When the daemon does not answer, or refuses.
    pub async fn list(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        limit: usize,
        mut cursor: Option<String>,
    ) -> Result<Items, Failure> {
        let mut items = Vec::new();
        loop {
            let left = limit.saturating_sub(items.len());
            let mut query = query.to_vec();
            query.push(("limit", left.min(PAGE_MAX).to_string()));
            query.extend(cursor.clone().map(|cursor| ("cursor", cursor)));
            let page = self.get(path, &query).await?;
            let page: Items = serde_json::from_value(page).map_err(|_| strange())?;
            // A page that ends where it began would be read for ever. One without items may only have looked far enough.
            let stuck = page.next_cursor == cursor;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || stuck || items.len() >= limit {
                return Ok(Items { items, next_cursor: cursor });
            }
        }
    }

    /// `path` under `/api/v1`, each part encoded: an id that was typed cannot lead elsewhere.
    fn address(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        if path.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(Failure::usage("that is no id"));
        }
        let wrong = || Failure::usage("--url must begin with http:// or https://");
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(["api", "v1"]).extend(path);
        Ok(url)
    }

    /// Asks for something long, which is answered piece by piece, for as long as it takes.
    ///
    /// # Errors
    /// When the daemon does not answer, or refuses.
    pub async fn stream(&self, path: &[&str], body: Option<&Value>) -> Result<Pieces, Failure> {
        let request = self.http.post(self.address(path)?);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = self.answer(request).await?;
        if answer.status().is_success() {
            return Ok(Pieces(answer));
        }
        Err(self.whole(answer).await.err().unwrap_or_else(strange))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let answer = self.answer(request).await?;
        self.whole(answer).await
    }

    async fn answer(&self, mut request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    async fn whole(&self, mut answer: reqwest::Response) -> Result<Value, Failure> {
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len().saturating_add(piece.len()) > BYTES_MAX {
                return Err(strange());
            }
            body.extend_from_slice(&piece);
        }
        match status {
            200..=299 if body.is_empty() => Ok(Value::Null),
            200..=299 => serde_json::from_slice(&body).map_err(|_| strange()),
            _ => Err(refused(status, &body)),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why =
            if error.is_timeout() { "it did not answer in time" } else { "no connection could be made" };
        let where_ = self.base.origin().ascii_serialization();
        Failure::failed(format!("the daemon at {where_} cannot be asked: {why}; is it running?"))
    }
}

/// A long answer.
#[derive(Debug)]
pub struct Pieces(reqwest::Response);

impl Pieces {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, Failure> {
        let broken = "the daemon ended before its answer was whole; its log says why";
        self.0.chunk().await.map_err(|_| Failure::failed(broken))
    }
}

/// The control socket of a store, or the place that it names when its own path is too long for a socket.
fn socket_of(store: &Path) -> PathBuf {
    let elsewhere = std::fs::read_to_string(store.join("control.addr")).ok();
    let elsewhere = elsewhere.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    elsewhere.map_or_else(|| store.join("control.sock"), PathBuf::from)
}

/// What is said of an answer that no daemon of ours gives.
pub(super) fn strange() -> Failure {
    Failure::failed("the answer is not one of scm-connect; is the URL right?")
}

/// The daemon's own sentence, or ours when there is none.
fn refused(status: u16, body: &[u8]) -> Failure {
    let refusal = serde_json::from_slice::<Refusal>(body).ok();
    let code = refusal.as_ref().map(|it| it.code.as_str()).unwrap_or_default();
    let exit = match status {
        _ if code.starts_with("store-") => Exit::Store,
        // It was not even asked.
        _ if code == "forge-invalid" => Exit::Usage,
        _ if code.starts_with("forge-") => Exit::Forge,
        _ if BY_FORGE.contains(&code) => Exit::Forge,
        404 => Exit::NotFound,
        400 | 422 => Exit::Usage,
        _ => Exit::Failed,
    };
    let message = match refusal {
        Some(Refusal { message, help: Some(help), .. }) => format!("{message}; {help}"),
        Some(Refusal { message, .. }) => message,
        None => match status {
            401 | 403 => format!("the daemon does not take this token; is {TOKEN_VARIABLE} right?"),
            404 => "there is no such thing".into(),
            _ => format!("the daemon answered {status}"),
        },
    };
    Failure { exit, message }
}
