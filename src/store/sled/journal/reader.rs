//! Reading what is acknowledged, each frame checked.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Position;
use super::error::JournalError;
use super::file::{self, HEAD_BYTES, Head};
use super::frame::{Frame, HEADER_BYTES, Header};
use super::seal::Seal;
use super::walk::Walk;

/// Files kept open for reading.
const OPEN_MAX: usize = 8;

/// What the writer and its readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seal: Seal,
    /// The first frame of each file, in order.
    files: Vec<u64>,
    open: VecDeque<(u64, Arc<File>)>,
}

impl Shared {
    pub(super) fn new(dir: PathBuf, seal: Seal, files: Vec<u64>) -> Self {
        Self { dir, state: Mutex::new(State { seal, files, open: VecDeque::new() }) }
    }

    /// Every change under the lock is one assignment, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn advance(&self, seal: Seal) {
        self.lock().seal = seal;
    }

    pub(super) fn add(&self, first: u64) {
        self.lock().files.push(first);
    }

    pub(super) fn forget(&self, first: u64) {
        let mut state = self.lock();
        state.files.retain(|file| *file != first);
        state.open.retain(|(file, _)| *file != first);
    }

    fn open(&self, first: u64) -> Result<Arc<File>, JournalError> {
        let mut state = self.lock();
        if let Some((_, file)) = state.open.iter().find(|(number, _)| *number == first) {
            return Ok(Arc::clone(file));
        }
        let path = file::log_path(&self.dir, first);
        let opened = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => JournalError::FileMissing { path: path.clone(), seq: first },
            _ => JournalError::io("open", &path, error),
        })?;
        let opened = Arc::new(opened);
        state.open.push_back((first, Arc::clone(&opened)));
        if state.open.len() > OPEN_MAX {
            state.open.pop_front();
        }
        Ok(opened)
    }
}

/// Reads frames. Cheap to clone; works beside the writer.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(super) shared: Arc<Shared>,
}

impl Reader {
    /// The frame at a position that [`super::Journal::append`] or a scan gave.
    pub(crate) fn read(&self, at: Position) -> Result<Frame, JournalError> {
        let seal = self.shared.lock().seal;
        if at.seq < seal.floor_seq {
            return Err(JournalError::Gone { seq: at.seq, floor: seal.floor_seq });
        }
        if at.seq > seal.last_seq || at.len > super::frame::PAYLOAD_MAX {
            return Err(JournalError::NotThere { seq: at.seq, last: seal.last_seq });
        }
        let path = file::log_path(&self.shared.dir, at.file);
        let damaged =
            |what: String| JournalError::Damaged { path: path.clone(), offset: at.offset, seq: at.seq, what };
        let file = self.shared.open(at.file)?;
        let fill = |bytes: &mut [u8], offset| match file.read_exact_at(bytes, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(damaged("the file ends within the frame".into()))
            }
            other => other.map_err(|error| JournalError::io("read", &path, error)),
        };
        let mut raw = [0; HEADER_BYTES];
        fill(&mut raw, at.offset)?;
        let header = Header::parse(raw).filter(|header| header.len == at.len);
        let header = header.ok_or_else(|| damaged("the frame has another length".into()))?;
        let mut payload = vec![0; at.len as usize];
        fill(&mut payload, at.offset.saturating_add(HEADER_BYTES as u64))?;
        header.check(at.seq, &payload).map_err(damaged)?;
        Ok(Frame { seq: at.seq, kind: header.kind, payload })
    }

    /// The oldest frame that is kept.
    pub(crate) fn floor(&self) -> u64 {
        self.shared.lock().seal.floor_seq
    }

    /// The last acknowledged frame.
    pub(crate) fn last_seq(&self) -> u64 {
        self.shared.lock().seal.last_seq
    }

    /// The first frame of the file behind this one; `None` when it is the current one.
    pub(crate) fn file_after(&self, first: u64) -> Option<u64> {
        let state = self.shared.lock();
        state.files.iter().copied().filter(|file| *file > first && *file <= state.seal.file).min()
    }

    /// All frames acknowledged by now, from `seq` on, in order; an error ends it.
    pub(crate) fn scan(&self, seq: u64) -> Scan {
        let state = self.shared.lock();
        let from = seq.max(state.seal.floor_seq);
        let file = state.files.iter().copied().filter(|first| *first <= from).max();
        Scan { reader: self.clone(), until: state.seal, from, file, walk: None }
    }
}

/// The frames of a log, one after another.
#[derive(Debug)]
pub(crate) struct Scan {
    reader: Reader,
    until: Seal,
    from: u64,
    /// The file under the eye; `None` at the end.
    file: Option<u64>,
    walk: Option<Walk>,
}

impl Scan {
    fn enter(&self, first: u64) -> Result<Walk, JournalError> {
        let path = file::log_path(&self.reader.shared.dir, first);
        let read = |error| JournalError::io("open", &path, error);
        let opened = File::open(&path).map_err(read)?;
        Head::read(&opened, &path, first)?;
        let bytes = opened.metadata().map_err(read)?.len();
        let end = if first == self.until.file { self.until.end } else { bytes };
        let mut walk = Walk::new(opened, &path, first, first, HEAD_BYTES, end)?;
        walk.skip_to(self.from)?;
        Ok(walk)
    }

    fn step(&mut self) -> Result<Option<(Position, Frame)>, JournalError> {
        while let Some(first) = self.file {
            if self.from > self.until.last_seq {
                return Ok(None);
            }
            let walk = match &mut self.walk {
                Some(walk) => walk,
                None => {
                    let entered = self.enter(first)?;
                    self.walk.insert(entered)
                }
            };
            if let Some(step) = walk.step()? {
                self.from = step.position.seq.saturating_add(1);
                return Ok(Some((step.position, step.frame)));
            }
            let (offset, next) = (walk.offset(), walk.next_seq());
            self.walk = None;
            self.file = if first == self.until.file { None } else { self.reader.file_after(first) };
            if self.file.is_some_and(|file| file != next) {
                let path = file::log_path(&self.reader.shared.dir, first);
                let what = "the file ends before the next one begins".to_owned();
                return Err(JournalError::Damaged { path, offset, seq: next, what });
            }
        }
        Ok(None)
    }
}

impl Iterator for Scan {
    type Item = Result<(Position, Frame), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose().inspect(|found| {
            if found.is_err() {
                self.file = None;
            }
        })
    }
}
