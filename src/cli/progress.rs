//! Bars for long work, drawn on the standard error output when that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One step of long work.
#[derive(Debug, Clone)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Begins a step; `doing` says what is done, in a few words.
    #[must_use]
    pub fn begin(doing: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is a constant of ours; a wrong one would only leave the plain bar.
        if let Ok(style) = ProgressStyle::with_template("{msg:28} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar.set_message(doing);
        Self(bar)
    }

    /// So much of so much is done.
    pub fn at(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }

    /// The step is over.
    pub fn end(self) {
        self.0.finish_and_clear();
    }
}
