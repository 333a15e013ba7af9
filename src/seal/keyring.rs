//! The wrapped data keys of a store.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::cipher::{Cipher, Key, Nonces, key_id, random};
use super::error::SealError;
use super::master::{MasterKey, sync_parent};
use super::place::{Place, Purpose};

const VERSION: u32 = 1;
const CHECK: &[u8] = b"scm-connect keyring";

/// The file: nothing in it is secret, and nothing in it works without the master key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Written {
    version: u32,
    instance: uuid::Uuid,
    /// Opens with the right master key only.
    check: String,
    keys: Vec<WrappedKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WrappedKey {
    id: u32,
    scope: String,
    wrapped: String,
    created_at: i64,
}

#[derive(Debug, Default)]
struct Ciphers {
    by_scope: HashMap<String, Cipher>,
    by_id: HashMap<u32, Cipher>,
}

struct Inner {
    path: PathBuf,
    wrapping: Cipher,
    nonces: Arc<Nonces>,
    ciphers: RwLock<Ciphers>,
    /// Held while a key is added, so that two never get one id.
    written: Mutex<Written>,
}

/// The data keys of one store. Cheap to clone.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({})", self.0.path.display())
    }
}

fn place<'a>(instance: &'a str, scope: &'a str) -> Place<'a> {
    Place { purpose: Purpose::DataKey, scope, row: instance.as_bytes(), field: "wrapped" }
}

pub(super) fn wrapping(master: &MasterKey, nonces: &Arc<Nonces>) -> Cipher {
    Cipher::new(0, master.0.clone(), Arc::clone(nonces))
}

fn decode(path: &Path, text: &str) -> Result<Vec<u8>, SealError> {
    STANDARD.decode(text).map_err(|_| SealError::damaged(path, "a key in it is no base64"))
}

impl Keyring {
    /// Opens the keyring, or makes one for a store that holds nothing.
    ///
    /// # Errors
    /// When the master key does not fit, the file is damaged or newer, or there is data without a keyring. Nothing is
    /// changed then.
    pub fn open_or_create(
        path: &Path,
        master: &MasterKey,
        has_data: bool,
        now_ms: i64,
    ) -> Result<Self, SealError> {
        if path.exists() {
            return Self::open(path, master);
        }
        if has_data {
            return Err(SealError::MissingKeyring { path: path.to_owned() });
        }
        Self::create(path, master, now_ms)
    }

    fn create(path: &Path, master: &MasterKey, now_ms: i64) -> Result<Self, SealError> {
        let nonces = Arc::new(Nonces::new()?);
        let wrapping = wrapping(master, &nonces);
        let at = uuid::Timestamp::from_unix(uuid::NoContext, now_ms.max(0).unsigned_abs() / 1000, 0);
        let instance = uuid::Uuid::new_v7(at);
        let check = STANDARD.encode(wrapping.seal(&place(&instance.to_string(), "check"), CHECK));
        let written = Written { version: VERSION, instance, check, keys: Vec::new() };
        save(path, &written)?;
        Ok(Self::assemble(path, wrapping, nonces, Ciphers::default(), written))
    }

