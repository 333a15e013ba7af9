//! Plans: what is made, changed, ended and left.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Act, Step, There, plan};
use crate::config::Config;

fn config(text: &str) -> Config {
    Config::parse("test", text, BTreeMap::new()).unwrap()
}

/// A connection of `acme` in the file, with this token.
fn wanted(key: &str, account: &str, token: &str) -> String {
    format!(
        r#"
[[connections]]
key = "{key}"
organization = "acme"
kind = "gitlab_cloud"
account = "{account}"
access_token = {{ value = "{token}" }}
webhook_secrets = [{{ value = "canary-hook-{key}" }}]
"#
    )
}

/// A connection that the daemon has.
fn known(key: &str, login: &str, more: Value) -> Value {
    let mut known = json!({ "key": key, "organization": "acme", "kind": "gitlab_cloud", "host": "gitlab.com",
        "account": { "login": login }, "state": "connected", "credential": "access_token",
        "credential_last4": "5678", "created_by": "apply" });
    let fields = more.as_object().unwrap().clone();
    known.as_object_mut().unwrap().extend(fields);
    known
}

/// The plan for this file where the daemon has one organization and these connections.
fn planned(text: &str, organization: Value, connections: &[Value]) -> Vec<Step> {
    plan(&config(text), There { organizations: &[organization], connections, sources: &[] })
}

fn acts(steps: &[Step]) -> Vec<(&str, Act)> {
    steps.iter().map(|step| (step.name.as_str(), step.act)).collect()
}

const ACME: &str = "[[organizations]]\nslug = \"acme\"\n";
const TOKEN: &str = "glpat-canary-12345678";

