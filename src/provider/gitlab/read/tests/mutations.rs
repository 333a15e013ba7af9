//! S6: whatever stands in a body, reading it ends.

use serde_json::{Value, json};

use super::*;

/// Stands for what `serde_json::Value` cannot hold, until the text is written.
const HUGE: &str = "\u{1}huge";
const DEEP: &str = "\u{1}deep";

/// Last keys without which a body says nothing. Everywhere else a strange value must not matter.
const NEEDED: [&str; 14] = [
    "",
    "object_kind",
    "event_name",
    "object_attributes",
    "project",
    "id",
    "iid",
    "project_id",
    "group_id",
    "user_id",
    "build_id",
    "target_project_id",
    "ref",
    "username",
];

fn pointers(value: &Value, here: String, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pointers(value, format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                pointers(value, format!("{here}/{index}"), out);
            }
        }
        _ => {}
    }
    out.push(here);
}

fn wrong_type(value: &Value) -> Value {
    match value {
        Value::String(_) => json!(7),
        Value::Number(number) => json!(number.to_string()),
        Value::Null | Value::Bool(_) => json!({"a": [1]}),
        Value::Array(_) => json!("a list"),
        Value::Object(_) => json!([{"id": 1}]),
    }
}

fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.remove(&key)),
        Some(Value::Array(list)) => drop(list.remove(key.parse().unwrap())),
        _ => {}
    }
}

fn write(document: &Value) -> String {
    let text = serde_json::to_string(document).unwrap();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    text.replace("\"\\u0001huge\"", "1e400").replace("\"\\u0001deep\"", &deep)
}

/// The document with every mutation of the node at `pointer`; `None` in place of those that may not be JSON for us.
fn mutate(document: &Value, pointer: &str) -> Vec<(bool, String)> {
    let old = document.pointer(pointer).unwrap();
    let new = [
        json!(null),
        json!(""),
        json!(0),
        json!(-1),
        json!(true),
        json!([]),
        json!({}),
        json!(DEEP),
        json!(i64::MIN),
        json!(u64::MAX),
        json!("\u{0}\u{7f}\u{202e}".repeat(300)),
        wrong_type(old),
        json!(HUGE),
    ];
    let put = |new: Value| {
        let mut changed = document.clone();
        *changed.pointer_mut(pointer).unwrap() = new;
        changed
    };
    let mut out: Vec<_> = new.into_iter().map(|new| (new != HUGE, write(&put(new)))).collect();
    let mut without = document.clone();
    remove(&mut without, pointer);
    out.push((true, write(&without)));
    out
}

#[test]
fn s06_no_value_in_any_place_of_any_body_stops_the_reader() {
    let mut read = 0_u32;
    for fixture in fixtures() {
        let document: Value = serde_json::from_str(&fixture.body).unwrap();
        let whole = read_body(fixture.header, fixture.body.clone()).is_ok();
        let mut places = Vec::new();
        pointers(&document, String::new(), &mut places);
        for place in &places {
            let key = place.rsplit('/').next().unwrap_or_default();
            for (is_json, body) in mutate(&document, place) {
                let answer = read_body(fixture.header, body.clone());
                read += 1;
                let must = whole && is_json && !NEEDED.contains(&key);
                assert!(answer.is_ok() || !must, "{} {place}: {answer:?}\n{body}", fixture.name);
            }
        }
    }
    println!("s06: {read} bodies read");
    assert!(read > 20_000, "{read}");
}

#[test]
fn s06_no_bytes_stop_the_reader() {
    let nest = |open: &str, inner: &str, n: usize| format!("{}{inner}", open.repeat(n)).into_bytes();
    let bodies = [
        vec![],
        b"null".to_vec(),
        b"[]".to_vec(),
        b"[{\"object_kind\":\"pipeline\"}]".to_vec(),
        b"\"x\"".to_vec(),
        b"{".to_vec(),
        b"{}{}".to_vec(),
        b"{\"object_kind\":\"push\",\"project_id\":1,\"project_id\":2}".to_vec(),
        b"{\"object_kind\":\"\xff\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"payload=%7B%7D".to_vec(),
        nest("[", "", 100_000),
        nest("{\"project\":", "", 100_000),
        nest("{\"object_attributes\":[", "", 100_000),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let error = read_body("Push Hook", body).expect_err(&shown).to_string();
        let known = ["it is no JSON object", "it is no well-formed JSON"];
        assert!(known.iter().any(|why| error.ends_with(why)), "{shown}: {error}");
    }
    assert!(read_body("Push Hook", " \r\n{\"object_kind\":\"new_thing\"}").is_ok());
}
