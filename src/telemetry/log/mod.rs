//! Logs: one event, one line. For people on a terminal, as JSON everywhere else.
//!
//! Names and secrets of strangers end up in logs, so every value is escaped and cut on its way out, whatever the
//! caller did or forgot.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::escape::{escape, escape_short};
use crate::domain::Clock;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// For machines.
    Json,
}

impl Format {
    /// People sit at terminals; what is redirected is read by machines.
    #[must_use]
    pub const fn of_terminal(is_terminal: bool) -> Self {
        if is_terminal { Self::Human } else { Self::Json }
    }
}

/// What is logged unless somebody asks for something else.
pub const FILTER: &str = "info,actix_server=warn";

/// Starts logging to stderr. `filter` is in the manner of `RUST_LOG`: `info,scm_connect::worker=debug`.
///
/// # Errors
/// When the filter cannot be read, or logging was started already.
pub fn install(format: Format, filter: Option<&str>, clock: Clock) -> Result<(), String> {
    let subscriber = subscriber(format, filter, clock, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| format!("logging cannot start: {error}"))
}

/// What [`install`] installs, writing anywhere.
///
/// # Errors
/// When the filter cannot be read.
pub fn subscriber<W>(
    format: Format,
    filter: Option<&str>,
    clock: Clock,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter.unwrap_or(FILTER)).map_err(|error| {
        let error = escape(&error.to_string());
        format!("the log filter cannot be read: {error}; write it like info,scm_connect::worker=debug")
    })?;
    Ok(tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false)
        .fmt_fields(SpanFields)
        .event_format(Lines { format, clock })
        .finish())
}

/// A span's fields, kept as escaped text `key=value key=value`.
#[derive(Debug)]
struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut read = Fields::default();
        fields.record(&mut read);
        let words: Vec<String> = read.0.iter().map(|(name, value)| pair(name, value)).collect();
        writer.write_str(&words.join(" "))
    }
}

/// Writes events.
struct Lines {
    format: Format,
    clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let at = (self.clock)().rfc3339();
        let meta = event.metadata();
        // Records of the `log` crate carry text of their own here.
        let target = escape_short(format_args!("{}", meta.target()));
        let spans = spans(ctx);
        let line = match self.format {
            Format::Human => fields.human(&at, *meta.level(), &target, &spans),
            Format::Json => fields.json(at, *meta.level(), target, spans),
        };
        writer.write_str(&line)?;
        writer.write_char('\n')
    }
}

fn spans<S, N>(ctx: &FmtContext<'_, S, N>) -> Vec<String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let Some(scope) = ctx.event_scope() else { return Vec::new() };
    let spans = scope.from_root().map(|span| {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>().map(|fields| fields.fields.as_str());
        match fields.filter(|fields| !fields.is_empty()) {
            Some(fields) => format!("{}{{{fields}}}", span.name()),
            None => span.name().to_owned(),
        }
    });
    spans.collect()
}

/// `key=value`, quoted where it would not read as one word.
fn pair(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains([' ', '"', '=', '{', '}']) => {
            format!("{name}=\"{}\"", text.replace('"', "\\\""))
        }
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    }
}

/// An event's fields, each escaped and cut as it is read.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn keep(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(escape_short(format_args!("{}", field.name())), value.into());
    }

    fn message(&mut self) -> String {
        match self.0.remove("message") {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    fn human(mut self, at: &str, level: tracing::Level, target: &str, spans: &[String]) -> String {
        let mut line = format!("{at} {level:>5} {target}: {}", self.message());
        for (name, value) in &self.0 {
            line.push(' ');
            line.push_str(&pair(name, value));
        }
        if !spans.is_empty() {
            line.push_str(" in ");
            line.push_str(&spans.join(":"));
        }
        line
    }

    fn json(mut self, at: String, level: tracing::Level, target: String, spans: Vec<String>) -> String {
        let mut line = Map::new();
        line.insert("time".into(), at.into());
        line.insert("level".into(), level.as_str().to_ascii_lowercase().into());
        line.insert("target".into(), target.into());
        line.insert("message".into(), self.message().into());
        if !self.0.is_empty() {
            line.insert("fields".into(), Value::Object(self.0));
        }
        if !spans.is_empty() {
            line.insert("spans".into(), spans.into());
        }
        Value::Object(line).to_string()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, escape_short(format_args!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, escape_short(format_args!("{value}")));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.keep(field, escape_short(format_args!("{value}")));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value);
    }
}

#[cfg(test)]
pub(crate) mod tests;