    /// Opens the keyring of a store.
    ///
    /// # Errors
    /// As [`Self::open_or_create`].
    pub fn open(path: &Path, master: &MasterKey) -> Result<Self, SealError> {
        let text = std::fs::read(path).map_err(|error| SealError::io("read", path, &error))?;
        let version: serde_json::Value =
            serde_json::from_slice(&text).map_err(|_| SealError::damaged(path, "it cannot be read"))?;
        if version
            .get("version")
            .and_then(serde_json::Value::as_u64)
            .is_some_and(|found| found > u64::from(VERSION))
        {
            return Err(SealError::Newer { path: path.to_owned() });
        }
        let written: Written =
            serde_json::from_value(version).map_err(|_| SealError::damaged(path, "it cannot be read"))?;
        let nonces = Arc::new(Nonces::new()?);
        let wrapping = wrapping(master, &nonces);
        let instance = written.instance.to_string();
        let check = wrapping.open(&place(&instance, "check"), &decode(path, &written.check)?);
        if check.map_or(true, |found| found.as_slice() != CHECK) {
            return Err(SealError::WrongMasterKey { path: path.to_owned() });
        }
        let mut ciphers = Ciphers::default();
        for key in &written.keys {
            let plain = wrapping.open(&place(&instance, &key.scope), &decode(path, &key.wrapped)?);
            let plain = plain.map_err(|_| SealError::damaged(path, "a key in it does not open"))?;
            let bytes: Key = Zeroizing::new(
                plain
                    .as_slice()
                    .try_into()
                    .map_err(|_| SealError::damaged(path, "a key in it has a wrong size"))?,
            );
            ciphers.add(&key.scope, key.id, Cipher::new(key.id, bytes, Arc::clone(&nonces)));
        }
        Ok(Self::assemble(path, wrapping, nonces, ciphers, written))
    }

    fn assemble(
        path: &Path,
        wrapping: Cipher,
        nonces: Arc<Nonces>,
        ciphers: Ciphers,
        written: Written,
    ) -> Self {
        let (ciphers, written) = (RwLock::new(ciphers), Mutex::new(written));
        Self(Arc::new(Inner { path: path.to_owned(), wrapping, nonces, ciphers, written }))
    }

    /// Seals with the master key.
    pub(super) fn wrapping(&self) -> &Cipher {
        &self.0.wrapping
    }

    fn find(&self, scope: &str) -> Option<Cipher> {
        self.0.ciphers.read().unwrap_or_else(PoisonError::into_inner).by_scope.get(scope).cloned()
    }

    /// The cipher of a scope. A new scope's key is on stable storage before it is used.
    ///
    /// # Errors
    /// When a new key cannot be made or written.
    pub fn cipher(&self, scope: &str, now_ms: i64) -> Result<Cipher, SealError> {
        if let Some(found) = self.find(scope) {
            return Ok(found);
        }
        let mut written = self.0.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.find(scope) {
            return Ok(found);
        }
        let key: Key = Zeroizing::new(random()?);
        let id = written.keys.iter().map(|key| key.id).max().unwrap_or(0).saturating_add(1);
        let instance = written.instance.to_string();
        let wrapped = STANDARD.encode(self.0.wrapping.seal(&place(&instance, scope), key.as_slice()));
        let mut next = written.clone();
        next.keys.push(WrappedKey { id, scope: scope.to_owned(), wrapped, created_at: now_ms });
        save(&self.0.path, &next)?;
        *written = next;
        let cipher = Cipher::new(id, key, Arc::clone(&self.0.nonces));
        self.0.ciphers.write().unwrap_or_else(PoisonError::into_inner).add(scope, id, cipher.clone());
        Ok(cipher)
    }

    /// Opens a value with the key that it names.
    ///
    /// # Errors
    /// [`SealError::Refused`] when there is no such key, or it does not open in this place.
    pub fn open_sealed(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let id = key_id(sealed).ok_or(SealError::Refused)?;
        let cipher = self.0.ciphers.read().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).cloned();
        cipher.ok_or(SealError::Refused)?.open(place, sealed)
    }
}

impl Ciphers {
    fn add(&mut self, scope: &str, id: u32, cipher: Cipher) {
        self.by_id.insert(id, cipher.clone());
        self.by_scope.insert(scope.to_owned(), cipher);
    }
}

/// Replaces the file as a whole; on stable storage when it returns.
fn save(path: &Path, written: &Written) -> Result<(), SealError> {
    let failed = |error: std::io::Error| SealError::io("write", path, &error);
    let draft = path.with_extension("draft");
    let text = serde_json::to_vec_pretty(written).map_err(|error| failed(error.into()))?;
    let mut options = File::options();
    let mut file =
        options.create(true).truncate(true).write(true).mode(0o600).open(&draft).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).and_then(|()| sync_parent(path)).map_err(failed)
}
