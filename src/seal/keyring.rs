//! The wrapped data keys of a store, in a file beside it. A database keeps them in tables instead: see `shared`.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

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
pub(super) struct Written {
    version: u32,
    #[serde(flatten)]
    pub(super) check: Check,
    pub(super) keys: Vec<WrappedKey>,
}

/// Tells the right master key from a wrong one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The store that the keys belong to.
    pub instance: uuid::Uuid,
    /// Opens with the right master key only.
    #[serde(rename = "check")]
    pub value: String,
}

/// A data key, wrapped by the master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Named by every value that is sealed with it.
    pub id: u32,
    /// Whose values it seals.
    pub scope: String,
    /// Base64.
    pub wrapped: String,
    /// When it was made, in milliseconds since 1970.
    pub created_at: i64,
}

/// The ciphers that were taken into use. One that was replaced opens what it has sealed; it seals nothing more.
#[derive(Debug, Default)]
pub(super) struct Ciphers {
    pub(super) by_scope: HashMap<String, Cipher>,
    pub(super) by_id: HashMap<u32, Cipher>,
    /// Those that are kept nowhere any more, because nothing that is kept was sealed with them. Whoever still holds
    /// such a value in memory reads it to its end.
    pub(super) gone: HashSet<u32>,
}

/// The master keys of the file, and which of them wraps the data keys.
pub(super) struct Master {
    pub(super) file: MasterKey,
    pub(super) used: Key,
    wrapping: Cipher,
}

pub(super) struct Inner {
    pub(super) path: PathBuf,
    pub(super) instance: String,
    pub(super) master: RwLock<Master>,
    pub(super) nonces: Arc<Nonces>,
    pub(super) ciphers: RwLock<Ciphers>,
    /// Held while a key is added, so that two never get one id. `None`: the keys are kept elsewhere.
    pub(super) written: Option<Mutex<Written>>,
}

/// The data keys of one store. Cheap to clone.
#[derive(Clone)]
pub struct Keyring(pub(super) Arc<Inner>);

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({})", self.0.path.display())
    }
}

pub(super) fn place<'a>(instance: &'a str, scope: &'a str) -> Place<'a> {
    Place { purpose: Purpose::DataKey, scope, row: instance.as_bytes(), field: "wrapped" }
}

pub(super) fn wrapping(key: &Key, nonces: &Arc<Nonces>) -> Cipher {
    Cipher::new(0, key.clone(), Arc::clone(nonces))
}

impl Master {
    /// Finds the key with which a store was made, or was given new keys last.
    pub(super) fn find(
        file: MasterKey,
        check: &Check,
        path: &Path,
        nonces: &Arc<Nonces>,
    ) -> Result<Self, SealError> {
        decode(path, &check.value)?;
        let used = file.newest_first().find(|key| check.fits(&wrapping(key, nonces))).cloned();
        let used = used.ok_or_else(|| SealError::WrongMasterKey { path: path.to_owned() })?;
        Ok(Self { wrapping: wrapping(&used, nonces), used, file })
    }
}

