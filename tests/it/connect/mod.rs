//! Connections against fake forges: how they are made, tested, kept alive and ended.

mod add;
mod bench;
mod health;
mod hooks;
mod ready;
mod rotate;
