//! Where a command prints: tables for people, tab-separated lines or JSON for everything else.

use std::io::{IsTerminal, Write};

use serde_json::Value;

use crate::telemetry::escape::escape;

/// Where a command prints.
pub struct Terminal {
    /// What was asked for.
    pub out: Box<dyn Write + Send>,
    /// What is said besides.
    pub err: Box<dyn Write + Send>,
    /// Whether people look at `out`.
    pub is_terminal: bool,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}

/// One column: its title and where its value is, `account.login`.
pub type Column = (&'static str, &'static str);

impl Terminal {
    /// The process's own.
    #[must_use]
    pub fn standard() -> Self {
        let out = std::io::stdout();
        let is_terminal = out.is_terminal();
        Self { out: Box::new(out), err: Box::new(std::io::stderr()), is_terminal }
    }

    /// A line, as it stands but for control characters.
    pub(crate) fn line(&mut self, text: &str) -> std::io::Result<()> {
        writeln!(self.out, "{}", escape(text))
    }

    /// A remark for people; scripts do not see it.
    pub(crate) fn remark(&mut self, text: &str) -> std::io::Result<()> {
        writeln!(self.err, "{}", escape(text))
    }

    /// One JSON document.
    pub(crate) fn json(&mut self, value: &Value) -> std::io::Result<()> {
        let text = if self.is_terminal { format!("{value:#}") } else { value.to_string() };
        let lines: Vec<String> = text.lines().map(safe_json).collect();
        writeln!(self.out, "{}", lines.join("\n"))
    }

    /// A list of records.
    pub(crate) fn rows(&mut self, columns: &[Column], rows: &[Value]) -> std::io::Result<()> {
        let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let cells = rows.iter().map(|row| columns.iter().map(|(_, path)| cell(row, path)).collect());
        self.table(titles, cells.collect())
    }

    /// One record, a line for each field.
    pub(crate) fn record(&mut self, record: &Value) -> std::io::Result<()> {
        let fields = record.as_object().into_iter().flatten();
        let cells = fields.flat_map(|(name, value)| field(name, value));
        self.table(vec!["FIELD".into(), "VALUE".into()], cells.collect())
    }

    /// What came of the demo.
    pub(crate) fn outcome(&mut self, outcome: &crate::demo::report::Outcome) -> std::io::Result<()> {
        let (taken, refused): (Vec<_>, Vec<_>) = outcome.played.iter().partition(|one| one.status < 300);
        self.line(&format!(
            "{} recorded deliveries were sent, {} were taken",
            outcome.played.len(),
            taken.len()
        ))?;
        for one in refused {
            self.line(&format!(
                "refused ({}): {} in {}, its signature was corrupted",
                one.status, one.event, one.file
            ))?;
        }
        let states: Vec<String> =
            outcome.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        self.line(&format!("they are {}", states.join(", ")))?;
        let job = &outcome.first_job;
        self.line(&format!(
            "a first GitLab job of {} made the connection {}",
            job.full_path, job.connection
        ))?;
        self.section("Connections")?;
        let columns: &[Column] =
            &[("KEY", "key"), ("KIND", "kind"), ("ACCOUNT", "account.login"), ("STATE", "state")];
        self.rows(columns, &outcome.connections)?;
        self.section("Projects")?;
        let columns: &[Column] =
            &[("PATH", "full_path"), ("HOST", "host"), ("STATE", "state"), ("CI", "ci_state")];
        self.rows(columns, &outcome.projects)?;
        self.section("Members")?;
        let columns: &[Column] =
            &[("LOGIN", "login"), ("HOST", "host"), ("STATE", "state"), ("SOURCE", "source")];
        self.rows(columns, &outcome.members)
    }

    fn section(&mut self, title: &str) -> std::io::Result<()> {
        writeln!(self.out, "\n{title}")
    }

    fn table(&mut self, titles: Vec<String>, rows: Vec<Vec<String>>) -> std::io::Result<()> {
        if !self.is_terminal {
            for row in std::iter::once(titles).chain(rows) {
                writeln!(self.out, "{}", row.join("\t"))?;
            }
            return Ok(());
        }
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        table.set_header(titles);
        table.add_rows(rows);
        writeln!(self.out, "{}", table.trim_fmt())
    }
}

/// JSON escapes the lowest control characters by itself; the rest is written as `\u009b`, so that it still parses.
fn safe_json(line: &str) -> String {
    let mut safe = String::new();
    for c in line.chars() {
        if crate::telemetry::escape::is_unsafe(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A field's lines: one for each of its records, one for each of its own fields, else one.
fn field(name: &str, value: &Value) -> Vec<Vec<String>> {
    match value {
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().map(|item| vec![escape(name), pairs(item)]).collect()
        }
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().flat_map(|(inner, value)| field(&format!("{name}.{inner}"), value)).collect()
        }
        other => vec![vec![escape(name), text(other)]],
    }
}

/// A record within a record, on one line.
fn pairs(item: &Value) -> String {
    let Some(fields) = item.as_object() else { return text(item) };
    let told = fields.iter().filter(|(_, value)| !value.is_null());
    told.map(|(name, value)| format!("{} {}", escape(name), text(value))).collect::<Vec<_>>().join(", ")
}

/// The value at a path such as `account.login`.
fn cell(row: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(row, |value, key| value.get(key));
    found.map(text).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escape(text),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => escape(&other.to_string()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What was printed.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// A terminal that prints on paper: what was asked for, and the remarks.
    pub(crate) fn paper(is_terminal: bool) -> (Terminal, Paper, Paper) {
        let (out, err) = (Paper::default(), Paper::default());
        (Terminal { out: Box::new(out.clone()), err: Box::new(err.clone()), is_terminal }, out, err)
    }

    fn hostile() -> Vec<Value> {
        vec![serde_json::json!({
            "key": "\u{1b}[2J\u{202e}a\tb\r\nc",
            "account": { "login": "\u{9b}31m" },
            "reasons": ["x\u{7}", "y"],
        })]
    }

    const COLUMNS: &[Column] =
        &[("KEY", "key"), ("LOGIN", "account.login"), ("REASONS", "reasons"), ("NONE", "a.b")];

    #[test]
    fn s59_no_record_can_reach_the_terminal_behind_the_table() {
        for is_terminal in [true, false] {
            let (mut terminal, out, _) = paper(is_terminal);
            terminal.rows(COLUMNS, &hostile()).unwrap();
            terminal.record(&hostile()[0]).unwrap();
            terminal.json(&hostile()[0]).unwrap();
            terminal.line("\u{1b}c").unwrap();
            let unsafe_left = |c: char| crate::telemetry::escape::is_unsafe(c) && c != '\n' && c != '\t';
            let text = out.text();
            assert!(!text.contains(unsafe_left), "{text:?}");
        }
    }

    #[test]
    fn a_pipe_gets_one_line_for_each_record_with_tabs_between_the_values() {
        let (mut terminal, out, _) = paper(false);
        terminal.rows(COLUMNS, &hostile()).unwrap();
        assert_eq!(
            out.text(),
            "KEY\tLOGIN\tREASONS\tNONE\n\\u{1b}[2J\\u{202e}a\\u{9}b\\u{d}\\u{a}c\t\\u{9b}31m\tx\\u{7}, y\t\n"
        );
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        for is_terminal in [true, false] {
            let (mut terminal, out, _) = paper(is_terminal);
            terminal.json(&hostile()[0]).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&out.text()).unwrap(), hostile()[0]);
        }
    }
}
