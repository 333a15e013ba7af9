//! The routes of CI jobs.

pub(crate) mod check_in;
pub(crate) mod verdict;
