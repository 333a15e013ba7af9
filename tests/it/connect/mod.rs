//! Connections against fake forges: how they are made, tested, kept alive and ended.

mod add;
mod at_once;
mod bench;
mod health;
mod hooks;
mod ready;
mod rest;
mod rotate;
