//! Connections against fake forges: how they are made, tested, kept alive and ended.

mod bench;
mod ready;
