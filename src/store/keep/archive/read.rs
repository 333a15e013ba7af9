//! Reading an export: once to see that it is whole and unchanged, then item by item.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use secrecy::SecretString;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{ArchiveError, Chain, Cover, End, FORMAT, Head, place, vault};
use crate::domain::delivery::Delivery;
use crate::seal::{Cipher, MasterKey, SealError};
use crate::store::StoreError;
use crate::store::keep::{Fact, Frozen, Item, PIECE_BYTES_MAX, PIECE_ITEMS_MAX, Piece, Tally};

/// No line is longer: far over the largest body in base64.
const LINE_BYTES_MAX: u64 = 256 << 20;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BUFFER_BYTES: usize = 256 << 10;

/// A line after its mac.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
struct Line {
    head: Option<Head>,
    item: Option<Fact>,
    sealed: Option<String>,
    end: Option<End>,
}

/// Only the version of the first line, whatever a later version has written into it.
#[derive(Debug, Deserialize)]
struct AnyHead {
    head: Version,
}

#[derive(Debug, Deserialize)]
struct Version {
    scm_connect_export: u32,
}

/// The lines of a file, each checked.
struct Lines {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    head: Head,
    cipher: Cipher,
    chain: Chain,
    hash: Sha256,
    /// The last line that was read.
    line: u64,
    tally: Tally,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ArchiveError + '_ {
    |error| ArchiveError::Io { path: path.to_owned(), why: error.to_string() }
}

/// Splits a line into its mac and the rest; the rest begins with a quote.
fn split(line: &[u8]) -> Option<([u8; 16], &[u8])> {
    let (mac, rest) = line.strip_prefix(b"{\"mac\":\"")?.split_at_checked(32)?;
    let mac = hex::decode(mac).ok()?.try_into().ok()?;
    Some((mac, rest.strip_prefix(b"\",")?))
}

fn parse<T: serde::de::DeserializeOwned>(rest: &[u8]) -> Option<T> {
    serde_json::from_slice(&[b"{", rest].concat()).ok()
}

impl Lines {
    fn open(path: &Path, master: &MasterKey) -> Result<Self, ArchiveError> {
        let io = io(path);
        let foreign = || ArchiveError::Foreign { path: path.to_owned() };
        let mut file = File::open(path).map_err(&io)?;
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(4).read_to_end(&mut magic).map_err(&io)?;
        file.rewind().map_err(&io)?;
        let mut input: Box<dyn BufRead + Send> = if magic == ZSTD_MAGIC {
            let unpacked = zstd::stream::Decoder::new(file).map_err(&io)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))
        } else {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
        };
        let line = next(input.as_mut()).map_err(|_| foreign())?.ok_or_else(foreign)?;
        let (mac, rest) = split(line.strip_suffix(b"\n").unwrap_or(&line)).ok_or_else(foreign)?;
        let version = parse::<AnyHead>(rest).ok_or_else(foreign)?.head.scm_connect_export;
        if version > FORMAT {
            return Err(ArchiveError::Newer { path: path.to_owned(), found: version });
        }
        let head = parse::<Line>(rest).and_then(|line| line.head).ok_or_else(foreign)?;
        let key = |source: SealError| ArchiveError::Key { path: path.to_owned(), source };
        let cipher = head.lock.open(master).map_err(key)?;
        let mut chain = Chain::new(cipher.clone());
        if chain.next(rest) != mac {
            return Err(ArchiveError::Altered { path: path.to_owned(), line: 1 });
        }
        let hash = Sha256::new_with_prefix(&line);
        let tally = Tally::default();
        Ok(Self { path: path.to_owned(), input, head, cipher, chain, hash, line: 1, tally })
    }

    fn altered(&self) -> ArchiveError {
        ArchiveError::Altered { path: self.path.clone(), line: self.line }
    }

    /// The next item; `None` behind the last line.
    fn item(&mut self) -> Result<Option<Item>, ArchiveError> {
        let cut = |line| ArchiveError::Cut { path: self.path.clone(), line };
        let raw = match next(self.input.as_mut()) {
            Ok(Some(raw)) => raw,
            Ok(None) => return Err(cut(self.line)),
            // What zstd says of a file that ends too early.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(cut(self.line)),
            Err(error) if error.kind() == std::io::ErrorKind::Other => {
                self.line = self.line.saturating_add(1);
                return Err(self.altered());
            }
            Err(error) => return Err(io(&self.path)(error)),
        };
        self.line = self.line.saturating_add(1);
        let Some(line) = raw.strip_suffix(b"\n") else {
            return Err(ArchiveError::Cut { path: self.path.clone(), line: self.line });
        };
        let (mac, rest) = split(line).ok_or_else(|| self.altered())?;
        if self.chain.next(rest) != mac {
            return Err(self.altered());
        }
        let line: Line = parse(rest).ok_or_else(|| self.altered())?;
        if let Some(end) = line.end {
            return self.end(&end).map(|()| None);
        }
        self.hash.update(&raw);
        let fact = line.item.ok_or_else(|| self.altered())?;
        let (mut content, mut secret) = (None, None);
        match (&fact, line.sealed) {
            (Fact::Credential(_), Some(text)) => {
                secret = Some(self.unlock(&text).ok_or_else(|| self.altered())?);
            }
            (_, Some(text)) => content = Some(self.unseal(&text).ok_or_else(|| self.altered())?),
            (_, None) => {}
        }
        let item = Item { fact, content, secret };
        self.tally.add(&item);
        Ok(Some(item))
    }

    fn end(&mut self, end: &End) -> Result<(), ArchiveError> {
        let counts = self.tally.counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count));
        let whole = end.items == self.tally.items()
            && end.counts == counts.collect()
            && end.sha256 == hex::encode(self.hash.clone().finalize());
        if !whole {
            return Err(self.altered());
        }
        match next(self.input.as_mut()) {
            Ok(None) => Ok(()),
            _ => Err(ArchiveError::TooLong { path: self.path.clone(), line: self.line }),
        }
    }

    fn unlock(&self, text: &str) -> Option<SecretString> {
        let sealed = STANDARD.decode(text).ok()?;
        let plain = self.cipher.open(&vault(&self.line.to_be_bytes()), &sealed).ok()?;
        std::str::from_utf8(&plain).ok().map(SecretString::from)
    }

    fn unseal(&self, text: &str) -> Option<Delivery> {
        let sealed = STANDARD.decode(text).ok()?;
        let packed = self.cipher.open(&place(&self.line.to_be_bytes()), &sealed).ok()?;
        // The size is not bounded here: only what a store has sealed itself gets so far.
        let plain = zstd::stream::decode_all(packed.as_slice()).ok()?;
        let (length, rest) = plain.split_first_chunk::<4>()?;
        let (cover, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let Cover { source, envelope, headers } = serde_json::from_slice(cover).ok()?;
        let headers = headers.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
        Some(Delivery::restore(source, envelope, headers, Bytes::copy_from_slice(body)))
    }
}

