//! What came of the story, read back over the API.

use std::collections::BTreeMap;

use serde_json::Value;

use super::job::FirstJob;
use super::play::Played;
use crate::cli::{Client, Failure};

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// How each delivery was answered.
    pub played: Vec<Played>,
    /// What the first CI job made.
    pub first_job: FirstJob,
    /// The connections.
    pub connections: Vec<Value>,
    /// The projects.
    pub projects: Vec<Value>,
    /// The members.
    pub members: Vec<Value>,
    /// Deliveries per state.
    pub states: BTreeMap<String, usize>,
    /// The refused requests.
    pub refused: Vec<Value>,
}

impl Outcome {
    /// Reads everything back.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn read(client: &Client, played: Vec<Played>, first_job: FirstJob) -> Result<Self, Failure> {
        let all = |what: &'static str| async move { client.list(&[what], &[], usize::MAX, None).await };
        let mut states = BTreeMap::new();
        for delivery in all("deliveries").await?.items {
            let state = delivery.get("state").and_then(Value::as_str).unwrap_or("unknown").to_owned();
            *states.entry(state).or_insert(0) += 1;
        }
        let refused = client.get(&["deliveries", "refused"], &[("source", "our-app".to_owned())]).await?;
        Ok(Self {
            played,
            first_job,
            connections: all("connections").await?.items,
            projects: all("projects").await?.items,
            members: all("members").await?.items,
            states,
            refused: refused.get("items").and_then(Value::as_array).cloned().unwrap_or_default(),
        })
    }

    /// What is wrong with it: the demo is a test, too.
    #[must_use]
    pub fn objections(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for one in &self.played {
            let taken = (200..300).contains(&one.status);
            if one.forged == taken {
                wrong.push(format!("{} was answered {}", one.file, one.status));
            }
        }
        if self.states.contains_key("dead") {
            wrong.push("a delivery was given up".to_owned());
        }
        let forged =
            self.projects.iter().any(|project| text(project, "full_path").contains("github-events-schemas"));
        if forged {
            wrong.push("the forged delivery's project is there".to_owned());
        }
        let job = &self.first_job;
        let is_connected =
            |it: &Value| text(it, "key") == job.connection && text(it, "kind") == "gitlab_cloud";
        if job.status != 201 || !job.has_token || !self.connections.iter().any(is_connected) {
            wrong.push(format!("the first CI job was answered {} and made no connection", job.status));
        }
        let forges: std::collections::BTreeSet<String> =
            self.projects.iter().map(|project| text(project, "provider")).collect();
        if forges.len() != 2 {
            wrong.push("there are not projects of both forges".to_owned());
        }
        wrong
    }
}

/// A field's text; `account.login` goes into the object.
#[must_use]
pub fn text(record: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(record, |value, key| value.get(key));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
