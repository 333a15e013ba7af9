//! Writing an export, line by line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Chain, Cover, End, FORMAT, Head, place, vault};
use crate::domain::Timestamp;
use crate::domain::delivery::Delivery;
use crate::seal::{ArchiveLock, Cipher, Keyring};
use crate::store::StoreError;
use crate::store::keep::{Item, Tally};

/// How well deliveries are compressed: export is not in a hurry, and twice the time saves a tenth of the size.
const LEVEL: i32 = 3;

/// Makes the lines of one export.
#[derive(Debug)]
pub struct Writer {
    cipher: Cipher,
    chain: Chain,
    hash: Sha256,
    tally: Tally,
    lines: u64,
}

fn unwritable(why: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("an item cannot be written down: {why}"))
}

impl Writer {
    /// Begins; gives the first line.
    ///
    /// # Errors
    /// When the file's key cannot be made.
    pub fn begin(keyring: &Keyring, items_about: u64, at: Timestamp) -> Result<(Self, Vec<u8>), StoreError> {
        let (lock, cipher) = ArchiveLock::new(keyring).map_err(unwritable)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let head = Head { scm_connect_export: FORMAT, version, at, items_about, lock };
        let chain = Chain::new(cipher.clone());
        let mut writer = Self { cipher, chain, hash: Sha256::new(), tally: Tally::default(), lines: 0 };
        let line = writer.line("head", &head, None)?;
        Ok((writer, line))
    }

    /// The lines of these items.
    ///
    /// # Errors
    /// When one cannot be compressed.
    pub fn items(&mut self, items: &[Item]) -> Result<Vec<u8>, StoreError> {
        let mut lines = Vec::new();
        for item in items {
            self.tally.add(item);
            let sealed = match (&item.content, &item.secret) {
                (Some(delivery), _) => Some(self.seal(delivery)?),
                (None, Some(secret)) => Some(self.lock_away(secret)),
                (None, None) => None,
            };
            lines.extend(self.line("item", &item.fact, sealed)?);
        }
        Ok(lines)
    }

    /// The last line.
    ///
    /// # Errors
    /// None that can happen.
    pub fn end(mut self) -> Result<Vec<u8>, StoreError> {
        let counts = self.tally.counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
        let sha256 = hex::encode(self.hash.clone().finalize());
        self.line("end", &End { items: self.tally.items(), counts, sha256 }, None)
    }

    fn line<T: Serialize>(
        &mut self,
        name: &str,
        value: &T,
        sealed: Option<String>,
    ) -> Result<Vec<u8>, StoreError> {
        let mut rest = format!("\"{name}\":").into_bytes();
        serde_json::to_writer(&mut rest, value).map_err(unwritable)?;
        if let Some(sealed) = sealed {
            rest.extend_from_slice(format!(",\"sealed\":\"{sealed}\"").as_bytes());
        }
        rest.push(b'}');
        let mac = hex::encode(self.chain.next(&rest));
        let mut line = format!("{{\"mac\":\"{mac}\",").into_bytes();
        line.append(&mut rest);
        line.push(b'\n');
        self.hash.update(&line);
        self.lines = self.lines.saturating_add(1);
        Ok(line)
    }

    /// Seals a credential, for the line that comes next.
    fn lock_away(&self, secret: &SecretString) -> String {
        let line = self.lines.saturating_add(1).to_be_bytes();
        STANDARD.encode(self.cipher.seal(&vault(&line), secret.expose_secret().as_bytes()))
    }

    /// Compresses and seals, for the line that comes next.
    fn seal(&self, delivery: &Delivery) -> Result<String, StoreError> {
        let headers = delivery.headers().iter().map(|(name, value)| (name.clone(), value.to_vec())).collect();
        let cover =
            Cover { source: delivery.source().clone(), envelope: delivery.envelope().clone(), headers };
        let cover = serde_json::to_vec(&cover).map_err(unwritable)?;
        let mut plain = u32::try_from(cover.len()).map_err(unwritable)?.to_le_bytes().to_vec();
        plain.extend_from_slice(&cover);
        plain.extend_from_slice(delivery.body());
        let packed = zstd::bulk::compress(&plain, LEVEL).map_err(unwritable)?;
        let line = self.lines.saturating_add(1).to_be_bytes();
        Ok(STANDARD.encode(self.cipher.seal(&place(&line), &packed)))
    }
}
