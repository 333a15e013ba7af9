//! scm-connect connects an organization on a developer platform to its source code manager.
//!
//! One delivery goes this way; each type can be made only by the stage before it:
//!
//! ```text
//!  the forge ──▶ web::hook ──▶ store.accept ──▶ worker::indexer ──▶ worker::inbox ──▶ handler ──▶ store.settle
//!  RawDelivery   Delivery      202, on disk     lane, queue         Event             Changes     Settled
//! ```
//!
//! | module | read it for |
//! |---|---|
//! | [`domain`] | what the product is about: deliveries, events, records, changes |
//! | [`outbound`] | the one builder of HTTP clients: whom we call, and what we take from them |
//! | [`provider`] | what each forge's deliveries look like and mean |
//! | [`handler`] | what an event changes; pure |
//! | [`store`] | what is kept, behind small verbs; [`store::sled`] is the embedded one, [`store::postgres`] the shared one |
//! | [`connect`] | connections: ready clients of their forges, and what is done through them |
//! | [`ci`] | what CI jobs say to us, and how far it is proven |
//! | [`follow`] | members and projects as the forges have them: read whole, planned, weighed, done |
//! | [`linking`] | connecting a GitHub account by an App, in an admin's browser |
//! | [`seal`] | encryption at rest, API tokens |
//! | [`worker`] | the loops: index, handle, retry, purge |
//! | [`web`] | the HTTP edge: hooks, API, setup, health |
//! | [`config`] | file and environment, each value parsed once |
//! | [`telemetry`] | logs and metrics |
//! | [`cli`] | the command line and its client |
//! | [`demo`] | recorded deliveries and the story they tell |
//! | [`app`] | puts the parts together; owns clock and signals |
//! | [`fault`] | named points at which a test build can break |

pub mod app;
pub mod ci;
pub mod cli;
pub mod config;
pub mod connect;
pub mod demo;
pub mod domain;
pub mod fault;
pub mod follow;
pub mod handler;
pub mod linking;
pub mod outbound;
pub mod provider;
pub mod seal;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod worker;
