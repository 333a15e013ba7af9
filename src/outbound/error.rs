//! Why a call to the outside brought nothing. Never holds a word of what the other side answered.

use crate::domain::Timestamp;

/// What went wrong, as far as the caller decides by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address is one that is never called; nothing was sent. Asking again changes nothing.
    #[error("{host} is not called: {why}")]
    Forbidden {
        /// Whom we meant to call.
        host: String,
        /// The rule.
        why: Forbidden,
    },
    /// Nobody answered, or not to the end. Worth trying again later.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Whom we called.
        host: String,
        /// How it failed.
        why: Unreachable,
    },
    /// It failed so often that it is left alone for a while; nothing was sent.
    #[error("{host} did not answer lately and is left alone until {until}")]
    Resting {
        /// Whom we meant to call.
        host: String,
        /// When it is tried again.
        until: Timestamp,
    },
    /// It answered what it should not.
    #[error("{host} {why}")]
    Odd {
        /// Who answered.
        host: String,
        /// What was odd.
        why: Odd,
    },
    /// The credential was given for another address, certificate authority or proxy; nothing was sent.
    #[error("the credential was entered for another address, certificate authority or proxy; enter it again")]
    Elsewhere,
}

/// A rule that forbids an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The name or number leads to a forbidden range.
    #[error(
        "its address is {0}; an operator may allow a private network in the config file, with allow_private"
    )]
    Address(&'static str),
    /// Plain http, which the config does not allow.
    #[error("it is plain http, which limits.allow_http_forges does not allow")]
    PlainHttp,
    /// No web address at all.
    #[error("it is no web address that can be called")]
    Shape,
    /// A user name or password stands in the address.
    #[error("its address holds a user name or password")]
    UserInfo,
}

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The name has no address, or the name server does not answer.
    #[error("its name has no address")]
    Name,
    /// The connection was refused or reset before it stood.
    #[error("it refuses the connection")]
    Connect,
    /// Its certificate is not believed.
    #[error("{0}")]
    Tls(Tls),
    /// No answer in time.
    #[error("it does not answer in time")]
    Slow,
    /// The connection broke in the middle of the answer.
    #[error("it broke off in the middle of its answer")]
    Cut,
    /// As many calls to it are under way as are allowed at once.
    #[error("too many calls to it are under way already")]
    Busy,
    /// It says itself that it is not working.
    #[error("it answers that it is not working (status {0})")]
    Down(u16),
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Tls {
    /// Its time is over, or has not begun.
    #[error("its certificate has expired or is not valid yet; check the clocks")]
    Expired,
    /// It is for another name.
    #[error("its certificate is for another name")]
    Name,
    /// Nobody whom we trust signed it.
    #[error("its certificate is signed by nobody who is trusted here; name the authority with ca_file")]
    Unknown,
    /// Anything else: old protocols, weak signatures, no TLS at all.
    #[error("no secure connection comes about: it offers nothing that is still safe, or no TLS at all")]
    Other,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// It redirects to another scheme, host or port.
    #[error("redirects to another place, which is not followed")]
    RedirectElsewhere,
    /// It redirects again and again, or to nowhere.
    #[error("redirects without end or aim")]
    RedirectEndless,
    /// More bytes than are taken.
    #[error("answered more than is taken")]
    TooLarge,
    /// Compressed, though we asked for plain text.
    #[error("answered in an encoding that was not asked for")]
    Encoded,
    /// A web page or something else.
    #[error("answered something that is no JSON: is this the address of its API?")]
    NotJson,
    /// JSON, nested too deep.
    #[error("answered JSON that is nested too deep")]
    TooDeep,
    /// JSON, of another shape than documented.
    #[error("answered JSON of a shape that is not documented")]
    Shape,
    /// A link to the next page that leads elsewhere.
    #[error("names a next page at another place, which is not followed")]
    LinkElsewhere,
}

/// What the dialler's guard raises inside the HTTP library; found again in the chain of causes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Stopped(pub(super) Forbidden);

/// Reads the HTTP library's error; its text is not used, because it repeats what the other side sent.
pub(super) fn read(error: &reqwest::Error, host: &str) -> OutboundError {
    let mut tls = None;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(Stopped(why)) = error.downcast_ref() {
            return OutboundError::Forbidden { host: host.to_owned(), why: *why };
        }
        tls = tls.or_else(|| error.downcast_ref().map(certificate));
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            // `source` of an I/O error skips the error that it carries.
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    let why = match tls {
        Some(tls) => Unreachable::Tls(tls),
        None if error.is_dns() => Unreachable::Name,
        None if error.is_timeout() => Unreachable::Slow,
        None if error.is_connect() => Unreachable::Connect,
        None => Unreachable::Cut,
    };
    OutboundError::Unreachable { host: host.to_owned(), why }
}

fn certificate(error: &rustls::Error) -> Tls {
    use rustls::CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else { return Tls::Other };
    match wrong {
        Wrong::Expired
        | Wrong::ExpiredContext { .. }
        | Wrong::NotValidYet
        | Wrong::NotValidYetContext { .. } => Tls::Expired,
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => Tls::Name,
        Wrong::UnknownIssuer => Tls::Unknown,
        _ => Tls::Other,
    }
}
