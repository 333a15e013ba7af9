//! Replays of many deliveries: done piece by piece, each in one act with how far the replay is. So a process that ends
//! in the middle neither forgets a delivery nor queues one twice.

use serde::{Deserialize, Serialize};

use super::DeliveryId;

/// How far a replay is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// How many matched when it began; `None` until they were counted.
    pub matched: Option<u64>,
    /// How many of them are queued again.
    pub queued: u64,
    /// How many could not be: their bytes are no longer kept.
    pub skipped: u64,
    /// The last one that was decided about. They come newest first, and an id says when one came.
    pub last: Option<DeliveryId>,
}

impl Progress {
    /// After a piece of which so many could be queued.
    #[must_use]
    pub fn after(self, piece: &Piece, queued: u64) -> Self {
        let all = piece.deliveries.len() as u64;
        Self {
            matched: self.matched.or(Some(piece.matched)),
            queued: self.queued.saturating_add(queued),
            skipped: self.skipped.saturating_add(all.saturating_sub(queued)),
            last: piece.deliveries.last().copied().or(self.last),
        }
    }

    /// What has come of it so far, in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Some(matched) = self.matched else { return "nothing was queued".into() };
        let lost = match self.skipped {
            0 => String::new(),
            1 => "; the bytes of 1 are no longer kept".into(),
            skipped => format!("; the bytes of {skipped} are no longer kept"),
        };
        format!("{} of {matched} deliveries are queued again{lost}", self.queued)
    }
}

/// The next deliveries of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// How many match in all, as they were counted when it began.
    pub matched: u64,
    /// Which ones come now, newest first.
    pub deliveries: Vec<DeliveryId>,
    /// None comes behind them.
    pub is_last: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(numbers: &[u8]) -> Piece {
        let deliveries = numbers.iter().map(|number| DeliveryId::from_bytes([*number; 16])).collect();
        Piece { matched: 5, deliveries, is_last: false }
    }

    #[test]
    fn a_replay_counts_what_it_queued_and_remembers_its_place() {
        let begun = Progress::default();
        assert_eq!(begun.sentence(), "nothing was queued");
        let first = begun.after(&piece(&[9, 8, 7]), 2);
        assert_eq!(first.sentence(), "2 of 5 deliveries are queued again; the bytes of 1 are no longer kept");
        let more = Piece { matched: 7, ..piece(&[4, 3]) };
        let second = first.after(&more, 2);
        let last = Some(DeliveryId::from_bytes([3; 16]));
        assert_eq!(second, Progress { matched: Some(5), queued: 4, skipped: 1, last });
        assert_eq!(second.clone().after(&piece(&[]), 0), second, "an empty piece moves nothing");
    }
}
