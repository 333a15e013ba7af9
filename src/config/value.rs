//! Single values: checked once, here, and typed from then on.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

/// Where everything is kept. Its `Debug` hides a database's password, as its `Display` does.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// The embedded store in this directory.
    Sled(PathBuf),
    /// A PostgreSQL database.
    Postgres(Url),
}

pub(super) const STORE_ALLOWED: &str = "\"sled:DIRECTORY\" or \"postgres://USER@HOST/DATABASE\"";

impl StoreUrl {
    /// Reads `sled:data/store` or `postgres://user@host/db`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sled:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("names no directory".into());
            }
            return Ok(Self::Sled(PathBuf::from(path)));
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") && url.host_str().is_some() => {
                Ok(Self::Postgres(url))
            }
            // The text is not repeated: a database's URL may hold its password.
            _ => Err("is no store that is known here".into()),
        }
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sled(path) => write!(f, "sled:{}", path.display()),
            Self::Postgres(url) => {
                let mut url = url.clone();
                if url.password().is_some() {
                    // The only error is "this URL cannot have one", and it has one.
                    let _ = url.set_password(Some("(hidden)"));
                }
                if url.query().is_some() {
                    url.set_query(Some("(hidden)"));
                }
                f.write_str(url.as_str())
            }
        }
    }
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

pub(super) const PERIOD_ALLOWED: &str = "a number with d, h, m or s, such as 14d, 12h, 30m, 45s";

/// A length of time, written `14d`, `12h`, `30m`, `45s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(i64);

impl Period {
    /// Whole days.
    #[must_use]
    pub const fn days(days: i32) -> Self {
        Self((days as i64).saturating_mul(86_400_000))
    }

    /// In milliseconds.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Reads `14d`.
    ///
    /// # Errors
    /// When it is no positive number with a known unit, or longer than a century.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text.strip_prefix(digits).and_then(|unit| match unit {
            "d" => Some(86_400_000_i64),
            "h" => Some(3_600_000),
            "m" => Some(60_000),
            "s" => Some(1_000),
            _ => None,
        });
        let number = digits.parse::<u32>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        let ms = number.zip(unit).and_then(|(number, unit)| i64::from(number).checked_mul(unit));
        match ms {
            Some(ms) if ms > 0 && ms <= Self::days(36_500).ms() => Ok(Self(ms)),
            _ => Err(format!("{} is no length of time that can be used here", quoted(text))),
        }
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [(86_400_000_i64, "d"), (3_600_000, "h"), (60_000, "m")];
        let fits = units.iter().find(|(unit, _)| self.0.checked_rem(*unit) == Some(0));
        let (unit, letter) = fits.copied().unwrap_or((1_000, "s"));
        write!(f, "{}{letter}", self.0.checked_div(unit).unwrap_or_default())
    }
}

/// Text as it may stand in a message: quoted, short, without control characters.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    format!("{short:?}")
}

/// A web address without user name, password, query or fragment. Host and scheme are checked by the caller.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is no web address".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("{} is no web address", quoted(url.scheme())));
    }
    // Neither of them is repeated in the message: they are where people put secrets.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds a query or fragment".into());
    }
    Ok(url)
}

/// Our own address, as browsers and forges reach us: scheme, host and port alone.
pub(super) fn public_url(text: &str) -> Result<Url, String> {
    let url = web_url(text)?;
    if url.path() != "/" {
        return Err(format!("has the path {}, and this program answers at the root", quoted(url.path())));
    }
    Ok(url)
}

/// A network such as `10.0.0.0/8`; a single address is a network of one.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| alone()).map_err(|_| format!("{} is no network", quoted(text)))
}

pub(super) const PRIVATE_ALLOWED: &str = "private networks such as 10.0.0.0/8";

/// A private network in which a forge may be, by the table that the dialler reads as well.
pub(super) fn private_network(text: &str) -> Result<IpNet, String> {
    let network = network(text)?;
    crate::outbound::check_network(&network).map(|()| network)
}

/// Where to listen.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{} is no address to listen on", quoted(text)))
}

/// A file or folder. Relative to where the program is started.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err("names no file".into());
    }
    Ok(PathBuf::from(text))
}

/// An account's login or path at its forge.
pub(super) fn account(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#' | ':');
    if text.is_empty()
        || text.len() > 255
        || text.contains(odd)
        || text.starts_with('/')
        || text.ends_with('/')
    {
        return Err(format!("{} is no account's name", quoted(text)));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_with_a_unit() {
        for (text, ms) in
            [("14d", 1_209_600_000), ("90d", 7_776_000_000), ("12h", 43_200_000), ("45s", 45_000)]
        {
            let period = Period::parse(text).unwrap();
            assert_eq!((period.ms(), period.to_string().as_str()), (ms, text));
        }
        for bad in [
            "",
            "d",
            "14",
            "0d",
            "-1d",
            "+1d",
            "1.5h",
            "14 d",
            "14D",
            "9999999999d",
            "100000d",
            "d14",
            "1d2h",
        ] {
            assert!(Period::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_database_password_is_never_shown() {
        let store = StoreUrl::parse("postgres://scm:hunter2hunter2@db/scm?sslpassword=alsosecret").unwrap();
        let shown = format!("{store} {store:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("alsosecret"), "{shown}");
        let refused = StoreUrl::parse("mysql://scm:hunter2hunter2@db/scm").unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_store_is_a_directory_or_a_database() {
        assert_eq!(StoreUrl::parse("sled:data/store"), Ok(StoreUrl::Sled("data/store".into())));
        assert_eq!(StoreUrl::parse("sled:///var/x"), Ok(StoreUrl::Sled("/var/x".into())));
        assert!(matches!(StoreUrl::parse("postgres://user@host/db"), Ok(StoreUrl::Postgres(_))));
        for bad in ["", "sled:", "data/store", "postgres:", "file:x", "SLED:x"] {
            assert!(StoreUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
