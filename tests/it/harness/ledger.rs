//! The client's own book: every delivery sent, and every answer got. The only truth about acknowledgements.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::parcel::Parcel;

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    Open,
    /// A status.
    Status(u16),
    /// No connection could be made.
    Refused,
    /// The connection ended, or the time was over, before an answer came.
    Broken,
}

impl Answer {
    /// Whether it promises that the delivery is kept.
    pub(crate) const fn is_ack(self) -> bool {
        matches!(self, Self::Status(200..=299))
    }
}

/// One line of the book. The body can be made again from its number.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) hash: String,
    pub(crate) document: String,
    pub(crate) repository: u64,
    pub(crate) path: String,
    pub(crate) answer: Answer,
}

/// The book. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(Arc<Book>);

#[derive(Debug)]
struct Book {
    run: u64,
    next: AtomicU64,
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Ledger {
    pub(crate) fn new(run: u64) -> Self {
        Self(Arc::new(Book { run, next: AtomicU64::new(0), entries: Mutex::default() }))
    }

    /// The next delivery to send, noted as sent.
    pub(crate) fn next(&self, bytes: usize) -> Parcel {
        let parcel = Parcel::new(self.0.run, self.0.next.fetch_add(1, Ordering::SeqCst), bytes);
        let document = serde_json::from_slice(&parcel.body).unwrap();
        let entry = Entry {
            number: parcel.number,
            hash: parcel.hash(),
            document: super::parcel::document_hash(&document),
            repository: parcel.repository,
            path: parcel.path.clone(),
            answer: Answer::Open,
        };
        self.0.entries.lock().unwrap().insert(parcel.id.clone(), entry);
        parcel
    }

    /// Notes the answer.
    pub(crate) fn note(&self, id: &str, answer: Answer) {
        if let Some(entry) = self.0.entries.lock().unwrap().get_mut(id) {
            entry.answer = answer;
        }
    }

    /// A copy of the book as it is now.
    pub(crate) fn entries(&self) -> BTreeMap<String, Entry> {
        self.0.entries.lock().unwrap().clone()
    }

    /// What was acknowledged up to now.
    pub(crate) fn acked(&self) -> usize {
        self.count(Answer::is_ack)
    }

    /// How many answers are of this kind.
    pub(crate) fn count(&self, is: impl Fn(Answer) -> bool) -> usize {
        self.0.entries.lock().unwrap().values().filter(|entry| is(entry.answer)).count()
    }

    /// What came back, for people.
    pub(crate) fn summary(&self) -> String {
        let mut counts = BTreeMap::new();
        for entry in self.0.entries.lock().unwrap().values() {
            *counts.entry(format!("{:?}", entry.answer)).or_insert(0_u32) += 1;
        }
        format!("{counts:?}")
    }
}