pub(super) fn decode(path: &Path, text: &str) -> Result<Vec<u8>, SealError> {
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
        let check = Check::new(master, now_ms)?;
        let written = Written { version: VERSION, check: check.clone(), keys: Vec::new() };
        save(path, &written)?;
        Self::unlock(path, &check, &[], master, Some(written))
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
        let (check, keys) = (written.check.clone(), written.keys.clone());
        Self::unlock(path, &check, &keys, master, Some(written))
    }

    /// Opens keys that were read from `path`, or from wherever that says.
    pub(super) fn unlock(
        path: &Path,
        check: &Check,
        keys: &[WrappedKey],
        master: &MasterKey,
        written: Option<Written>,
    ) -> Result<Self, SealError> {
        let nonces = Arc::new(Nonces::new()?);
        let instance = check.instance.to_string();
        let master = RwLock::new(Master::find(master.clone(), check, path, &nonces)?);
        let (path, ciphers, written) = (path.to_owned(), RwLock::default(), written.map(Mutex::new));
        let ring = Self(Arc::new(Inner { path, instance, master, nonces, ciphers, written }));
        keys.iter().try_for_each(|key| ring.adopt(key))?;
        Ok(ring)
    }

    /// Takes a wrapped key into use.
    ///
    /// # Errors
    /// When it does not open.
    pub fn adopt(&self, key: &WrappedKey) -> Result<(), SealError> {
        let path = &self.0.path;
        let plain = match self.unwrapped(key)? {
            Some(plain) => Some(plain),
            // Another process has put a new master key in force meanwhile; the file may have it by now.
            None => self.reread().and_then(|()| self.unwrapped(key))?,
        };
        let plain = plain.ok_or_else(|| SealError::damaged(path, "a key in it does not open"))?;
        let bytes: Key = Zeroizing::new(
            plain
                .as_slice()
                .try_into()
                .map_err(|_| SealError::damaged(path, "a key in it has a wrong size"))?,
        );
        let cipher = Cipher::new(key.id, bytes, Arc::clone(&self.0.nonces));
        self.0.ciphers.write().unwrap_or_else(PoisonError::into_inner).add(&key.scope, key.id, cipher);
        Ok(())
    }

    /// A wrapped key's bytes, opened with whichever master key does.
    pub(super) fn unwrapped(&self, key: &WrappedKey) -> Result<Option<Zeroizing<Vec<u8>>>, SealError> {
        let (instance, nonces) = (&self.0.instance, &self.0.nonces);
        let wrapped = decode(&self.0.path, &key.wrapped)?;
        let open = |master: &Key| wrapping(master, nonces).open(&place(instance, &key.scope), &wrapped).ok();
        Ok(self.master().file.newest_first().find_map(open))
    }

    pub(super) fn master(&self) -> RwLockReadGuard<'_, Master> {
        self.0.master.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its master key is the one in use.
    pub(super) fn uses(&self, check: &Check) -> bool {
        check.fits(&self.wrapping())
    }

    /// Takes in what the master key's file holds now; which key is used stays.
    fn reread(&self) -> Result<(), SealError> {
        let path = self.master().file.path().to_owned();
        let file = MasterKey::load(&path)?;
        self.0.master.write().unwrap_or_else(PoisonError::into_inner).file = file;
        Ok(())
    }

    /// Seals with the master key.
    pub(super) fn wrapping(&self) -> Cipher {
        self.master().wrapping.clone()
    }

    /// A new key for a scope, wrapped: base64. Nothing is sealed with it before it was kept and adopted.
    pub(super) fn wrap_new(&self, scope: &str) -> Result<String, SealError> {
        let key: Key = Zeroizing::new(random()?);
        Ok(STANDARD.encode(self.wrapping().seal(&place(&self.0.instance, scope), key.as_slice())))
    }

    pub(super) fn find(&self, scope: &str) -> Option<Cipher> {
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
        let Some(written) = &self.0.written else { return Err(SealError::NoSuchKey) };
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.find(scope) {
            return Ok(found);
        }
        let wrapped = self.wrap_new(scope)?;
        let id = written.keys.iter().map(|key| key.id).max().unwrap_or(0).saturating_add(1);
        let key = WrappedKey { id, scope: scope.to_owned(), wrapped, created_at: now_ms };
        let mut next = written.clone();
        next.keys.push(key.clone());
        save(&self.0.path, &next)?;
        *written = next;
        self.adopt(&key)?;
        self.find(scope).ok_or(SealError::NoSuchKey)
    }

    pub(super) fn has_id(&self, id: u32) -> bool {
        self.0.ciphers.read().unwrap_or_else(PoisonError::into_inner).by_id.contains_key(&id)
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

impl Check {
    /// For a new store.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(master: &MasterKey, now_ms: i64) -> Result<Self, SealError> {
        let at = uuid::Timestamp::from_unix(uuid::NoContext, now_ms.max(0).unsigned_abs() / 1000, 0);
        let instance = uuid::Uuid::new_v7(at);
        Ok(Self::sealed(instance, &wrapping(master.newest(), &Arc::new(Nonces::new()?))))
    }

    /// Whether it was made with this master key.
    fn fits(&self, wrapping: &Cipher) -> bool {
        let value = STANDARD.decode(&self.value).unwrap_or_default();
        let found = wrapping.open(&place(&self.instance.to_string(), "check"), &value);
        found.is_ok_and(|found| found.as_slice() == CHECK)
    }

    /// The same store's, for another master key.
    pub(super) fn sealed(instance: uuid::Uuid, wrapping: &Cipher) -> Self {
        let value = STANDARD.encode(wrapping.seal(&place(&instance.to_string(), "check"), CHECK));
        Self { instance, value }
    }
}

impl Ciphers {
    fn add(&mut self, scope: &str, id: u32, cipher: Cipher) {
        self.by_id.insert(id, cipher.clone());
        // The newest one seals.
        if self.by_scope.get(scope).is_none_or(|known| known.id() <= id) {
            self.by_scope.insert(scope.to_owned(), cipher);
        }
    }
}

/// Replaces the file as a whole; on stable storage when it returns.
pub(super) fn save(path: &Path, written: &Written) -> Result<(), SealError> {
    let failed = |error: std::io::Error| SealError::io("write", path, &error);
    let draft = path.with_extension("draft");
    let text = serde_json::to_vec_pretty(written).map_err(|error| failed(error.into()))?;
    let mut options = File::options();
    let mut file =
        options.create(true).truncate(true).write(true).mode(0o600).open(&draft).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).and_then(|()| sync_parent(path)).map_err(failed)
}
