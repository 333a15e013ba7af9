//! The rules that an organization hands to its scanners: a file, or a folder of files, in YAML or JSON.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Rules of one organization at most; more is a mistake in the path.
const BYTES_MAX: u64 = 64 << 20;
const DEPTH_MAX: usize = 16;

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct RulesError {
    /// Where.
    pub path: PathBuf,
    /// What is wrong.
    pub why: String,
}

/// All rules, as the client wants them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules(Vec<Value>);

impl Rules {
    /// Reads a file, or every `.yml`, `.yaml` and `.json` file below a folder.
    ///
    /// # Errors
    /// When something cannot be read, is no list of rules, or two rules have one id.
    pub fn read(path: &Path) -> Result<Self, RulesError> {
        let mut files = Vec::new();
        if path.is_dir() {
            find(path, DEPTH_MAX, &mut files)?
        } else {
            files.push(path.to_owned())
        }
        let (mut rules, mut bytes) = (Vec::new(), 0_u64);
        for file in files {
            let wrong = |why: String| RulesError { path: file.clone(), why };
            let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
            bytes = bytes.saturating_add(text.len() as u64);
            if bytes > BYTES_MAX {
                return Err(wrong("the rules are larger than 64 MiB in all".into()));
            }
            rules.extend(parse(&file, &text).map_err(wrong)?);
        }
        let mut ids: Vec<&str> = rules.iter().filter_map(|rule| rule.get("id")?.as_str()).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair.first() == pair.last()) {
            let id = pair.first().copied().unwrap_or_default();
            return Err(RulesError { path: path.to_owned(), why: format!("two rules have the id {id}") });
        }
        Ok(Self(rules))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// `{"rules": […]}`.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({ "rules": self.0 })
    }
}

fn find(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), RulesError> {
    let wrong = |why: String| RulesError { path: folder.to_owned(), why };
    let below = depth.checked_sub(1).ok_or_else(|| wrong("folders lie too deep in each other".into()))?;
    let entries = std::fs::read_dir(folder).map_err(|error| wrong(error.to_string()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| wrong(error.to_string()))?.path());
    }
    paths.sort();
    for path in paths {
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            find(&path, below, files)?;
        } else if ending.is_some_and(|ending| ["yml", "yaml", "json"].contains(&ending.as_str())) {
            files.push(path);
        }
    }
    Ok(())
}

fn parse(file: &Path, text: &str) -> Result<Vec<Value>, String> {
    let is_json = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let document: Value = if is_json {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())?
    };
    let rules = document.get("rules").and_then(Value::as_array).ok_or("it has no list \"rules\"")?;
    let named = |rule: &&Value| rule.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
    match rules.iter().find(|rule| !named(rule)) {
        Some(_) => Err("a rule has no id".into()),
        None => Ok(rules.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "rules:\n  - id: no-eval\n    pattern: eval(...)\n    message: no eval\n    languages: [python]\n    severity: ERROR\n";

    #[test]
    fn a_folder_of_yaml_and_json_is_one_list() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("a.yml"), RULE).unwrap();
        std::fs::write(folder.path().join("sub/b.json"), r#"{"rules": [{"id": "b"}]}"#).unwrap();
        std::fs::write(folder.path().join("README.md"), "no rules").unwrap();
        let rules = Rules::read(folder.path()).unwrap();
        assert_eq!(rules.count(), 2);
        let document = rules.document();
        assert_eq!(document["rules"][0]["languages"], json!(["python"]));
        assert_eq!(document["rules"][1]["id"], "b");
    }

    #[test]
    fn what_is_no_rules_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        for (text, why) in [("rules: [", ""), ("x: 1", "no list"), ("rules:\n  - pattern: x", "no id")] {
            std::fs::write(&file, text).unwrap();
            let error = Rules::read(&file).unwrap_err().to_string();
            assert!(error.contains("a.yaml") && error.contains(why), "{error}");
        }
        std::fs::write(&file, format!("{RULE}{}", RULE.trim_start_matches("rules:\n"))).unwrap();
        assert!(Rules::read(&file).unwrap_err().to_string().contains("no-eval"));
        assert!(Rules::read(Path::new("/nowhere/at/all")).is_err());
    }
}