#[test]
fn a_plan_makes_what_is_missing_and_leaves_a_person_what_is_there_otherwise() {
    let text = [
        ACME,
        "[[organizations]]\nslug = \"new\"\n",
        &wanted("there", "acme", TOKEN),
        &wanted("other", "elsewhere", TOKEN),
        &wanted("fresh", "fresh", TOKEN),
    ];
    let there = [known("there", "acme", json!({})), known("other", "acme", json!({}))];
    let steps = planned(&text.concat(), json!({ "slug": "acme" }), &there);
    let expected = [
        ("acme", Act::Keep),
        ("new", Act::Make),
        ("there", Act::Keep),
        ("other", Act::Differs),
        ("fresh", Act::Make),
    ];
    assert_eq!(acts(&steps), expected);
    let shown = serde_json::to_string(&steps).unwrap();
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn what_the_file_has_let_go_of_is_ended_if_a_file_has_made_it_in_an_organization_it_names() {
    let other = json!({ "organization": "other" });
    let there = [
        known("gone", "a", json!({})),
        known("by-hand", "b", json!({ "created_by": "cli" })),
        known("declared", "c", json!({ "created_by": "config" })),
        known("another-files", "d", other),
        known("ended-already", "e", json!({ "state": "uninstalled", "credential": "none" })),
    ];
    let steps = planned(ACME, json!({ "slug": "acme" }), &there);
    assert_eq!(acts(&steps), [("acme", Act::Keep), ("gone", Act::End)]);
    // Named again, it comes back.
    let text = [ACME, &wanted("ended-already", "e", TOKEN)].concat();
    let steps = planned(&text, json!({ "slug": "acme" }), &there[4..]);
    assert_eq!(acts(&steps), [("acme", Act::Keep), ("ended-already", Act::Make)]);
}

#[test]
fn another_token_and_one_for_what_has_none_are_changes() {
    let text = [ACME, &wanted("a", "a", TOKEN), &wanted("b", "b", TOKEN), &wanted("c", "c", TOKEN)].concat();
    let there = [
        known("a", "a", json!({ "credential_last4": "0000" })),
        known("b", "b", json!({ "credential": "none", "created_by": "ci" })),
        known("c", "c", json!({ "credential": "app" })),
    ];
    let steps = planned(&text, json!({ "slug": "acme" }), &there);
    let expected = [("acme", Act::Keep), ("a", Act::Change), ("b", Act::Change), ("c", Act::Differs)];
    assert_eq!(acts(&steps), expected);
}

#[test]
fn an_organizations_name_and_role_map_are_changed_and_its_home_only_where_there_is_none() {
    let text = "[[organizations]]\nslug = \"acme\"\nname = \"Acme Inc\"\nhome = \"gitlab\"\n\
        members = { levels = [\"30 = read_only\"] }\n";
    let steps = |known: Value| planned(text, known, &[]);
    let [step] = &steps(json!({ "slug": "acme", "name": "Acme", "home": null }))[..] else { panic!() };
    assert_eq!((step.act, step.why.as_str()), (Act::Change, "other: home, members, name"));
    let Some(super::plan::Wish::Patch(_, body)) = &step.wish else { panic!("{step:?}") };
    let is_there =
        json!({ "slug": "acme", "name": body["name"], "home": body["home"], "members": body["members"] });
    assert_eq!(acts(&steps(is_there)), [("acme", Act::Keep)], "the second run has nothing to do");
    let elsewhere = json!({ "slug": "acme", "name": "Acme", "home": "github" });
    assert_eq!(acts(&steps(elsewhere)), [("acme", Act::Differs)]);
}

#[test]
fn sources_and_ways_to_forges_are_the_daemons_own_configs_to_say_and_are_not_passed_over() {
    let text = [
        ACME,
        "[[sources]]\nkey = \"our-app\"\norganizations = [\"acme\"]\nprovider = \"gitlab\"\n\
         webhook_secrets = [{ value = \"canary-hook\" }]\n",
        &wanted("through", "acme", TOKEN).replace("account", "source = \"our-app\"\naccount"),
        &wanted("far", "far", TOKEN).replace("account", "proxy = \"http://proxy:3128\"\naccount"),
    ];
    let text = text.concat().replace("webhook_secrets = [{ value = \"canary-hook-through\" }]\n", "");
    let there = |connections: &[Value]| planned(&text, json!({ "slug": "acme" }), connections);
    let steps = there(&[]);
    let expected =
        [("acme", Act::Keep), ("our-app", Act::Differs), ("through", Act::Differs), ("far", Act::Make)];
    assert_eq!(acts(&steps), expected);
    assert!(steps[1].why.contains("only the daemon's own config can declare a source"), "{steps:?}");
    assert!(steps[3].why.ends_with("only the daemon's own config can say proxy"), "{steps:?}");
    // The daemon has the same in its own config.
    let declared = [known("through", "acme", json!({ "created_by": "config", "source": "our-app" }))];
    let steps = there(&declared);
    assert_eq!(acts(&steps)[1..3], [("our-app", Act::Keep), ("through", Act::Keep)]);
}

#[test]
fn an_account_under_another_key_is_neither_ended_nor_made_anew() {
    let text = [ACME, &wanted("new-name", "Acme", TOKEN)].concat();
    for state in ["connected", "uninstalled"] {
        let there = [known("old-name", "acme", json!({ "state": state }))];
        let steps = planned(&text, json!({ "slug": "acme" }), &there);
        assert_eq!(acts(&steps), [("acme", Act::Keep), ("new-name", Act::Differs)], "{state}");
        assert!(steps[1].why.contains("known as \"old-name\""), "{steps:?}");
    }
}

#[test]
fn a_source_of_the_daemons_own_config_is_there() {
    let text = [
        ACME,
        "[[sources]]\nkey = \"our-app\"\norganizations = [\"acme\"]\nprovider = \"gitlab\"\n\
                 webhook_secrets = [{ value = \"canary-hook\" }]\n",
    ];
    let sources = [crate::domain::SourceKey::parse("our-app").unwrap()];
    let there = There { organizations: &[json!({ "slug": "acme" })], connections: &[], sources: &sources };
    let steps = plan(&config(&text.concat()), there);
    assert_eq!(acts(&steps), [("acme", Act::Keep), ("our-app", Act::Keep)]);
}
