//! The public listener's certificate, which can be replaced while connections are open.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificate in force.
#[derive(Debug)]
pub struct Certificate {
    key: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// From the PEM texts of the chain and of the key.
    ///
    /// # Errors
    /// When one cannot be read or they do not belong together; says which, never what is in it.
    pub fn parse(chain: &[u8], key: &[u8]) -> io::Result<Self> {
        Ok(Self { key: RwLock::new(Arc::new(read(chain, key)?)) })
    }

    /// Puts another in force for new connections.
    pub fn replace(&self, by: Self) {
        let fresh = by.key.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(chain: &[u8], key: &[u8]) -> io::Result<CertifiedKey> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|_| invalid("the certificate file is not PEM"))?;
    if chain.is_empty() {
        return Err(invalid("the certificate file holds no certificate"));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|_| invalid("the key file holds no PEM private key"))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|_| {
        invalid("the certificate and the key do not belong together, or the key's kind is not known")
    })
}

/// TLS 1.2 and 1.3 with this certificate.
///
/// # Errors
/// When the cryptography cannot be set up.
pub fn server_config(certificate: Arc<Certificate>) -> io::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_no_client_auth().with_cert_resolver(certificate))
}
