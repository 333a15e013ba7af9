//! New keys in place of old ones (security S48): a new master key, and a new data key for each scope.
//!
//! What is to be done next is read from what is kept, so that a change of keys goes on where it was interrupted:
//!
//! ```text
//! Begin ──▶ a second master key is in the file ──▶ Renew ──▶ data keys wrapped anew, one more of each scope ──▶ Reseal
//!   ▲                                                                                                            │
//!   └── Clear: the older master key leaves the file ◀── the older data keys are forgotten ◀── nothing needs them ┘
//! ```

use std::collections::{BTreeSet, HashSet};
use std::sync::PoisonError;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::cipher::{Cipher, Key, key_id, random};
use super::error::SealError;
use super::keyring::{Check, Keyring, Master, WrappedKey, place, save, wrapping};
use super::master::MasterKey;
use super::place::Place;

/// What a change of keys does next.
#[derive(Debug)]
pub enum Next {
    /// No change is under way: a new master key goes into the file.
    Begin(Waiting),
    /// The file has a newer key than the one in use: it is taken into use, with new data keys.
    Renew(Waiting),
    /// What was sealed with older data keys is to be sealed anew.
    Reseal,
    /// Only the older master keys are left, and nothing needs them.
    Clear(Waiting),
}

/// The master key's file as it was read just now.
#[derive(Debug)]
pub struct Waiting(MasterKey);

/// Data keys wrapped by a newer master key; nothing of it is kept yet.
#[derive(Debug)]
pub struct Renewal {
    file: MasterKey,
    wrapping: Cipher,
    instance: String,
    /// Tells the new master key from others.
    pub check: Check,
    /// The data keys there were, wrapped anew.
    pub keys: Vec<WrappedKey>,
}

/// The number of the key with which a value says that it was sealed.
#[must_use]
pub fn key_number(sealed: &[u8]) -> Option<u32> {
    key_id(sealed)
}

impl Waiting {
    /// Adds a new master key to the file. Nothing uses it yet: every process on a shared store can be given the file
    /// before the key is taken into use.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(self) -> Result<(), SealError> {
        self.0.add().map(drop)
    }

    /// Leaves the newest key alone in the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn clear(self) -> Result<(), SealError> {
        self.0.forget_older().map(drop)
    }
}

impl Renewal {
    /// A new data key for a scope, wrapped.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn draft(&self, scope: &str) -> Result<String, SealError> {
        let key: Key = Zeroizing::new(random()?);
        Ok(STANDARD.encode(self.wrapping.seal(&place(&self.instance, scope), key.as_slice())))
    }

    /// The scopes that have a data key.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<String> {
        self.keys.iter().map(|key| key.scope.clone()).collect()
    }
}

impl Keyring {
    /// What a change of keys does next.
    ///
    /// # Errors
    /// When the master key's file cannot be read.
    pub fn next_step(&self) -> Result<Next, SealError> {
        let (path, used) = {
            let master = self.master();
            (master.file.path().to_owned(), master.used.clone())
        };
        let file = MasterKey::load(&path)?;
        Ok(if *file.newest() != used {
            Next::Renew(Waiting(file))
        } else if self.has_old_keys() {
            Next::Reseal
        } else if file.has_older() {
            Next::Clear(Waiting(file))
        } else {
            Next::Begin(Waiting(file))
        })
    }

    /// Whether data keys are kept that were replaced: something may still be sealed with them.
    #[must_use]
    pub fn has_old_keys(&self) -> bool {
        let ciphers = self.0.ciphers.read().unwrap_or_else(PoisonError::into_inner);
        let current: HashSet<u32> = ciphers.by_scope.values().map(Cipher::id).collect();
        ciphers.by_id.keys().any(|id| !current.contains(id) && !ciphers.gone.contains(id))
    }

    /// Wraps all data keys with the newest master key of the file. Nothing of it is kept yet.
    ///
    /// # Errors
    /// When a key does not open.
    pub fn renewal(&self, file: Waiting, check: &Check, keys: &[WrappedKey]) -> Result<Renewal, SealError> {
        let file = file.0;
        let wrapping = wrapping(file.newest(), &self.0.nonces);
        let again = |key: &WrappedKey| {
            let plain = self.unwrapped(key)?;
            let plain = plain.ok_or_else(|| SealError::damaged(&self.0.path, "a key in it does not open"))?;
            let wrapped = STANDARD.encode(wrapping.seal(&place(&self.0.instance, &key.scope), &plain));
            Ok(WrappedKey { wrapped, ..key.clone() })
        };
        let keys = keys.iter().map(again).collect::<Result<_, SealError>>()?;
        let (check, instance) = (Check::sealed(check.instance, &wrapping), self.0.instance.clone());
        Ok(Renewal { file, wrapping, instance, check, keys })
    }

