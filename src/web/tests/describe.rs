//! The API's document: all of what is served, and nothing else.

use std::collections::BTreeSet;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};

use super::front;
use crate::web::auth::{Via, Who};
use crate::web::describe::build;
use crate::web::route::table;
use crate::web::serve::public_app;

fn document() -> Value {
    serde_json::from_slice(&crate::web::openapi()).unwrap()
}

/// Every operation of the document: path, method, itself.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let each = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().clone().into_iter();
        methods.map(|(method, about)| (path.clone(), method, about)).collect::<Vec<_>>()
    };
    paths.flat_map(each).collect()
}

#[test]
fn the_document_names_exactly_the_routes_that_are_served() {
    let served: BTreeSet<_> =
        table().iter().map(|line| format!("{} {}", line.method.as_str().to_lowercase(), line.path)).collect();
    let described: BTreeSet<_> =
        operations(&document()).iter().map(|(path, method, _)| format!("{method} {path}")).collect();
    assert_eq!(served, described);
    assert_eq!(served.len(), table().len(), "a route stands in the table twice");
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_an_answer_and_says_who_may_call() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, method, about) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(names.insert(about["operationId"].as_str().unwrap().to_owned()), "{place}");
        assert!(!about["summary"].as_str().unwrap().is_empty(), "{place}");
        assert!(about["security"].is_array(), "{place}");
        let answers = about["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with(['2', '3'])), "{place}");
        assert!(
            answers.values().all(|answer| !answer["description"].as_str().unwrap().is_empty()),
            "{place}"
        );
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_field_is_explained() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for (at, _) in text.match_indices("#/components/schemas/") {
        let name = text[at + 21..].split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and not there");
    }
    for (name, schema) in schemas {
        assert!(text.contains(&format!("schemas/{name}\"")), "{name} is there and not referred to");
        let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
        let fields = parts.iter().filter_map(|part| part["properties"].as_object()).flatten();
        for (field, about) in fields {
            // A field of a type that is explained itself needs no words of its own.
            let named = about.to_string().contains("#/components/schemas/");
            assert!(about["description"].is_string() || named, "{name}.{field}: {about}");
        }
        assert!(
            schema["properties"].is_object()
                || schema["allOf"].is_array()
                || schema["description"].is_string(),
            "{name}"
        );
    }
}

#[actix_web::test]
async fn a_described_parameter_is_accepted_and_any_other_is_not() {
    let (front, _) = front();
    let app = init_service(public_app(front, Via::Public)).await;
    let app = &app;
    let mut tried = 0;
    for line in table().iter().filter(|line| matches!(line.who, Who::Reader | Who::Admin)) {
        for name in line.about.query().map(|parameter| parameter.name).chain(["undescribed"]) {
            let path = line.path.replace("{id}", "missing");
            let request = TestRequest::default().method(line.method.clone()).uri(&format!("{path}?{name}=1"));
            let request = request.insert_header(("authorization", "Bearer admin-acme"));
            let answer = call_service(app, request.to_request()).await;
            let body = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
            assert_eq!(body.contains("unknown-parameter"), name == "undescribed", "{path} {name}: {body}");
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn s17_the_document_tells_who_is_let_in_as_the_table_does() {
    for (line, (_, _, about)) in table().iter().flat_map(|line| {
        let found = operations(&document()).into_iter();
        found
            .filter(|(path, method, _)| *path == line.path && *method == line.method.as_str().to_lowercase())
            .map(move |found| (line, found))
    }) {
        let guarded = about["security"].to_string().contains("token");
        let open = matches!(line.who, Who::Anyone);
        assert_eq!(guarded, !open, "{}", line.path);
        let refuses = about["responses"].as_object().unwrap().contains_key("401");
        assert_eq!(refuses, !open, "{}", line.path);
    }
}

/// A schema in a few words: what a program that uses it relies on.
fn form(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap().to_owned();
    }
    for word in ["oneOf", "allOf"] {
        if let Some(parts) = schema[word].as_array() {
            return parts.iter().map(form).collect::<Vec<_>>().join(if word == "oneOf" {
                " | "
            } else {
                " & "
            });
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ");
    }
    if let Some(fields) = schema["properties"].as_object() {
        let needed =
            |name: &String| schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
        let field = |(name, of): (&String, &Value)| {
            format!("{name}{}: {}", if needed(name) { "" } else { "?" }, form(of))
        };
        return format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "));
    }
    let mut said = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | "),
        one => one.as_str().unwrap_or("any").to_owned(),
    };
    if schema["items"].is_object() {
        said = format!("[{}]", form(&schema["items"]));
    }
    for word in ["format", "pattern", "minLength", "maxLength", "minimum", "maximum"] {
        if !schema[word].is_null() {
            said = format!("{said} {word}={}", schema[word].to_string().trim_matches('"'));
        }
    }
    said
}

/// An operation in a few lines.
fn outline(path: &str, method: &str, about: &Value) -> Vec<String> {
    let mut lines =
        vec![format!("{} {path} ({})", method.to_uppercase(), about["operationId"].as_str().unwrap())];
    for parameter in about["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
        lines.push(format!("  {place} {name}: {}", form(&parameter["schema"])));
    }
    for (kind, content) in about["requestBody"]["content"].as_object().into_iter().flatten() {
        lines.push(format!("  takes {kind}: {}", form(&content["schema"])));
    }
    let mut fails = Vec::new();
    for (status, answer) in about["responses"].as_object().unwrap() {
        if status.starts_with('2') {
            let content = answer["content"].as_object().into_iter().flatten().next();
            let content = content.map(|(kind, of)| format!(" {kind}: {}", form(&of["schema"])));
            lines.push(format!("  {status}{}", content.unwrap_or_default()));
        } else {
            let listed = answer["description"].as_str().unwrap().lines();
            let codes = listed.filter_map(|line| line.strip_prefix("- `")?.split('`').next());
            fails.push([status.as_str()].into_iter().chain(codes).collect::<Vec<_>>().join(" "));
        }
    }
    lines.push(format!("  fails {}", fails.join("; ")));
    lines
}

#[test]
fn a_change_of_what_programs_rely_on_is_seen() {
    let document = serde_json::to_value(build(&table())).unwrap();
    let mut lines = Vec::new();
    for (path, method, about) in operations(&document) {
        lines.extend(outline(&path, &method, &about));
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        lines.push(format!("{name} = {}", form(schema).replace(", ", "\n  ").replace("{ ", "{\n  ")));
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("openapi", lines.join("\n"));
    });
}

#[actix_web::test]
async fn s13_the_page_loads_its_own_files_only() {
    let (front, _) = front();
    let app = init_service(public_app(front, Via::Public)).await;
    let answer = call_service(&app, TestRequest::get().uri("/docs").to_request()).await;
    let policy = answer.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let page = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
    for part in page.split('"').filter(|part| part.contains("://") || part.starts_with("/docs/")) {
        let answer = call_service(&app, TestRequest::get().uri(part).to_request()).await;
        assert_eq!(answer.status(), 200, "{part}");
    }
    for foreign in ["/docs/index.html", "/docs/swagger-ui.js", "/docs/..%2Findex.html", "/docs/"] {
        let answer = call_service(&app, TestRequest::get().uri(foreign).to_request()).await;
        assert_eq!(answer.status(), 404, "{foreign}");
    }
}
