//! A scanner's report, read piece by piece: tens of megabytes never stand in memory at once.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::spool::Spooled;
use crate::domain::scan::{Finding, Scan};
use crate::domain::{Timestamp, id_of};

/// Findings that are handed on at once.
const BATCH: usize = 256;
const MESSAGE_CHARS_MAX: usize = 2000;
const TEXT_CHARS_MAX: usize = 512;

/// A finding as the scanner has it, as far as it is kept.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Seen {
    check_id: String,
    path: String,
    #[serde(default)]
    line: u64,
    #[serde(default)]
    end_line: u64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    severity: u8,
    #[serde(default)]
    index: u64,
    #[serde(default)]
    syntactic_id: Option<String>,
    #[serde(default)]
    match_based_id: Option<String>,
    #[serde(default)]
    is_blocking: bool,
}

impl Seen {
    pub(super) fn finding(self, scan: &Scan, now: Timestamp) -> Finding {
        let cut = |text: &str, most: usize| -> String {
            text.chars().filter(|letter| !letter.is_control() || *letter == '\n').take(most).collect()
        };
        // The match-based id survives moved lines; the syntactic one is always there.
        let mark = self.match_based_id.or(self.syntactic_id).unwrap_or_default();
        let (index, line) = (self.index.to_string(), self.line.to_string());
        let fingerprint = match mark.as_str() {
            "" => id_of(&["finding", &self.check_id, &self.path, &line, &index]),
            mark => id_of(&["finding", &self.check_id, &self.path, mark, &index]),
        };
        Finding {
            organization: scan.organization.clone(),
            project: scan.project.clone(),
            full_path: scan.full_path.clone(),
            git_ref: scan.git_ref.clone(),
            fingerprint,
            rule: cut(&self.check_id, TEXT_CHARS_MAX),
            path: cut(&self.path, TEXT_CHARS_MAX),
            line: self.line,
            end_line: self.end_line,
            message: cut(&self.message, MESSAGE_CHARS_MAX),
            severity: self.severity.min(2),
            is_blocking: self.is_blocking,
            sha: scan.sha.clone(),
            last_scan: scan.number,
            first_seen_at: now,
            last_seen_at: now,
            fixed_at: None,
        }
    }
}

/// What a report says beside its findings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The rules that ran.
    pub(super) rules: BTreeSet<String>,
}

/// Reads a report to its end, and hands its findings on; nothing of one that cannot be taken whole.
pub(super) fn take(
    mut report: Spooled,
    each: impl FnMut(Vec<Seen>) -> Result<(), String>,
) -> Result<Told, String> {
    read(&mut report, |_| Ok(()))?;
    report.rewind().map_err(|_| "it cannot be read again".to_owned())?;
    read(report, each)
}

fn read(source: impl Read, each: impl FnMut(Vec<Seen>) -> Result<(), String>) -> Result<Told, String> {
    let mut document = serde_json::Deserializer::from_reader(BufReader::new(source));
    let told = Report { each }.deserialize(&mut document).and_then(|told| document.end().map(|()| told));
    // What stands there is not repeated: it is somebody's code.
    told.map_err(|error| format!("line {}, column {}", error.line(), error.column()))
}

struct Report<F> {
    each: F,
}

impl<'de, F: FnMut(Vec<Seen>) -> Result<(), String>> DeserializeSeed<'de> for Report<F> {
    type Value = Told;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Told, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Vec<Seen>) -> Result<(), String>> Visitor<'de> for Report<F> {
    type Value = Told;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Told, A::Error> {
        let mut told = Told::default();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "findings" => map.next_value_seed(Findings { each: &mut self.each })?,
                "rule_ids" => told.rules.extend(map.next_value::<Vec<String>>()?),
                // The client's field for a token of the forge: null, or nothing is taken (rules.md e-30).
                "token" if !map.next_value::<Value>()?.is_null() => {
                    return Err(A::Error::custom("a token of the forge"));
                }
                "token" => {}
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(told)
    }
}

struct Findings<'a, F> {
    each: &'a mut F,
}

impl<'de, F: FnMut(Vec<Seen>) -> Result<(), String>> DeserializeSeed<'de> for Findings<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Vec<Seen>) -> Result<(), String>> Visitor<'de> for Findings<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of findings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut batch = Vec::new();
        while let Some(seen) = list.next_element::<Seen>()? {
            batch.push(seen);
            if batch.len() >= BATCH {
                (self.each)(std::mem::take(&mut batch)).map_err(A::Error::custom)?;
            }
        }
        if batch.is_empty() { Ok(()) } else { (self.each)(batch).map_err(A::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_all(text: &str) -> (Result<Told, String>, Vec<usize>) {
        let mut batches = Vec::new();
        let told = read(text.as_bytes(), |batch| {
            batches.push(batch.len());
            Ok(())
        });
        (told, batches)
    }

    #[test]
    fn a_report_is_read_in_pieces_and_past_what_is_not_known() {
        let one = json!({"check_id": "r", "path": "a.py", "line": 3, "metadata": {"x": [1]}, "new": null});
        let report = json!({
            "searched_paths": ["a"], "findings": vec![one; 600], "ignores": [], "token": null,
            "rule_ids": ["r", "s"], "contributions": {"contributions": []},
        });
        let (told, batches) = read_all(&report.to_string());
        assert_eq!(batches, [256, 256, 88]);
        assert_eq!(told.unwrap().rules, BTreeSet::from(["r".to_owned(), "s".to_owned()]));
    }

    #[test]
    fn a_broken_report_is_named_by_its_place_alone() {
        for text in
            ["", "[]", r#"{"findings": [{"path": "canary"}]}"#, r#"{"token": "glpat-canary"}"#, "{} x"]
        {
            let (told, _) = read_all(text);
            let why = told.unwrap_err();
            assert!(why.starts_with("line ") && !why.contains("canary"), "{text}: {why}");
        }
    }
}
