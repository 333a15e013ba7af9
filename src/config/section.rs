//! The sections that are about this program: where it listens, what it keeps, how much it takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

use super::keys;
use super::reader::Reader;
use super::value::{
    PERIOD_ALLOWED, PRIVATE_ALLOWED, Period, STORE_ALLOWED, StoreUrl, listen_address, network, path,
    private_network, public_url, web_url,
};

const ADDRESS_ALLOWED: &str = "ADDRESS:PORT such as 127.0.0.1:8080 or [::]:8080";
const NETWORK_ALLOWED: &str = "networks such as 10.0.0.0/8";
const PATH_ALLOWED: &str = "a path";

/// Where the program listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// For forges, CI jobs and people.
    pub public: SocketAddr,
    /// For health checks and metrics.
    pub ops: SocketAddr,
    /// TLS of the public listener.
    pub tls: Option<Tls>,
    /// Whose `Forwarded` and `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<IpNet>,
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The chain.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

pub(super) fn listen(mut table: Reader<'_>) -> Listen {
    let public = table.parsed("public", ADDRESS_ALLOWED, listen_address);
    let ops = table.parsed("ops", ADDRESS_ALLOWED, listen_address);
    let tls = table.table("tls", keys::TLS).and_then(|mut tls| {
        let cert = tls.needed("cert", PATH_ALLOWED, path);
        let key = tls.needed("key", PATH_ALLOWED, path);
        Some(Tls { cert: cert?, key: key? })
    });
    let trusted_proxies = table.list("trusted_proxies", NETWORK_ALLOWED, network);
    let here = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let listen = Listen {
        public: public.unwrap_or_else(|| here(8080)),
        ops: ops.unwrap_or_else(|| here(9090)),
        tls,
        trusted_proxies,
    };
    if listen.public == listen.ops && listen.public.port() != 0 {
        let message = format!("is {}, which is listen.public as well", listen.ops);
        table.log.add(table.place_of("ops").problem(message, Some("an address of its own".into())));
    }
    listen
}

/// How forges and browsers reach us; without a setting, the address we listen on.
pub(super) fn own_url(root: &mut Reader<'_>, listen: &Listen) -> Option<Url> {
    let allowed = "a web address of scheme, host and port, such as https://scm.example.com";
    if let Some(found) = root.parsed("public_url", allowed, public_url) {
        return Some(found);
    }
    let mut address = listen.public;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::IpAddr::from([127, 0, 0, 1]));
    }
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{address}")).ok()
}

pub(super) fn store(mut table: Reader<'_>) -> StoreUrl {
    let found = table.parsed("url", STORE_ALLOWED, StoreUrl::parse);
    found.unwrap_or_else(|| StoreUrl::Sled(PathBuf::from("data/store")))
}

/// The file of the master key; without a setting, beside the store.
pub(super) fn key_file(mut table: Reader<'_>, store: &StoreUrl) -> PathBuf {
    let beside = || match store {
        StoreUrl::Sled(directory) => directory.with_file_name("master.key"),
        StoreUrl::Postgres(_) => PathBuf::from("data/master.key"),
    };
    table.parsed("file", PATH_ALLOWED, path).unwrap_or_else(beside)
}

/// How much is taken, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one delivery's body.
    pub body_bytes_max: u64,
    /// Bytes of one scanner's report.
    pub report_bytes_max: u64,
    /// Plain http to a forge: tests and closed networks only.
    pub allow_http_forges: bool,
    /// Private networks that an on-premise forge may resolve to.
    pub allow_private_forges: Vec<IpNet>,
}

pub(super) fn limits(mut table: Reader<'_>) -> Limits {
    // Above 1 GiB a single request could take the machine; below 1 KiB no forge's delivery fits.
    let (least, most) = (1 << 10, 1 << 30);
    Limits {
        body_bytes_max: table.number("body_bytes_max", least, most).unwrap_or(27_262_976),
        report_bytes_max: table.number("report_bytes_max", least, most).unwrap_or(67_108_864),
        allow_http_forges: table.switch("allow_http_forges").unwrap_or(false),
        allow_private_forges: table.list("allow_private_forges", PRIVATE_ALLOWED, private_network),
    }
}

/// What CI jobs may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ci {
    /// Whether a check-in may create a connection.
    pub auto_connect: bool,
    /// For which accounts; empty means any.
    pub auto_connect_accounts: Vec<String>,
    /// Whether a check-in without an ID token is refused.
    pub require_proof: bool,
    /// Issuers of ID tokens besides the public ones.
    pub issuers: Vec<Issuer>,
}

/// Who signs ID tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` claim, letter by letter.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_url: Url,
}

pub(super) fn ci(mut table: Reader<'_>, http: bool) -> Ci {
    let issuers = table.tables("issuers", keys::ISSUER).into_iter().filter_map(|mut issuer| {
        let allowed = "a web address such as https://gitlab.example.com";
        let name = issuer.needed("issuer", allowed, |text| secure_url(text, http).map(|_| text.to_owned()));
        let jwks_url = issuer.needed("jwks_url", allowed, |text| secure_url(text, http));
        Some(Issuer { issuer: name?, jwks_url: jwks_url? })
    });
    let issuers = issuers.collect();
    Ci {
        auto_connect: table.switch("auto_connect").unwrap_or(true),
        auto_connect_accounts: table.list(
            "auto_connect_accounts",
            "names of accounts",
            super::value::account,
        ),
        require_proof: table.switch("require_proof").unwrap_or(false),
        issuers,
    }
}

/// A forge's address: https, or http where the config allows it.
pub(super) fn secure_url(text: &str, http: bool) -> Result<Url, String> {
    let url = web_url(text)?;
    if url.scheme() == "http" && !http {
        return Err("is plain http, which limits.allow_http_forges does not allow".into());
    }
    Ok(url)
}

/// How deliveries come that did not come by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// No forge reaches this daemon: everything is read from there.
    pub polling: bool,
}

pub(super) fn catch_up(mut table: Reader<'_>) -> CatchUp {
    CatchUp { polling: table.switch("polling").unwrap_or(false) }
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Bodies of deliveries.
    pub payload: Period,
    /// Records of deliveries and their attempts.
    pub metadata: Period,
}

pub(super) fn retention(mut table: Reader<'_>) -> Retention {
    let payload = table.parsed("payload", PERIOD_ALLOWED, Period::parse);
    let metadata = table.parsed("metadata", PERIOD_ALLOWED, Period::parse);
    let keep = Retention {
        payload: payload.unwrap_or(Period::days(14)),
        metadata: metadata.unwrap_or(Period::days(90)),
    };
    if keep.payload > keep.metadata {
        let message = format!(
            "is {}, but a body without its record means nothing, and records are kept for {}",
            keep.payload, keep.metadata
        );
        table.log.add(table.place_of("payload").problem(message, Some("at most retention.metadata".into())));
    }
    keep
}
