//! The house's rules, as far as a text can be checked for them: layers, homes of crates, sizes, forbidden words.

use std::fs;
use std::path::{Path, PathBuf};

/// Which layer may name which others. A layer that is not listed may be named by nobody but itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("fault", &[]),
    ("seal", &["domain"]),
    ("telemetry", &["domain"]),
    ("outbound", &["domain", "telemetry"]),
    ("provider", &["domain", "outbound", "telemetry"]),
    ("handler", &["domain"]),
    ("store", &["domain", "seal", "fault", "telemetry"]),
    ("connect", &["provider", "outbound", "store", "handler", "domain", "telemetry"]),
    ("follow", &["provider", "store", "handler", "domain", "telemetry"]),
    ("worker", &["follow", "provider", "store", "handler", "domain", "fault", "telemetry"]),
    ("ci", &["store", "handler", "domain", "seal", "telemetry"]),
    ("linking", &["connect", "provider", "store", "handler", "domain", "seal"]),
    (
        "web",
        &["ci", "connect", "follow", "linking", "provider", "store", "domain", "seal", "telemetry", "fault"],
    ),
    ("config", &["provider", "store", "domain", "outbound", "seal", "telemetry"]),
    ("demo", &["provider", "domain", "cli"]),
    ("cli", &["config", "provider", "domain", "seal", "demo", "telemetry"]),
    (
        "app",
        &[
            "ci",
            "cli",
            "config",
            "connect",
            "demo",
            "domain",
            "follow",
            "handler",
            "linking",
            "outbound",
            "provider",
            "seal",
            "store",
            "telemetry",
            "web",
            "worker",
            "fault",
        ],
    ),
];

/// What is named in one place only.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("actix_web", &["src/web/", "src/app/"]),
    ("sled::", &["src/store/sled/", "src/app/", "src/store/contract/", "src/store/postgres/tests/"]),
    ("sqlx", &["src/store/postgres/"]),
    // Every statement is a constant: nothing is asserted to be safe.
    ("AssertSqlSafe", &["src/store/postgres/tests/"]),
    ("Delivery::restore", &["src/store/", "src/domain/delivery.rs", "src/web/tests/", "src/worker/tests/"]),
    ("Delivery::fetched", &["src/follow/", "src/domain/delivery.rs"]),
    ("sd_notify", &["src/app/"]),
    ("utoipa", &["src/web/", "src/domain/"]),
    ("fault::point", &["src/store/", "src/worker/", "src/web/", "src/fault.rs"]),
    // The command line speaks to our own daemon with it, and to nobody else.
    ("reqwest", &["src/outbound/", "src/cli/", "src/demo/"]),
    ("octocrab", &["src/provider/github/client/"]),
    ("ProvenJob::check", &["src/ci/id_token/", "src/handler/tests/"]),
    ("std::env::vars", &["src/main.rs", "build.rs"]),
];

const FORBIDDEN_MODULES: &[&str] = &["util", "utils", "common", "types", "models", "helpers", "misc"];
const FILE_LINES_MAX: usize = 400;

fn rust_files(dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no source under {dir}");
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_string_lossy().into_owned()
}

/// The first folder or file under `src`.
fn layer(path: &Path) -> String {
    let name = name(path);
    let rest = name.strip_prefix("src/").unwrap_or(&name);
    rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs").to_owned()
}

/// The lines of a file that are code: comments and test modules kept in the same file stay, doc lines go.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_layer_names_only_the_layers_below_it() {
    let mut wrong = Vec::new();
    for path in rust_files("src") {
        let own = layer(&path);
        if matches!(own.as_str(), "lib" | "main") {
            continue;
        }
        let allowed = MAY_USE.iter().find(|(name, _)| *name == own).map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            wrong.push(format!("{}: the layer {own} is not in the table", name(&path)));
            continue;
        };
        let text = code(&path);
        for (other, _) in MAY_USE {
            let named =
                text.contains(&format!("crate::{other}::")) || text.contains(&format!("crate::{other};"));
            if named && *other != own && !allowed.contains(other) {
                wrong.push(format!("{}: {own} may not name {other}", name(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_two_forges_do_not_know_each_other() {
    for path in rust_files("src/provider") {
        let file = name(&path);
        let other = if file.contains("/github/") {
            "gitlab"
        } else if file.contains("/gitlab/") {
            "github"
        } else {
            continue;
        };
        assert!(!code(&path).contains(&format!("provider::{other}")), "{file} names {other}");
    }
}

#[test]
fn what_has_a_home_is_named_only_there() {
    let mut wrong = Vec::new();
    for path in rust_files("src") {
        let file = name(&path);
        let text = code(&path);
        for (what, homes) in ONLY_IN {
            if text.contains(what) && !homes.iter().any(|home| file.starts_with(home)) {
                wrong.push(format!("{file} names {what}, whose home is {}", homes.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    let mut wrong = Vec::new();
    for path in rust_files("src").into_iter().chain(rust_files("tests")) {
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("//!") {
            wrong.push(format!("{} does not begin with what it is", name(&path)));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!("{} has {lines} lines, {FILE_LINES_MAX} are allowed", name(&path)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_module_is_a_drawer() {
    for path in rust_files("src") {
        let file = name(&path);
        let drawer = FORBIDDEN_MODULES
            .iter()
            .find(|word| file.split('/').any(|part| part.trim_end_matches(".rs") == **word));
        assert!(drawer.is_none(), "{file} is named after nothing in particular");
    }
}

#[test]
fn s01_no_setting_turns_proof_off() {
    for path in rust_files("src") {
        let text = code(&path).to_lowercase();
        for word in
            ["skip_signature", "insecure_skip", "disable_verification", "danger_accept_invalid", "no_verify"]
        {
            assert!(!text.contains(word), "{} names {word}", name(&path));
        }
    }
}

#[test]
fn r50_a_fault_is_logged_under_its_code_only() {
    for path in rust_files("src") {
        let file = name(&path);
        if file.starts_with("src/telemetry/") {
            continue;
        }
        for level in ["tracing::warn!", "tracing::error!"] {
            let why = "name the fault in src/telemetry/fault.rs and write report!(Fault::…)";
            assert!(!code(&path).contains(level), "{file} has {level}: {why}");
        }
    }
}
