//! Connections against fake forges: how they are made, tested, kept alive and ended.

mod add;
mod app_secret;
mod at_once;
mod bench;
mod beside;
mod health;
mod heard;
mod hook_secret;
mod hooks;
mod killed;
mod leaked;
mod ready;
mod rest;
mod rotate;
mod silence;
mod switch;
