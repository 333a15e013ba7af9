//! One append-only log.
