//! Meaning.

use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::provider::Unreadable;

/// Reads a delivery.
///
/// # Errors
/// When the body is no JSON object.
pub fn read(_delivery: &Delivery) -> Result<Event, Unreadable> {
    Err(Unreadable("not read yet".into()))
}
