//! A file that was cut, edited, made longer, or written with another key or by a later version.

use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::domain::change::AuditEntry;
use crate::domain::delivery::{Delivery, Encoding};
use crate::domain::{DeliveryId, OrganizationSlug};
use crate::seal::{Keyring, MasterKey};
use crate::store::keep::{Fact, Frozen as _, Item, KeptUnindexed, Tally};

const NOON: Timestamp = Timestamp::from_ms(1_780_000_000_000);
const SECRET_WORD: &str = "nobody-may-read-this";

struct Desk {
    dir: tempfile::TempDir,
    keyring: Keyring,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master = MasterKey::create(&dir.path().join("master.key")).unwrap();
        let keyring = Keyring::open_or_create(&dir.path().join("keyring"), &master, false, 0).unwrap();
        Self { dir, keyring }
    }

    fn master(&self) -> MasterKey {
        MasterKey::load(&self.dir.path().join("master.key")).unwrap()
    }

    fn export(&self, items: &[Item]) -> Vec<u8> {
        let (mut writer, mut text) = Writer::begin(&self.keyring, items.len() as u64, NOON).unwrap();
        text.extend(writer.items(items).unwrap());
        text.extend(writer.end().unwrap());
        text
    }

    fn write(&self, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.dir.path().join("export.jsonl");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn check(&self, bytes: &[u8]) -> Result<Tally, ArchiveError> {
        check(&self.write(bytes), &self.master(), &|_, _| {}).map(|checked| checked.tally)
    }
}

fn items() -> Vec<Item> {
    let audit = |number: i64| AuditEntry {
        at: NOON.plus_ms(number),
        organization: Some(OrganizationSlug::parse("acme").unwrap()),
        actor: "cli".into(),
        action: "test".into(),
        subject: "x".into(),
        detail: String::new(),
        ..AuditEntry::default()
    };
    let envelope = Envelope {
        external_id: "a".into(),
        hook_id: "1".into(),
        event: "push".into(),
        encoding: Encoding::Json,
        secret_slot: 0,
        same_within_ms: None,
    };
    let headers = vec![("x-github-event".to_owned(), Bytes::from_static(SECRET_WORD.as_bytes()))];
    let body = Bytes::from(SECRET_WORD.repeat(20));
    let delivery = Delivery::restore(SourceKey::parse("our-app").unwrap(), envelope, headers, body);
    let taken = KeptUnindexed { id: DeliveryId::from_bytes([1; 16]), received_at: NOON };
    let mut all: Vec<Item> = (0..5).map(|number| Fact::Audit(audit(number)).into()).collect();
    all.push(Item { content: Some(delivery), ..Fact::Unindexed(taken).into() });
    all
}

fn tally(items: &[Item]) -> Tally {
    let mut tally = Tally::default();
    items.iter().for_each(|item| tally.add(item));
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back() {
    let desk = Desk::new();
    let text = desk.export(&items());
    assert_eq!(desk.check(&text).unwrap(), tally(&items()));
    let packed = zstd::bulk::compress(&text, 3).unwrap();
    assert_eq!(desk.check(&packed).unwrap(), tally(&items()));
    let path = desk.write(&packed);
    let checked = check(&path, &desk.master(), &|_, _| {}).unwrap();
    let archive = Archive::new(&path, desk.master(), &checked);
    let piece = archive.piece(None).await.unwrap();
    assert_eq!(tally(&piece.items), checked.tally);
    let rest = archive.piece(Some("4")).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (2, None));
}

#[test]
fn s46_no_body_and_no_header_can_be_read_in_an_export() {
    let text = Desk::new().export(&items());
    let words = [SECRET_WORD.to_owned(), hex::encode(SECRET_WORD)];
    let shown = String::from_utf8_lossy(&text).into_owned();
    for word in words {
        assert!(!shown.contains(&word), "{word} in {shown}");
    }
    for shift in 0..3 {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &SECRET_WORD[shift..]);
        assert!(!shown.contains(&text[..20]), "{text}");
    }
}

