//! How a command ends.

/// The exit codes; scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong use, or a config that is refused.
    Usage = 2,
    /// The store refused: locked, damaged, or newer than this program.
    Store = 3,
    /// There is no such thing.
    NotFound = 4,
    /// The forge refused.
    Forge = 5,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked: a sentence, and the code to end with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// Anything that has no code of its own.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }

    /// The command was typed in a way that cannot work.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            // Whoever read the output has read enough (`… | head`): there is nothing to say, and nobody to say it to.
            return Self { exit: Exit::Done, message: String::new() };
        }
        Self::failed(format!("the output cannot be written: {error}"))
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_has_read_enough_is_no_failure() {
        let end = |kind: std::io::ErrorKind| Failure::from(std::io::Error::from(kind));
        assert_eq!(end(std::io::ErrorKind::BrokenPipe), Failure { exit: Exit::Done, message: String::new() });
        assert_eq!(end(std::io::ErrorKind::StorageFull).exit, Exit::Failed);
    }
}
