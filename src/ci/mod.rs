//! What CI jobs say to us: their ID tokens, their check-ins.
//!
//! ```text
//!  Bearer scmc_ci_…  ──▶ CiCaller ──▶ ClaimedJob ─┐
//!                                                 ├─▶ Witness ─▶ handler::check_in ─▶ store.apply
//!  id_token ──▶ id_token::Verifier ─▶ ProvenJob ──┘
//! ```

mod check_in;
pub mod id_token;
mod recent;
pub mod scan;
mod template;
mod told;

pub use check_in::{Answered, Asked, CheckIns, Failed, Mint};
pub use template::Template;
pub use told::{Untold, smuggled};