    /// Takes what was renewed, and is kept now, into use.
    ///
    /// # Errors
    /// When it does not open.
    pub fn put_in_force(&self, renewal: Renewal, keys: &[WrappedKey]) -> Result<(), SealError> {
        let master = Master::find(renewal.file, &renewal.check, &self.0.path, &self.0.nonces)?;
        *self.0.master.write().unwrap_or_else(PoisonError::into_inner) = master;
        keys.iter().try_for_each(|key| self.adopt(key))
    }

    /// Another process has renewed the keys of a shared store: goes on with its master key.
    ///
    /// # Errors
    /// [`SealError::NotYetHere`] when this machine's file has not got that key.
    pub fn follow(&self, check: &Check) -> Result<(), SealError> {
        if self.uses(check) {
            return Ok(());
        }
        let path = self.master().file.path().to_owned();
        let found = Master::find(MasterKey::load(&path)?, check, &self.0.path, &self.0.nonces);
        let master = found.map_err(|_| SealError::NotYetHere { path })?;
        *self.0.master.write().unwrap_or_else(PoisonError::into_inner) = master;
        Ok(())
    }

    /// Renews a keyring that lies in a file.
    ///
    /// # Errors
    /// When the file cannot be written; everything is as before then.
    pub fn renew_file(&self, file: Waiting, now_ms: i64) -> Result<(), SealError> {
        let written = self.0.written.as_ref().ok_or(SealError::NoSuchKey)?;
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let renewal = self.renewal(file, &written.check, &written.keys)?;
        let mut keys = renewal.keys.clone();
        for scope in renewal.scopes() {
            let id = keys.iter().map(|key| key.id).max().unwrap_or(0).saturating_add(1);
            keys.push(WrappedKey { id, wrapped: renewal.draft(&scope)?, scope, created_at: now_ms });
        }
        let mut next = written.clone();
        (next.check, next.keys) = (renewal.check.clone(), keys.clone());
        save(&self.0.path, &next)?;
        *written = next;
        self.put_in_force(renewal, &keys)
    }

    /// Keeps only the newest data key of each scope in the file. Nothing that is kept may be sealed with another.
    ///
    /// # Errors
    /// When the file cannot be written; everything is as before then.
    pub fn forget_old_keys(&self) -> Result<(), SealError> {
        let written = self.0.written.as_ref().ok_or(SealError::NoSuchKey)?;
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = written.clone();
        let newest = |key: &WrappedKey, all: &[WrappedKey]| {
            !all.iter().any(|other| other.scope == key.scope && other.id > key.id)
        };
        next.keys.retain(|key| newest(key, &written.keys));
        save(&self.0.path, &next)?;
        let kept: Vec<u32> = next.keys.iter().map(|key| key.id).collect();
        *written = next;
        self.only_kept(&kept);
        Ok(())
    }

    /// Of the keys taken into use, only these are kept.
    pub fn only_kept(&self, kept: &[u32]) {
        let mut ciphers = self.0.ciphers.write().unwrap_or_else(PoisonError::into_inner);
        ciphers.gone = ciphers.by_id.keys().copied().filter(|id| !kept.contains(id)).collect();
    }

    /// The number of a scope's newest key.
    #[must_use]
    pub fn newest_of(&self, scope: &str) -> Option<u32> {
        self.find(scope).map(|cipher| cipher.id())
    }

    /// Seals a value anew; `None` when it was sealed with its scope's newest key.
    ///
    /// # Errors
    /// When it does not open.
    pub fn reseal(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        let Some(cipher) = self.find(place.scope) else { return Ok(None) };
        if key_id(sealed) == Some(cipher.id()) {
            return Ok(None);
        }
        Ok(Some(cipher.seal(place, &self.open_sealed(place, sealed)?)))
    }

    /// Seals with the newest key of a scope that has one.
    ///
    /// # Errors
    /// When it has none.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(self.find(place.scope).ok_or(SealError::NoSuchKey)?.seal(place, plain))
    }
}
