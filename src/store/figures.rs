//! What a store counts as it goes.

use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;

/// Numbers for gauges, kept as counters so that reading them costs nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreFigures {
    /// Deliveries per state.
    pub by_state: Vec<(DeliveryState, u64)>,
    /// Dead letters per reason.
    pub dead_by_reason: Vec<(String, u64)>,
    /// Accepted, not indexed yet.
    pub unindexed: u64,
    /// When the longest waiting piece of due work became due.
    pub oldest_due_at: Option<Timestamp>,
    /// Tasks that are to be done or are being done.
    pub tasks: u64,
    /// When the longest waiting task became due, or will; a task that is being done is due when its lease ends.
    pub task_due_at: Option<Timestamp>,
    /// Lanes whose head failed and holds others back.
    pub lanes_blocked: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Bytes free beside them; `None` where a store cannot know.
    pub free_bytes: Option<u64>,
}
