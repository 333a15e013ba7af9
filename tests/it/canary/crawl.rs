//! What comes out: every route for every role, every command, every file.

use std::collections::BTreeMap;
use std::fs;

use reqwest::Method;
use serde_json::Value;

use super::world::{CONTROL, World};
use crate::keep::keys::rotate;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Nobody,
    Token(&'static str),
    Operator,
}

const ROLES: [Role; 6] = [
    Role::Nobody,
    Role::Token("ci"),
    Role::Token("read"),
    Role::Token("revoked"),
    Role::Token("admin"),
    Role::Operator,
];

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Token(kind) => kind,
            Self::Operator => "operator",
        }
    }

    /// Whether it may change something: then it names nothing that there is.
    fn is_mighty(self) -> bool {
        matches!(self, Self::Operator | Self::Token("admin"))
    }
}

/// Asks, as a role does.
async fn ask(world: &World, role: Role, method: &Method, path: &str) -> Vec<u8> {
    let (http, base) = match role {
        Role::Operator => (&world.operator, "http://daemon".to_owned()),
        _ => (&world.stranger, format!("http://{}", world.daemon.public)),
    };
    let mut request = http.request(method.clone(), format!("{base}{path}"));
    if let Role::Token(kind) = role {
        request = request.bearer_auth(world.token(kind));
    }
    if *method != Method::GET {
        request = request.header("content-type", "application/json").body("{\"nonsense\": 1}");
    }
    let answer = request.send().await.unwrap();
    let told = format!("{:?} {:?}\n", answer.status(), answer.headers());
    [told.as_bytes(), &answer.bytes().await.unwrap()].concat()
}

/// The routes of the document, which is made from the same table as they are.
async fn table(world: &World) -> Vec<(Method, String)> {
    let document = ask(world, Role::Nobody, &Method::GET, "/api/v1/openapi.json").await;
    let json = document.split(|byte| *byte == b'\n').skip(1).collect::<Vec<_>>().join(&b'\n');
    let document: Value = serde_json::from_slice(&json).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let lines = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase().parse().unwrap(), path.clone())).collect::<Vec<_>>()
    });
    lines.collect()
}

/// What there is in each list: its first ids.
async fn ids(world: &World, lines: &[(Method, String)]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (_, path) in lines.iter().filter(|(method, path)| *method == Method::GET && !path.contains('{')) {
        let answer = ask(world, Role::Operator, &Method::GET, &format!("{path}?organization=acme")).await;
        let body = answer.split(|byte| *byte == b'\n').skip(1).collect::<Vec<_>>().join(&b'\n');
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let items = body["items"].as_array().into_iter().flatten();
        let id = |item: &Value| item.get("id").or(item.get("key")).and_then(Value::as_str).map(str::to_owned);
        found.insert(path.clone(), items.filter_map(id).take(3).collect());
    }
    found
}

/// A route's path with what there is, and with what there is not.
fn filled(path: &str, ids: &BTreeMap<String, Vec<String>>, only_missing: bool) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let rest = rest.split_once('}').unwrap().1;
    let known = match before {
        "/hooks/" | "/connect-scm/github/" => vec!["canary-app".to_owned()],
        "/orgs/" => vec!["acme".to_owned()],
        "/docs/" => vec!["page.js".to_owned()],
        _ => ids.get(before.trim_end_matches('/')).cloned().unwrap_or_default(),
    };
    let known = known.into_iter().filter(|_| !only_missing);
    known.chain(["missing".to_owned()]).map(|id| format!("{before}{id}{rest}")).collect()
}

pub(super) async fn routes(world: &mut World) {
    let lines = table(world).await;
    let ids = ids(world, &lines).await;
    assert!(lines.len() >= 60, "only {} routes", lines.len());
    for (method, path) in &lines {
        for role in ROLES {
            for path in filled(path, &ids, role.is_mighty() && *method != Method::GET) {
                let queries: &[&str] =
                    if *method == Method::GET { &["", "?organization=acme"] } else { &[""] };
                for query in queries {
                    let answer = ask(world, role, method, &format!("{path}{query}")).await;
                    world.look(&format!("{method} {path}{query} as {}", role.name()), &answer, &[]);
                }
            }
        }
    }
    let ops = world.daemon.ops.clone();
    for path in ["/livez", "/readyz", "/healthz", "/healthz?verbose", "/metrics", "/nowhere"] {
        let answer = reqwest::get(format!("http://{ops}{path}")).await.unwrap().bytes().await.unwrap();
        world.look(&format!("ops {path}"), &answer, &[]);
    }
    let control = world.shown.iter().filter(|it| it.contains("/api/v1/connections")).count();
    assert!(control >= 3, "the control is shown by {control} routes only: {:?}", world.shown);
}

pub(super) async fn commands(world: &mut World) {
    let lists: [&[&str]; 15] = [
        &["organizations", "list"],
        &["connections", "list"],
        &["connections", "show", CONTROL],
        &["connections", "show", "declared-gitlab"],
        &["projects", "list"],
        &["members", "list"],
        &["members", "held"],
        &["deliveries", "list"],
        &["dead-letters", "list"],
        &["token", "list"],
        &["audit", "list"],
        &["audit", "verify"],
        &["store", "verify"],
        &["check"],
        &["version"],
    ];
    for words in lists {
        world.run(words, &[]).await;
        world.run(&[words, &["--json"]].concat(), &[]).await;
    }
    for words in [&["openapi"][..], &["ci-template", "gitlab", "--scan"], &["--help"], &["healthcheck"]] {
        world.run(words, &[]).await;
    }
    let control = world.shown.iter().filter(|it| it.starts_with("connections")).count();
    assert!(control >= 4, "the control is shown by {control} commands only: {:?}", world.shown);
}

pub(super) async fn files(world: &mut World) {
    for (name, words) in
        [("all.jsonl", ["store", "export", "--to"]), ("all.jsonl.zst", ["store", "export", "--to"])]
    {
        let path = world.bench.file(name);
        world.run(&[&words[..], &[path.to_str().unwrap()]].concat(), &[]).await;
        let bytes = fs::read(&path).unwrap();
        let bytes = if name.ends_with("zst") { zstd::decode_all(bytes.as_slice()).unwrap() } else { bytes };
        world.look(name, &bytes, &[]);
        assert!(world.shown.iter().any(|it| it == name), "the control is not in {name}");
    }
    let path = world.bench.file("audit.jsonl");
    world.run(&["audit", "export", "--to", path.to_str().unwrap()], &[]).await;
    world.look("audit.jsonl", &fs::read(&path).unwrap(), &[]);
    let ended = rotate(&world.bench, "").await;
    world.look("keys rotate", ended.said.as_bytes(), &[]);
    let log = world.daemon.output();
    assert!(log.contains("\"trace\""), "the log is not at its finest");
    assert!(log.contains("injected") || log.contains("panic"), "nothing panicked");
    world.look("the log", log.as_bytes(), &[]);
    assert!(log.contains("a route is open"), "the control is not in the log");
    let pid = world.daemon.pid().as_raw_nonzero();
    world.look("the command line", &fs::read(format!("/proc/{pid}/cmdline")).unwrap(), &[]);
    let mut open = vec![world.bench.store()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            match path.metadata().unwrap() {
                meta if meta.is_dir() => open.push(path),
                meta if meta.is_file() => {
                    let bytes = fs::read(&path).unwrap_or_default();
                    world.look(&path.display().to_string(), &bytes, &[]);
                }
                _ => {}
            }
        }
    }
}
