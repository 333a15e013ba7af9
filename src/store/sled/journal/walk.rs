//! Goes through the frames of one log file, in order, and checks each.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::Position;
use super::error::JournalError;
use super::frame::{Frame, HEADER_BYTES, Hash, Header, PAYLOAD_MAX, VERSION};

const BUFFER_BYTES: usize = 256 << 10;

/// Where we are in a log file.
#[derive(Debug)]
pub(super) struct Walk {
    input: BufReader<File>,
    path: PathBuf,
    file: u64,
    offset: u64,
    end: u64,
    next_seq: u64,
}

/// A frame that passed its checks.
#[derive(Debug)]
pub(super) struct Step {
    header: Header,
    /// Where it stands.
    pub(super) position: Position,
    /// What it is.
    pub(super) frame: Frame,
}

impl Step {
    /// The running hash after it.
    pub(super) fn chain(&self, before: &Hash) -> Hash {
        self.header.chain(before, &self.frame.payload)
    }
}

impl Walk {
    /// Begins at `offset` of an open file, where frame `next_seq` stands, and ends at `end`.
    pub(super) fn new(
        file: File,
        path: &Path,
        first_seq: u64,
        next_seq: u64,
        offset: u64,
        end: u64,
    ) -> Result<Self, JournalError> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, file);
        input.seek(SeekFrom::Start(offset)).map_err(|error| JournalError::io("read", path, error))?;
        Ok(Self { input, path: path.to_owned(), file: first_seq, offset, end, next_seq })
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The number that the next frame has.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The next frame; `None` at the end.
    pub(super) fn step(&mut self) -> Result<Option<Step>, JournalError> {
        let Some(header) = self.header()? else { return Ok(None) };
        let mut payload = vec![0; header.len as usize];
        self.fill(&mut payload)?;
        header.check(self.next_seq, &payload).map_err(|what| self.damaged(what))?;
        if header.version > VERSION {
            let (found, known) = (header.version.into(), VERSION.into());
            return Err(JournalError::Newer { path: self.path.clone(), found, known });
        }
        let position = Position { seq: self.next_seq, file: self.file, offset: self.offset, len: header.len };
        self.pass(&header);
        let frame = Frame { seq: header.seq, kind: header.kind, payload };
        Ok(Some(Step { header, position, frame }))
    }

    /// Passes over frames until `seq` is next, without reading their payloads. A damaged length on the way shows as a
    /// wrong number after it.
    pub(super) fn skip_to(&mut self, seq: u64) -> Result<(), JournalError> {
        while self.next_seq < seq {
            let Some(header) = self.header()? else { return Ok(()) };
            if header.seq != self.next_seq {
                return Err(self.damaged(format!("frame {} stands here", header.seq)));
            }
            self.input
                .seek_relative(header.len.into())
                .map_err(|error| JournalError::io("read", &self.path, error))?;
            self.pass(&header);
        }
        Ok(())
    }

    /// The next header, its length checked against what is left.
    fn header(&mut self) -> Result<Option<Header>, JournalError> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let left = self.end - self.offset;
        if left < HEADER_BYTES as u64 {
            return Err(self.damaged(format!("only {left} bytes are left, less than a frame has")));
        }
        let mut raw = [0; HEADER_BYTES];
        self.fill(&mut raw)?;
        let header = Header::parse(raw).ok_or_else(|| self.damaged("the frame has no header".into()))?;
        if header.len > PAYLOAD_MAX || u64::from(header.len) > left - HEADER_BYTES as u64 {
            return Err(self.damaged(format!("its length, {} bytes, goes past the end", header.len)));
        }
        Ok(Some(header))
    }

    fn pass(&mut self, header: &Header) {
        self.offset += HEADER_BYTES as u64 + u64::from(header.len);
        self.next_seq += 1;
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), JournalError> {
        match self.input.read_exact(into) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("the file ends within the frame".into()))
            }
            Err(error) => Err(JournalError::io("read", &self.path, error)),
        }
    }

    fn damaged(&self, what: String) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), offset: self.offset, seq: self.next_seq, what }
    }
}
