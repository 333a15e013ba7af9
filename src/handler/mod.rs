//! Event → Changes. Pure: no store, no clock, no network.

use crate::domain::change::Changes;
use crate::domain::delivery::Lane;
use crate::domain::event::Event;
use crate::domain::known::{Candidates, Known, Lookup};
use crate::domain::organization::{Connection, Source};
use crate::domain::{Timestamp, change::Verdict};

/// Where an event belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routing {
    /// To this connection; it may be a new one, to be recorded with the first change.
    To(Box<Connection>),
    /// Nowhere: the delivery ends like this.
    End(Changes),
}

/// What an event queues behind.
#[must_use]
pub fn lane(event: &Event) -> Lane {
    Lane { key: event.name.clone(), blocks: false }
}

/// Finds the connection an event is about. The secret decides which organizations it may speak for.
#[must_use]
pub fn route(_source: &Source, _event: &Event, _candidates: &Candidates, _now: Timestamp) -> Routing {
    Routing::End(Changes::none(Verdict::Done))
}

/// Which records the event needs.
#[must_use]
pub fn lookup(_event: &Event) -> Lookup {
    Lookup::default()
}

/// Decides what the event changes.
#[must_use]
pub fn handle(_event: &Event, _known: &Known) -> Changes {
    Changes::none(Verdict::Done)
}
