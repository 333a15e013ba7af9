//! The program: hands its arguments and environment to [`scm_connect::app`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // A variable that is no text cannot be one of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    scm_connect::app::run(std::env::args_os(), environment)
}
