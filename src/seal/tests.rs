//! What the seals promise.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::token::{self, Bearer, Token};
use super::{Cipher, Keyring, MasterKey, Place, Purpose, SealError};

struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("master.key")
    }

    fn keyring(&self) -> PathBuf {
        self.dir.path().join("keyring")
    }

    /// A keyring with one data key in it.
    fn sealed(&self) -> (MasterKey, Keyring, Cipher) {
        let master = MasterKey::create(&self.key()).unwrap();
        let keyring = Keyring::open_or_create(&self.keyring(), &master, false, 1).unwrap();
        let cipher = keyring.cipher("organization:acme", 1).unwrap();
        (master, keyring, cipher)
    }
}

const PLACE: Place<'_> =
    Place { purpose: Purpose::Credential, scope: "organization:acme", row: b"row", field: "token" };

#[test]
fn s46_a_sealed_value_opens_only_in_its_place() {
    let folder = Folder::new();
    let (_, keyring, cipher) = folder.sealed();
    let sealed = cipher.seal(&PLACE, b"secret");
    assert_eq!(keyring.open_sealed(&PLACE, &sealed).unwrap().as_slice(), b"secret");
    let elsewhere = [
        Place { purpose: Purpose::Session, ..PLACE },
        Place { scope: "organization:other", ..PLACE },
        Place { row: b"another", ..PLACE },
        Place { field: "other", ..PLACE },
        // The same bytes, cut between the parts at another place.
        Place { row: b"ro", field: "wtoken", ..PLACE },
    ];
    for place in elsewhere {
        assert!(matches!(keyring.open_sealed(&place, &sealed), Err(SealError::Refused)), "{place:?}");
    }
    let other = keyring.cipher("organization:other", 1).unwrap();
    assert!(matches!(other.open(&PLACE, &sealed), Err(SealError::Refused)), "another tenant's key");
}

