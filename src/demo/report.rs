//! What came of the demo, for people and for programs.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::Played;

/// What the daemon's lists say afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Came {
    /// Connections.
    pub connections: Vec<Value>,
    /// Projects.
    pub projects: Vec<Value>,
    /// Members.
    pub members: Vec<Value>,
    /// Deliveries.
    pub deliveries: Vec<Value>,
}

/// A delivery that the front door refused.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    /// Its name.
    name: &'static str,
    /// What it was answered.
    status: u16,
    /// The demo spoilt its signature.
    forged: bool,
    /// The project it names.
    project: Option<String>,
    /// That project is in no list.
    absent: bool,
}

/// The whole outcome.
#[derive(Debug, Clone)]
pub struct Report {
    came: Came,
    sent: usize,
    stored: usize,
    duplicates: usize,
    refused: Vec<Refused>,
    states: BTreeMap<String, usize>,
}

/// Puts together what was sent and what came of it.
#[must_use]
pub fn report(played: &[Played], came: Came) -> Report {
    let mut seen = std::collections::BTreeSet::new();
    let kept = played.iter().filter_map(|one| one.id.as_deref());
    let duplicates = kept.filter(|id| !seen.insert(*id)).count();
    let mut states = BTreeMap::new();
    for delivery in &came.deliveries {
        let count: &mut usize = states.entry(field(delivery, "state")).or_default();
        *count = count.saturating_add(1);
    }
    let is_refused = |one: &&Played| one.status >= 400;
    let refused = played.iter().filter(is_refused).map(|one| refusal(one, &came)).collect();
    Report { sent: played.len(), stored: seen.len(), duplicates, refused, states, came }
}

fn refusal(one: &Played, came: &Came) -> Refused {
    let body: Value = serde_json::from_slice(one.recorded.body).unwrap_or_default();
    let names = [("repository", "full_name"), ("project", "path_with_namespace")];
    let project = names.iter().find_map(|(of, name)| body.get(of)?.get(name)?.as_str()).map(str::to_owned);
    let is_it = |listed: &Value| project.as_deref() == listed.get("full_path").and_then(Value::as_str);
    let absent = project.is_none() || !came.projects.iter().any(is_it);
    Refused { name: one.recorded.name(), status: one.status, forged: one.forged, project, absent }
}

impl Report {
    /// What is not as the demo promises; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for one in &self.refused {
            if !one.forged {
                faults.push(format!("{} is genuine and was answered {}", one.name, one.status));
            } else if one.status != 401 || !one.absent {
                faults.push(format!("{} is forged and left a trace", one.name));
            }
        }
        if !self.refused.iter().any(|one| one.forged) {
            faults.push("the forged delivery was let in".to_owned());
        }
        for provider in ["github", "gitlab"] {
            let of = |project: &Value| field(project, "provider") == provider;
            if !self.came.projects.iter().any(of) {
                faults.push(format!("no project of {provider} came of it"));
            }
        }
        if self.came.members.is_empty() {
            faults.push("no member came of it".to_owned());
        }
        for state in ["queued", "working", "waiting", "dead"] {
            if let Some(count) = self.states.get(state) {
                faults.push(format!("{count} deliveries are {state}"));
            }
        }
        faults
    }

    /// For `--json`.
    #[must_use]
    pub fn json(&self) -> Value {
        let refused = self.refused.iter().map(|one| {
            json!({
                "event": one.name, "status": one.status, "forged": one.forged,
                "project": one.project, "project_absent": one.absent,
            })
        });
        json!({
            "sent": self.sent,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "refused": refused.collect::<Vec<_>>(),
            "deliveries": self.states,
            "connections": self.came.connections,
            "projects": self.came.projects,
            "members": self.came.members,
            "faults": self.faults(),
        })
    }

    /// For people: tables.
    #[must_use]
    pub fn text(&self) -> String {
        let Came { connections, projects, members, .. } = &self.came;
        let states = self.states.iter().map(|(state, count)| vec![state.clone(), count.to_string()]);
        let refused = self.refused.iter().map(|one| {
            let project = one.project.as_deref().map_or_else(|| "-".to_owned(), harmless);
            let trace = if one.absent { "absent" } else { "PRESENT" };
            vec![one.name.to_owned(), one.status.to_string(), project, trace.to_owned()]
        });
        let parts = [
            listed("Connections", &["key", "kind", "account.login", "authority", "state"], connections),
            listed("Projects", &["provider", "full_path", "state", "ci_state", "connection"], projects),
            listed("Members", &["login", "host", "role", "state", "source"], members),
            table("Deliveries", &["state", "count"], states),
            table("Refused", &["event", "answer", "project", "in the lists"], refused),
            format!(
                "{} sent: {} stored, {} known already, {} refused",
                self.sent,
                self.stored,
                self.duplicates,
                self.refused.len()
            ),
        ];
        let faults = self.faults().into_iter().map(|fault| format!("\nwrong: {}", harmless(&fault)));
        parts.join("\n\n") + &faults.collect::<String>() + "\n"
    }
}

fn listed(title: &str, columns: &[&str], items: &[Value]) -> String {
    let row = |item: &Value| columns.iter().map(|column| field(item, column)).collect();
    table(title, columns, items.iter().map(row))
}

fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(columns.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    if table.is_empty() { format!("{title}: none") } else { format!("{title}\n{table}") }
}

/// A field, or one inside of it (`account.login`), as a person reads it.
fn field(item: &Value, path: &str) -> String {
    match path.split('.').try_fold(item, |value, name| value.get(name)) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => harmless(text),
        Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        Some(other) => harmless(&other.to_string()),
    }
}

/// Names come from the forges; on a terminal none may move the cursor or turn the reading direction.
fn harmless(text: &str) -> String {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c: &char| !c.is_control() && !turns(*c)).take(120).collect()
}
