//! How the hooks of a source fare, as far as `/metrics` shows it.

use super::metric::{Metric, Value, set};
use crate::domain::SourceKey;

/// The states in which a forge holds a hook.
const STATES: &[&str] = &["executable", "temporarily_disabled", "disabled"];

/// Everything that is said of a hook: how the forge holds it, and whether we refuse or miss what it sends.
pub const STATUSES: [&str; 5] = ["executable", "temporarily_disabled", "disabled", "refused", "silent"];

fn show(source: &SourceKey, status: &'static str, holds: bool) {
    set(Metric::HookStatus, &[Value::Source(source), Value::Word(status)], if holds { 1.0 } else { 0.0 });
}

/// Shows in which states the forge holds a source's hooks.
pub fn show_held(source: &SourceKey, is_held: impl Fn(&str) -> bool) {
    for status in STATES {
        show(source, status, is_held(status));
    }
}

/// Shows whether a source's door refuses what the forge sends it.
pub fn show_refused(source: &SourceKey, refuses: bool) {
    show(source, "refused", refuses);
}

/// Shows whether a source's hook tells nothing, though something happened.
pub fn show_silent(source: &SourceKey, is_silent: bool) {
    show(source, "silent", is_silent);
}

#[cfg(test)]
mod tests {
    use super::super::metric::tests::shown;
    use super::*;

    #[test]
    fn a_hooks_state_is_one_and_the_states_that_it_left_are_none() {
        let key = SourceKey::parse("acme").unwrap();
        let page = shown(|| {
            show_held(&key, |status| status == "executable");
            show_held(&key, |status| status == "disabled");
            show_refused(&key, true);
            show_silent(&key, false);
        });
        for (status, value) in STATUSES.into_iter().zip([0, 0, 1, 1, 0]) {
            let line = format!("scm_connect_hook_status{{source=\"acme\",status=\"{status}\"}} {value}\n");
            assert!(page.contains(&line), "{status}: {page}");
        }
    }
}