/// The next line with its end; `None` at the end of the file.
fn next(input: &mut dyn BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    Ok((!line.is_empty()).then_some(line))
}

/// What a whole and unchanged file holds.
#[derive(Debug)]
pub struct Checked {
    /// Its first line.
    pub head: Head,
    /// Its items.
    pub tally: Tally,
}

/// Reads the whole file and sees whether every line is the one that was written. Blocking.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn check(
    path: &Path,
    master: &MasterKey,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<Checked, ArchiveError> {
    let mut lines = Lines::open(path, master)?;
    while lines.item()?.is_some() {
        let done = lines.tally.items();
        if done.is_multiple_of(64) {
            progress(done, lines.head.items_about.max(done));
        }
    }
    progress(lines.tally.items(), lines.tally.items());
    Ok(Checked { head: lines.head, tally: lines.tally })
}

/// A file as a view to import from. To be checked before.
pub struct Archive {
    path: PathBuf,
    master: MasterKey,
    items: u64,
    lines: Arc<Mutex<Option<Lines>>>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Archive({})", self.path.display())
    }
}

impl Archive {
    /// The items of this file.
    #[must_use]
    pub fn new(path: &Path, master: MasterKey, checked: &Checked) -> Self {
        let items = checked.tally.items();
        Self { path: path.to_owned(), master, items, lines: Arc::default() }
    }

    /// Goes on reading, or begins anew when somebody asks for another place.
    fn piece_behind(&self, after: u64) -> Result<Piece, ArchiveError> {
        let mut place = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = match place.take().filter(|lines| lines.tally.items() == after) {
            Some(lines) => lines,
            None => Lines::open(&self.path, &self.master)?,
        };
        while lines.tally.items() < after && lines.item()?.is_some() {}
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        while items.len() < PIECE_ITEMS_MAX && bytes < PIECE_BYTES_MAX {
            let Some(item) = lines.item()? else { return Ok(Piece { items, next: None }) };
            bytes = bytes.saturating_add(item.content.as_ref().map_or(0, |delivery| delivery.body().len()));
            items.push(item);
        }
        let next = Some(lines.tally.items().to_string());
        *place = Some(lines);
        Ok(Piece { items, next })
    }
}

#[async_trait]
impl Frozen for Archive {
    fn items_about(&self) -> u64 {
        self.items
    }

    async fn piece(&self, after: Option<&str>) -> Result<Piece, StoreError> {
        let strange = || StoreError::Unavailable("that is no place in this file".into());
        let after = after.map_or(Ok(0), |text| text.parse().map_err(|_| strange()))?;
        tokio::task::block_in_place(|| self.piece_behind(after))
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}
