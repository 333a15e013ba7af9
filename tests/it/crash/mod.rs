//! Nothing that was acknowledged is lost, whatever ends the process, fails under it, or cuts the power.

pub(crate) mod disk;
pub(crate) mod image;
mod kill;
pub(crate) mod syscall;