#[test]
fn a_file_cut_short_is_named_with_its_last_line() {
    let desk = Desk::new();
    let text = desk.export(&items());
    let mut lines = 0;
    for end in 0..text.len() {
        let found = desk.check(&text[..end]);
        lines += u64::from(end > 0 && text[end - 1] == b'\n');
        match found {
            Err(ArchiveError::Foreign { .. }) => assert_eq!(lines, 0, "at byte {end}"),
            Err(ArchiveError::Cut { line, .. }) => {
                let within = text[end - 1] != b'\n';
                assert_eq!(line, lines + u64::from(within), "at byte {end}");
            }
            other => panic!("at byte {end}: {other:?}"),
        }
    }
    let packed = zstd::bulk::compress(&text, 3).unwrap();
    for end in [packed.len() / 2, packed.len() - 1] {
        let found = desk.check(&packed[..end]);
        assert!(matches!(found, Err(ArchiveError::Cut { .. } | ArchiveError::Foreign { .. })), "{found:?}");
    }
}

#[test]
fn a_changed_byte_is_named_with_its_line() {
    let desk = Desk::new();
    let text = desk.export(&items());
    let mut line = 1;
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        match desk.check(&changed) {
            Err(ArchiveError::Altered { line: named, .. }) => assert_eq!(named, line, "byte {at}"),
            Err(ArchiveError::Foreign { .. } | ArchiveError::Key { .. } | ArchiveError::Newer { .. }) => {
                assert_eq!(line, 1, "byte {at}");
            }
            // The line's own end is gone: then two lines are one, or the file has no end.
            Err(ArchiveError::Cut { .. }) if text[at] == b'\n' => {}
            other => panic!("byte {at} in line {line}: {other:?}"),
        }
        line += u64::from(text[at] == b'\n');
    }
}

#[test]
fn a_line_that_is_gone_moved_or_twice_there_is_named() {
    let desk = Desk::new();
    let text = desk.export(&items());
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let named = |lines: Vec<&[u8]>| match desk.check(&lines.concat()) {
        Err(ArchiveError::Altered { line, .. }) => line,
        other => panic!("{other:?}"),
    };
    let mut gone = lines.clone();
    gone.remove(2);
    assert_eq!(named(gone), 3);
    let mut moved = lines.clone();
    moved.swap(2, 3);
    assert_eq!(named(moved), 3);
    let mut twice = lines.clone();
    twice.insert(2, lines[2]);
    assert_eq!(named(twice), 4);
    let mut longer = lines.clone();
    longer.push(lines[1]);
    assert!(matches!(desk.check(&longer.concat()), Err(ArchiveError::TooLong { line: 8, .. })));
}

#[test]
fn another_master_key_and_a_later_version_are_refused_in_a_sentence() {
    let (desk, other) = (Desk::new(), Desk::new());
    let text = desk.export(&items());
    let found = other.check(&text).unwrap_err();
    assert!(matches!(found, ArchiveError::Key { .. }), "{found}");
    assert!(found.to_string().contains("use that store's key"), "{found}");
    let later =
        String::from_utf8(text).unwrap().replace("\"scm_connect_export\":1", "\"scm_connect_export\":2");
    let found = desk.check(later.as_bytes()).unwrap_err();
    assert!(found.to_string().contains("has export format 2"), "{found}");
    for foreign in ["", "\n", "{}\n", "{\"mac\":\"", "hello\nworld\n"] {
        let found = desk.check(foreign.as_bytes());
        assert!(matches!(found, Err(ArchiveError::Foreign { .. })), "{foreign:?}: {found:?}");
    }
    let found = check(Path::new("/nowhere/at/all"), &desk.master(), &|_, _| {});
    assert!(matches!(found, Err(ArchiveError::Io { .. })));
}
