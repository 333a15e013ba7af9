//! Fake forges: they hold state, keep the documented rules, refuse what breaks them, and write it down.
//!
//! A test is a story: `forge.org("acme").member(…)`, then what our client makes of it, then `forge.violations()`.

mod book;
mod fault;
mod follow;
mod github;
mod gitlab;
mod http;
mod judge;
mod keys;
mod names;
mod story;

pub(crate) use book::{BEGIN_S, Book, Budget};
pub(crate) use fault::{Fault, Planted};
pub(crate) use github::{APP_KEY, Github as FakeGithub};
pub(crate) use gitlab::Gitlab as FakeGitlab;
pub(crate) use http::{Answers, Asked, Reply, serve};
pub(crate) use keys::KeySet;
pub(crate) use names::Names;
