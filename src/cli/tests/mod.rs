//! What is typed, what is asked, what is printed.

mod asking;
mod daemon;
mod sending;
mod typing;
