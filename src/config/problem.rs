//! What is wrong with a config, said so that it can be put right.

use std::fmt;

use crate::telemetry::escape::escape;

/// One thing that is wrong: where, what, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or `environment`.
    pub file: String,
    /// Its line, where there is one.
    pub line: Option<usize>,
    /// The key's whole path, or the variable's name.
    pub key: String,
    /// What is wrong with it; never a secret's value.
    pub message: String,
    /// What is allowed there.
    pub allowed: Option<String>,
}

/// Keys and file names come from outside, so nothing is shown without escaping it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", escape(&self.key))?;
        }
        write!(f, ": {}", escape(&self.message))?;
        match &self.allowed {
            Some(allowed) => write!(f, "; allowed: {}", escape(allowed)),
            None => Ok(()),
        }
    }
}

/// A config that is refused, with everything that is wrong with it. Nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// What is wrong, in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Where a value stands, kept so that a later check can still name its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: Option<usize>,
    pub(super) key: String,
}

impl Place {
    pub(super) fn problem(&self, message: impl Into<String>, allowed: Option<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.line,
            key: self.key.clone(),
            message: message.into(),
            allowed,
        }
    }
}

/// The known name that is nearest to a mistyped one, if any is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = word.chars().count().div_ceil(3).max(2);
    known
        .into_iter()
        .map(|name| (distance(word, name), name))
        .filter(|(far, _)| *far <= near)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be changed, added or dropped to make one word of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut next = vec![above.saturating_add(1)];
        for ((other, diagonal), up) in to.iter().zip(&row).zip(row.iter().skip(1)) {
            let swap = diagonal.saturating_add(usize::from(letter != *other));
            let left = next.last().copied().unwrap_or(usize::MAX);
            next.push(swap.min(up.saturating_add(1)).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_letters() {
        for (from, to, far) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("url", "ulr", 2)]
        {
            assert_eq!(distance(from, to), far, "{from} {to}");
        }
    }

    #[test]
    fn only_a_name_that_may_be_meant_is_offered() {
        let known = ["organization", "account", "url"];
        assert_eq!(nearest("organisation", known), Some("organization"));
        assert_eq!(nearest("acount", known), Some("account"));
        assert_eq!(nearest("colour_scheme", known), None);
    }
}
