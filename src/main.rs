//! The program: hands its arguments and environment to [`scm_connect::app`].

use std::process::ExitCode;

/// The system's allocator takes a quarter of the processor time of a delivery, and keeps what a burst has taken. How
/// this one is set stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A variable that is no text cannot be one of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    scm_connect::app::run(std::env::args_os(), environment)
}
