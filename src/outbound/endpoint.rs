//! Whom we call and how: address, certificate authority, proxy, networks. A credential is bound to one of these.

use std::sync::Arc;

use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::error::Forbidden;
use super::range::Allowed;

/// The certificates, PEM, of who may sign a forge's certificate. With them, nobody else may.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Authority(Arc<[u8]>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({} bytes)", self.0.len())
    }
}

impl Authority {
    /// Reads PEM.
    ///
    /// # Errors
    /// When it holds no certificate, or something that is none.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.map_err(|_| "is no PEM".to_owned())?;
        if found.is_empty() {
            return Err("holds no certificate".into());
        }
        let mut roots = rustls::RootCertStore::empty();
        for certificate in found {
            roots.add(certificate).map_err(|_| "holds something that is no certificate".to_owned())?;
        }
        Ok(Self(pem.into()))
    }

    pub(super) fn pem(&self) -> &[u8] {
        &self.0
    }
}

/// Where a forge's API is, and the way there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    base: Url,
    authority: Option<Authority>,
    proxy: Option<Url>,
    allowed: Allowed,
}

impl Endpoint {
    /// An address that somebody typed: reached directly, believed by the public authorities, and never private.
    #[must_use]
    pub fn typed(base: Url) -> Self {
        Self { base: with_slash(base), authority: None, proxy: None, allowed: Allowed::default() }
    }

    /// An address of the operator's file, which alone may name an authority, a proxy, and private networks.
    #[must_use]
    pub fn declared(
        base: Url,
        authority: Option<Authority>,
        proxy: Option<Url>,
        private: impl IntoIterator<Item = IpNet>,
    ) -> Self {
        Self { base: with_slash(base), authority, proxy, allowed: Allowed::new(private) }
    }

    /// The same way to another address, such as a forge's sign-in beside its API.
    #[must_use]
    pub fn at(&self, base: Url) -> Self {
        Self { base: with_slash(base), ..self.clone() }
    }

    /// The address; its path ends with a slash.
    #[must_use]
    pub const fn base(&self) -> &Url {
        &self.base
    }

    pub(super) const fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    pub(super) const fn proxy(&self) -> Option<&Url> {
        self.proxy.as_ref()
    }

    pub(super) const fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// What a credential is bound to: scheme, host, port, authority and proxy, not the path.
    #[must_use]
    pub fn binding(&self) -> Binding {
        let mut digest = Sha256::new();
        let proxy = self.proxy.as_ref().map(Url::as_str).unwrap_or_default();
        let authority = self.authority.as_ref().map(Authority::pem).unwrap_or_default();
        for part in [self.base.origin().ascii_serialization().as_bytes(), proxy.as_bytes(), authority] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Binding(digest.finalize().into())
    }
}

/// A path without a slash at its end would lose its last part when another one is joined to it.
fn with_slash(mut base: Url) -> Url {
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    base
}

/// Checks an address by its spelling: scheme, user name, and numbers in any notation. Names are checked when dialled.
///
/// # Errors
/// With the rule that forbids it.
pub fn check_url(url: &Url, allowed: &Allowed, plain_http: bool) -> Result<(), Forbidden> {
    match url.scheme() {
        "https" => {}
        "http" if plain_http => {}
        "http" => return Err(Forbidden::PlainHttp),
        _ => return Err(Forbidden::Shape),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Forbidden::UserInfo);
    }
    match url.host() {
        Some(Host::Ipv4(address)) => allowed.admit(address.into()).map_err(Forbidden::Address),
        Some(Host::Ipv6(address)) => allowed.admit(address.into()).map_err(Forbidden::Address),
        Some(Host::Domain(name)) if !name.trim_end_matches('.').is_empty() => Ok(()),
        _ => Err(Forbidden::Shape),
    }
}

/// A fingerprint of what a credential is bound to. May be stored beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding([u8; 32]);

impl Binding {
    /// To be stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A secret that is sent to one endpoint only.
#[derive(Debug, Clone)]
pub struct Credential {
    pub(super) secret: SecretString,
    pub(super) carried: Carried,
    binding: Binding,
}

/// How a credential is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// `Authorization: Bearer …`
    Bearer,
    /// GitLab's `PRIVATE-TOKEN: …`
    PrivateToken,
    /// `Authorization: Basic …`; the secret is `name:password`.
    Basic,
}

impl Credential {
    /// Binds a secret to where it was given for.
    #[must_use]
    pub fn new(secret: SecretString, carried: Carried, endpoint: &Endpoint) -> Self {
        Self { secret, carried, binding: endpoint.binding() }
    }

    /// A secret that was stored with its binding.
    #[must_use]
    pub const fn restore(secret: SecretString, carried: Carried, binding: Binding) -> Self {
        Self { secret, carried, binding }
    }

    /// A short name of the secret, from which it cannot be found.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.secret.expose_secret().as_bytes());
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it was given for this endpoint.
    #[must_use]
    pub fn is_for(&self, endpoint: &Endpoint) -> bool {
        self.binding == endpoint.binding()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn s18_every_spelling_of_a_forbidden_number_is_recognized() {
        for text in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://017700000001/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://%31%32%37.0.0.1/",
            "https://①②⑦.0.0.1/",
            "https://127。0。0。1/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "https://[0:0:0:0:0:ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://github.com@127.0.0.1/",
            "https://127.0.0.1#@github.com/",
            "https://127.0.0.1\\@github.com/",
        ] {
            let checked = Url::parse(text).map(|url| check_url(&url, &Allowed::default(), false));
            assert!(matches!(checked, Err(_) | Ok(Err(_))), "{text}: {checked:?}");
        }
        for text in [
            "https://[::1%25lo]/",
            "https://[fe80::1%eth0]/",
            "https:///",
            "https://./",
            "file:///etc/passwd",
        ] {
            let checked = Url::parse(text).map(|url| check_url(&url, &Allowed::default(), true));
            assert!(matches!(checked, Err(_) | Ok(Err(_))), "{text}: {checked:?}");
        }
        assert_eq!(
            check_url(&url("http://github.com/"), &Allowed::default(), false),
            Err(Forbidden::PlainHttp)
        );
        assert_eq!(check_url(&url("https://github.com/"), &Allowed::default(), false), Ok(()));
    }

    #[test]
    fn s19_a_credential_follows_scheme_host_port_authority_and_proxy() {
        let home = Endpoint::declared(url("https://git.example.com/api/v3"), None, None, []);
        let credential = Credential::new("secret".into(), Carried::Bearer, &home);
        assert!(
            credential.is_for(&home) && credential.is_for(&home.at(url("https://git.example.com/other/")))
        );
        let authority = Authority(Arc::from(&b"other"[..]));
        let proxy = Some(url("http://proxy.example.com:3128"));
        for other in [
            home.at(url("http://git.example.com/api/v3")),
            home.at(url("https://git.example.org/api/v3")),
            home.at(url("https://git.example.com:8443/api/v3")),
            home.at(url("https://git.example.com./api/v3")),
            Endpoint::declared(home.base().clone(), Some(authority), None, []),
            Endpoint::declared(home.base().clone(), None, proxy, []),
        ] {
            assert!(!credential.is_for(&other), "{other:?}");
        }
    }

    #[test]
    fn a_base_address_keeps_its_sub_path() {
        let endpoint = Endpoint::typed(url("https://git.example.com/gitlab/api/v4?x=1#y"));
        assert_eq!(
            endpoint.base().join("user").unwrap().as_str(),
            "https://git.example.com/gitlab/api/v4/user"
        );
    }
}
