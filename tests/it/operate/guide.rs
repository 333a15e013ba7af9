//! The operator's guide: a section for every alert and every fault, kept in step with the rules and the program.

use scm_connect::telemetry::Fault;

use super::text;

const GUIDE: &str = "deploy/guide/faults.md";

/// The section of one fault, in the program's own words.
fn section(fault: Fault) -> String {
    let grave = if fault.is_grave() { "Somebody must look." } else { "The daemon goes on by itself." };
    format!(
        "### {}\n\n{} {grave}\n\n- **Safe:** {}\n- **Next:** {}\n",
        fault.code(),
        fault.means(),
        fault.safe(),
        fault.next()
    )
}

#[test]
fn r50_every_fault_has_its_section_in_the_guide_in_the_words_of_the_program() {
    let guide = text(GUIDE);
    let missing: Vec<_> =
        Fault::ALL.iter().map(|fault| section(*fault)).filter(|section| !guide.contains(section)).collect();
    assert!(missing.is_empty(), "put these into {GUIDE}:\n\n{}", missing.join("\n"));
    let sections = guide.lines().filter(|line| line.starts_with("### ")).count();
    assert_eq!(sections, Fault::ALL.len(), "{GUIDE} has sections on faults that do not exist");
}

#[test]
fn r50_every_alert_leads_to_a_section_that_says_what_is_safe_and_what_to_do() {
    let (rules, guide) = (text("deploy/prometheus/alerts.yaml"), text("deploy/guide/alerts.md"));
    let mut found = 0;
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let runbook = rule.lines().find_map(|line| line.trim().strip_prefix("runbook: "));
        assert_eq!(
            runbook,
            Some(format!("deploy/guide/alerts.md#{}", name.to_lowercase()).as_str()),
            "{name}"
        );
        let section = guide.split("\n## ").find(|section| section.starts_with(&format!("{name}\n")));
        let section = section.unwrap_or_else(|| panic!("{name} has no section"));
        for part in ["**Means:**", "**Safe:**", "**Do:**"] {
            assert!(section.contains(part), "{name} does not say {part}");
        }
        found += 1;
    }
    assert_eq!(guide.matches("\n## ").count(), found, "a section is about an alert that does not exist");
}

#[test]
fn r50_the_alert_on_grave_faults_names_all_that_have_no_alert_of_their_own() {
    let rules = text("deploy/prometheus/alerts.yaml");
    let listed = rules.split_once("code=~\"").unwrap().1.split('"').next().unwrap();
    for code in listed.split('|') {
        let fault = Fault::ALL.iter().find(|fault| fault.code() == code);
        assert!(fault.is_some_and(|fault| fault.is_grave()), "{code} is no grave fault");
    }
    // What is grave and wakes nobody has an alert of its own, or happens while somebody is there.
    let elsewhere = ["store-refused", "not-ready", "start-refused", "config-refused"];
    for fault in Fault::ALL.iter().filter(|fault| fault.is_grave()) {
        let named = listed.split('|').any(|code| code == fault.code());
        assert!(named != elsewhere.contains(&fault.code()), "{}", fault.code());
    }
}