#[test]
fn s46_every_flipped_bit_and_every_cut_is_refused() {
    let folder = Folder::new();
    let (_, keyring, cipher) = folder.sealed();
    let sealed = cipher.seal(&PLACE, b"secret");
    for bit in 0..sealed.len() * 8 {
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(keyring.open_sealed(&PLACE, &bad).is_err(), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert!(keyring.open_sealed(&PLACE, &sealed[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn s46_the_secret_is_nowhere_in_the_files() {
    let folder = Folder::new();
    let (_, _, cipher) = folder.sealed();
    let sealed = cipher.seal(&PLACE, b"canary-canary-canary");
    assert!(!sealed.windows(6).any(|part| part == b"canary"));
    let file = std::fs::read(folder.keyring()).unwrap();
    assert!(String::from_utf8(file).unwrap().contains("organization:acme"));
}

#[test]
fn a_nonce_is_never_used_twice() {
    let folder = Folder::new();
    let (_, keyring, cipher) = folder.sealed();
    let other = keyring.cipher("source:a", 1).unwrap();
    let nonces: HashSet<Vec<u8>> = (0..2000)
        .map(|count| if count % 2 == 0 { &cipher } else { &other }.seal(&PLACE, b"x")[5..29].to_vec())
        .collect();
    assert_eq!(nonces.len(), 2000);
}

#[test]
fn keys_are_there_again_after_a_restart() {
    let folder = Folder::new();
    let (master, keyring, cipher) = folder.sealed();
    let sealed = cipher.seal(&PLACE, b"secret");
    drop((keyring, cipher, master));
    let master = MasterKey::load(&folder.key()).unwrap();
    let keyring = Keyring::open_or_create(&folder.keyring(), &master, true, 2).unwrap();
    assert_eq!(keyring.open_sealed(&PLACE, &sealed).unwrap().as_slice(), b"secret");
    assert_eq!(
        keyring.cipher("organization:acme", 2).unwrap().open(&PLACE, &sealed).unwrap().as_slice(),
        b"secret"
    );
}

/// Opens with what lies in the folder, and makes sure that not a byte of the keyring changes.
fn opens(folder: &Folder, has_data: bool) -> Result<Keyring, SealError> {
    let before = std::fs::read(folder.keyring()).ok();
    let opened = MasterKey::load(&folder.key())
        .and_then(|master| Keyring::open_or_create(&folder.keyring(), &master, has_data, 3));
    if opened.is_err() {
        assert_eq!(std::fs::read(folder.keyring()).ok(), before, "a refused start changed the keyring");
    }
    opened
}

fn write_key(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn s47_a_wrong_or_missing_key_stops_the_start_and_changes_nothing() {
    let folder = Folder::new();
    drop(folder.sealed());
    let key = std::fs::read_to_string(folder.key()).unwrap();

    std::fs::remove_file(folder.key()).unwrap();
    assert!(matches!(opens(&folder, true), Err(SealError::Io { .. })), "missing");
    drop(MasterKey::create(&folder.key()).unwrap());
    assert!(matches!(opens(&folder, true), Err(SealError::WrongMasterKey { .. })), "another key");
    for (name, text) in
        [("empty", ""), ("cut", &key[..30]), ("mistyped", &key.replacen(&key[20..21], "!", 1))]
    {
        write_key(&folder.key(), text);
        assert!(matches!(opens(&folder, true), Err(SealError::Damaged { .. })), "{name}");
    }
    write_key(&folder.key(), &key);
    std::fs::set_permissions(folder.key(), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(
        matches!(opens(&folder, true), Err(SealError::OpenToOthers { mode: 0o640, .. })),
        "open to the group"
    );
    write_key(&folder.key(), &key);
    assert!(opens(&folder, true).is_ok(), "the right one");

    let ring = std::fs::read_to_string(folder.keyring()).unwrap();
    std::fs::write(folder.keyring(), &ring[..ring.len() / 2]).unwrap();
    assert!(matches!(opens(&folder, true), Err(SealError::Damaged { .. })), "keyring cut");
    std::fs::write(folder.keyring(), ring.replace("\"version\": 1", "\"version\": 2")).unwrap();
    assert!(matches!(opens(&folder, true), Err(SealError::Newer { .. })), "keyring of the future");
    std::fs::remove_file(folder.keyring()).unwrap();
    assert!(
        matches!(opens(&folder, true), Err(SealError::MissingKeyring { .. })),
        "keyring missing over data"
    );
}

#[test]
fn s47_a_key_file_is_never_overwritten() {
    let folder = Folder::new();
    drop(MasterKey::create(&folder.key()).unwrap());
    let before = std::fs::read(folder.key()).unwrap();
    assert!(MasterKey::create(&folder.key()).is_err());
    assert_eq!(std::fs::read(folder.key()).unwrap(), before);
    assert_eq!(std::fs::metadata(folder.key()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn s50_debug_shows_no_secret() {
    let folder = Folder::new();
    let (master, keyring, cipher) = folder.sealed();
    let key = std::fs::read_to_string(folder.key()).unwrap();
    let token = Token::generate(Bearer::Setup).unwrap();
    let shown = format!("{master:?} {keyring:?} {cipher:?} {token:?}");
    assert!(shown.contains("REDACTED"));
    assert!(!shown.contains(&key[8..40]) && !shown.contains(&token.reveal()[8..30]), "{shown}");
}

#[test]
fn s44_a_token_is_recognised_and_a_typo_is_not() {
    for bearer in Bearer::ALL {
        let token = Token::generate(bearer).unwrap();
        let text = token.reveal();
        let presented = token::parse(text).expect("it is well formed");
        assert_eq!((presented.bearer, &presented.hash), (bearer, token.hash()));
        for at in 8..text.len() {
            let mut typo: Vec<u8> = text.bytes().collect();
            typo[at] = if typo[at] == b'a' { b'b' } else { b'a' };
            assert!(token::parse(std::str::from_utf8(&typo).unwrap()).is_none(), "typo at {at}");
        }
        assert!(token::parse(&text[..text.len() - 1]).is_none());
    }
    assert!(token::parse("ghp_whatever").is_none());
}

#[test]
fn two_tokens_differ() {
    let texts: HashSet<String> =
        (0..100).map(|_| Token::generate(Bearer::Setup).unwrap().reveal().to_owned()).collect();
    assert_eq!(texts.len(), 100);
}

#[test]
fn s48_a_change_of_keys_goes_on_from_every_step_and_ends_without_the_old_one() {
    use super::Next;
    let folder = Folder::new();
    let (_, keyring, cipher) = folder.sealed();
    let old_key = std::fs::read_to_string(folder.key()).unwrap();
    let sealed = cipher.seal(&PLACE, b"secret");
    drop((keyring, cipher));
    let mut steps = Vec::new();
    let mut value = sealed.clone();
    loop {
        // As after a crash between any two steps.
        let keyring = opens(&folder, true).unwrap();
        assert_eq!(keyring.open_sealed(&PLACE, &value).unwrap().as_slice(), b"secret", "{steps:?}");
        match keyring.next_step().unwrap() {
            Next::Begin(_) if !steps.is_empty() => break,
            Next::Begin(file) => {
                file.add().unwrap();
                steps.push("begin");
            }
            Next::Renew(file) => {
                keyring.renew_file(file, 4).unwrap();
                steps.push("renew");
            }
            Next::Reseal => {
                value = keyring.reseal(&PLACE, &value).unwrap().expect("an older key has sealed it");
                assert_eq!(keyring.reseal(&PLACE, &value).unwrap(), None);
                keyring.forget_old_keys().unwrap();
                steps.push("reseal");
            }
            Next::Clear(file) => {
                file.clear().unwrap();
                steps.push("clear");
            }
        }
    }
    assert_eq!(steps, ["begin", "renew", "reseal", "clear"]);
    let keyring = opens(&folder, true).unwrap();
    assert!(keyring.open_sealed(&PLACE, &sealed).is_err(), "what the old key has sealed opens nowhere");
    let new_key = std::fs::read_to_string(folder.key()).unwrap();
    assert!(new_key.lines().count() == 1 && new_key != old_key);
    assert_eq!(std::fs::metadata(folder.key()).unwrap().permissions().mode() & 0o777, 0o600);
    write_key(&folder.key(), &old_key);
    assert!(matches!(opens(&folder, true), Err(SealError::WrongMasterKey { .. })));
}

#[test]
fn s48_a_backup_opens_with_its_key_behind_or_before_others() {
    let folder = Folder::new();
    let (_, keyring, _) = folder.sealed();
    let (lock, cipher) = super::ArchiveLock::new(&keyring).unwrap();
    let sealed = cipher.seal(&PLACE, b"secret");
    let old_key = std::fs::read_to_string(folder.key()).unwrap();
    std::fs::remove_file(folder.key()).unwrap();
    drop(MasterKey::create(&folder.key()).unwrap());
    let new_key = std::fs::read_to_string(folder.key()).unwrap();
    assert!(lock.open(&MasterKey::load(&folder.key()).unwrap()).is_err());
    for both in [format!("{old_key}{new_key}"), format!("{new_key}\n{old_key}")] {
        write_key(&folder.key(), &both);
        let opened = lock.open(&MasterKey::load(&folder.key()).unwrap()).unwrap();
        assert_eq!(opened.open(&PLACE, &sealed).unwrap().as_slice(), b"secret");
    }
}
