//! The routes of CI jobs.

pub(crate) mod check_in;
pub(crate) mod finding;
pub(crate) mod login;
pub(crate) mod semgrep;
pub(crate) mod template;
pub(crate) mod verdict;
