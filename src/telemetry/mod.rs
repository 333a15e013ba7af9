//! What operators see: logs and metrics, and nothing in them that could fool a terminal.

pub mod escape;
pub mod fault;
pub mod hook;
pub mod log;
pub mod metric;

pub use fault::Fault;
pub(crate) use fault::report;
pub use metric::{Exporter, Metric, Value, count, observe, set};
