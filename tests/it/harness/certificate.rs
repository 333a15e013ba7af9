//! Certificates of authorities that nobody else believes.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

fn openssl(dir: &Path, arguments: &str) {
    let ran = Command::new("openssl").current_dir(dir).args(arguments.split_whitespace()).output();
    let ran = ran.expect("openssl is missing: run `bash tests/tools`");
    assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// An authority in `name.pem`.
pub(crate) fn authority(dir: &Path, name: &str) {
    openssl(
        dir,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -days 30"
        ),
    );
}

/// A certificate for `host`, as in `DNS:github.com,IP:127.0.0.1`, of the authority `by`, in `leaf.pem`.
pub(crate) fn certificate(dir: &Path, by: &str, host: &str, days: i32) {
    openssl(dir, "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=leaf");
    std::fs::write(dir.join("names"), format!("subjectAltName={host}\n")).unwrap();
    openssl(
        dir,
        &format!(
            "x509 -req -in leaf.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days {days} -extfile names -out leaf.pem"
        ),
    );
}

/// A server with the certificate in `leaf.pem`.
pub(crate) fn served(dir: &Path) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(&std::fs::read(dir.join("leaf.pem")).unwrap())
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(&std::fs::read(dir.join("leaf.key")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
}
