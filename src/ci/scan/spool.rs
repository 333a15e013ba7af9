//! Reports put aside in sealed files without a name: they are gone with the process, however that ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags, openat};
use zeroize::Zeroizing;

use crate::domain::{OrganizationSlug, Timestamp};
use crate::seal::{Cipher, Keyring, Place, Purpose};

/// Bytes that are sealed at once.
const CHUNK: usize = 256 * 1024;

/// Where reports are put aside.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// Binds each chunk to its report and its place in it.
#[derive(Debug, Clone)]
struct Seal {
    cipher: Cipher,
    scope: String,
    row: [u8; 8],
}

impl Seal {
    fn field(number: u64) -> String {
        format!("chunk {number}")
    }

    fn place<'a>(&'a self, field: &'a str) -> Place<'a> {
        Place { purpose: Purpose::Report, scope: &self.scope, row: &self.row, field }
    }
}

/// A report on its way in.
#[derive(Debug)]
pub struct Spooling {
    file: File,
    seal: Seal,
    buffer: Zeroizing<Vec<u8>>,
    chunks: u64,
}

/// A report that is whole.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    seal: Seal,
    next: u64,
    chunks: u64,
    open: Zeroizing<Vec<u8>>,
    at: usize,
}

impl Spool {
    /// In this folder, which is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Begins a file.
    pub(super) fn begin(
        &self,
        keyring: &Keyring,
        organization: &OrganizationSlug,
        scan: u64,
        now: Timestamp,
    ) -> io::Result<Spooling> {
        let scope = format!("organization:{organization}");
        let cipher = keyring.cipher(&scope, now.ms()).map_err(io::Error::other)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(openat(CWD, &self.folder, flags, Mode::RUSR | Mode::WUSR)?);
        let seal = Seal { cipher, scope, row: scan.to_be_bytes() };
        Ok(Spooling { file, seal, buffer: Zeroizing::new(Vec::new()), chunks: 0 })
    }
}

impl Spooling {
    /// Adds a piece.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(piece);
        while self.buffer.len() >= CHUNK {
            let rest = self.buffer.split_off(CHUNK);
            self.flush()?;
            *self.buffer = rest;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let field = Seal::field(self.chunks);
        let sealed = self.seal.cipher.seal(&self.seal.place(&field), &self.buffer);
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&sealed)?;
        self.chunks = self.chunks.saturating_add(1);
        Ok(())
    }

    /// All of it is here.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn finish(mut self) -> io::Result<Spooled> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        self.file.seek(SeekFrom::Start(0))?;
        let (file, seal, chunks) = (self.file, self.seal, self.chunks);
        Ok(Spooled { file, seal, next: 0, chunks, open: Zeroizing::new(Vec::new()), at: 0 })
    }
}

impl Spooled {
    /// Has it read once more from its beginning.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        (self.next, self.at) = (0, 0);
        self.open.clear();
        Ok(())
    }

    fn advance(&mut self) -> io::Result<bool> {
        if self.next >= self.chunks {
            return Ok(false);
        }
        let mut length = [0; 4];
        self.file.read_exact(&mut length)?;
        let mut sealed = vec![0; usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?];
        self.file.read_exact(&mut sealed)?;
        let field = Seal::field(self.next);
        self.open = self.seal.cipher.open(&self.seal.place(&field), &sealed).map_err(io::Error::other)?;
        self.at = 0;
        self.next = self.next.saturating_add(1);
        Ok(true)
    }
}

impl Read for Spooled {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.open.len() && !self.advance()? {
            return Ok(0);
        }
        let left = self.open.get(self.at..).unwrap_or_default();
        let count = left.len().min(into.len());
        into.iter_mut().zip(left).for_each(|(to, from)| *to = *from);
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}
