//! Checking everything that is kept, a bounded piece at a time, while work goes on: both logs, the snapshots of the
//! records, and every row against the digest.

use std::collections::VecDeque;
use std::path::Path;

use super::journal::Check;
use super::locked;
use super::mover::{Sweeper, Swept};
use super::snapshot::{self, Pieces};
use super::{Inner, SledStore};
use crate::store::StoreError;

/// Bytes read for one piece.
const PIECE_BYTES: u64 = 1 << 20;
/// What a row counts for in the progress.
const ROW_BYTES: u64 = 128;

/// A check under way.
#[derive(Debug)]
pub(super) struct Pass {
    whose: Sweeper,
    parts: VecDeque<Part>,
    /// Found when it began.
    found: Vec<String>,
    /// Of the parts that are over.
    done: u64,
    all: u64,
    rows: Option<u64>,
}

#[derive(Debug)]
enum Part {
    Log(&'static str, Check),
    Snapshot(Pieces),
    Rows,
}

impl Pass {
    /// Whether everything was checked.
    pub(super) fn is_over(&self) -> bool {
        self.parts.is_empty() && self.found.is_empty()
    }

    /// How much is done, and how much there is.
    pub(super) fn progress(&self) -> (u64, u64) {
        let under_way = match self.parts.front() {
            Some(Part::Log(_, check)) => check.progress().0,
            Some(Part::Rows) => self.rows.unwrap_or(0).saturating_mul(ROW_BYTES),
            Some(Part::Snapshot(_)) | None => 0,
        };
        let done = if self.parts.is_empty() { self.all } else { self.done.saturating_add(under_way) };
        (done.min(self.all), self.all)
    }

    fn begin(dir: &Path, whose: Sweeper) -> Self {
        let (parts, found) = (VecDeque::new(), Vec::new());
        let mut pass = Self { whose, parts, found, done: 0, all: 0, rows: None };
        for log in ["inbox", "records"] {
            match Check::begin(&dir.join("journal").join(log)) {
                Ok(check) => {
                    pass.all = pass.all.saturating_add(check.progress().1);
                    pass.parts.push_back(Part::Log(log, check));
                }
                Err(error) => pass.found.push(format!("journal/{log}: {error}")),
            }
        }
        for one in snapshot::list(&dir.join("journal").join("records")).unwrap_or_default() {
            let bytes = std::fs::metadata(&one.path).map_or(0, |meta| meta.len());
            match Pieces::open(&one) {
                Ok(pieces) => {
                    pass.all = pass.all.saturating_add(bytes);
                    pass.parts.push_back(Part::Snapshot(pieces));
                }
                // One that a newer one has replaced meanwhile.
                Err(_) if !one.path.exists() => {}
                Err(error) => pass.found.push(error.to_string()),
            }
        }
        pass.parts.push_back(Part::Rows);
        pass
    }

    /// Reads on in a log or a snapshot.
    fn read(&mut self) -> Option<String> {
        let (over, found) = match self.parts.front_mut() {
            Some(Part::Log(name, check)) => match check.step(PIECE_BYTES) {
                Ok(over) => (over.then(|| check.progress().1), None),
                Err(error) => (None, Some(format!("journal/{name}: {error}"))),
            },
            Some(Part::Snapshot(pieces)) => match pieces.next() {
                Ok(Some(piece)) => {
                    self.done = self.done.saturating_add(piece.len() as u64);
                    (None, None)
                }
                Ok(None) => (Some(0), None),
                Err(error) => (Some(0), Some(error.to_string())),
            },
            Some(Part::Rows) | None => (None, None),
        };
        if let Some(bytes) = over {
            self.done = self.done.saturating_add(bytes);
            self.parts.pop_front();
        }
        found
    }
}

impl SledStore {
    /// Begins to check everything.
    pub(super) async fn pass(&self, whose: Sweeper) -> Result<Pass, StoreError> {
        let mut pass = self.read(move |inner| Ok(Pass::begin(&inner.dir, whose))).await?;
        let rows = self.sweep(whose, true).await?.rows_all;
        pass.all = pass.all.saturating_add(rows.saturating_mul(ROW_BYTES));
        Ok(pass)
    }

    async fn sweep(&self, whose: Sweeper, is_anew: bool) -> Result<Swept, StoreError> {
        let step = move |inner: &Inner| locked(&inner.mover).sweep(whose, is_anew);
        self.read(step).await
    }

    /// Checks the next piece; gives back what is wrong in it.
    pub(super) async fn check(&self, pass: &mut Pass) -> Result<Vec<String>, StoreError> {
        if !pass.found.is_empty() {
            return Ok(std::mem::take(&mut pass.found));
        }
        if !matches!(pass.parts.front(), Some(Part::Rows)) {
            let whose = pass.whose;
            let empty =
                Pass { whose, parts: VecDeque::new(), found: Vec::new(), done: 0, all: 0, rows: None };
            let mut moved = std::mem::replace(pass, empty);
            let (back, found) = self
                .read(move |_| {
                    let found = moved.read();
                    Ok((moved, found))
                })
                .await?;
            *pass = back;
            return Ok(found.into_iter().collect());
        }
        let anew = pass.rows.is_none();
        let swept = self.sweep(pass.whose, anew).await?;
        pass.rows = Some(swept.rows);
        if swept.whole.is_some() {
            pass.parts.pop_front();
        }
        let wrong = "db: its rows do not match their checksum; the next start builds it anew";
        Ok(if swept.whole == Some(false) { vec![wrong.into()] } else { Vec::new() })
    }
}
