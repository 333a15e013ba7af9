//! The manifest of a new App: what GitHub is asked to make, and where it sends people and events.

use serde_json::json;
use url::Url;

use super::permission::Wants;
use crate::domain::SourceKey;

/// GitHub takes no longer names.
const NAME_CHARS_MAX: usize = 34;

/// Where GitHub sends people, one path per source, so that an answer of one forge is never taken for another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callbacks {
    /// With the code of a manifest.
    pub created: Url,
    /// After an installation.
    pub installed: Url,
    /// With the code of a sign-in.
    pub authorized: Url,
    /// Events.
    pub hook: Url,
}

impl Callbacks {
    /// Those of one source.
    #[must_use]
    pub fn of(public_url: &Url, source: &SourceKey) -> Self {
        let at = |path: String| {
            let mut url = public_url.clone();
            url.set_path(&format!("{}{path}", public_url.path().trim_end_matches('/')));
            url
        };
        let step = |name: &str| at(format!("/connect-scm/github/{source}/{name}"));
        Self {
            created: step("created"),
            installed: step("installed"),
            authorized: step("authorized"),
            hook: at(format!("/hooks/{source}")),
        }
    }
}

/// The manifest, as the form's field holds it.
#[must_use]
pub fn manifest(public_url: &Url, source: &SourceKey, login: &str, wants: Wants) -> String {
    let callbacks = Callbacks::of(public_url, source);
    let permissions: serde_json::Map<String, serde_json::Value> =
        wants.permissions().into_iter().map(|it| (it.name.to_owned(), it.level.into())).collect();
    json!({
        // A wish: names are unique on all of GitHub, and people may change it there.
        "name": format!("scm-connect for {login}").chars().take(NAME_CHARS_MAX).collect::<String>(),
        "url": public_url.as_str(),
        "description": "Keeps members and projects up to date, and posts findings on pull requests.",
        "hook_attributes": { "url": callbacks.hook.as_str(), "active": true },
        "redirect_url": callbacks.created.as_str(),
        "callback_urls": [callbacks.authorized.as_str()],
        "setup_url": callbacks.installed.as_str(),
        "setup_on_update": false,
        // The sign-in that proves who installs is begun by us, with a challenge of our own.
        "request_oauth_on_install": false,
        // Nobody but its owner can install it.
        "public": false,
        "default_permissions": permissions,
        "default_events": wants.events(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::super::permission::Purpose;
    use super::*;

    #[test]
    fn a_manifest_names_our_addresses_and_nobody_elses() {
        let (public, source) =
            (Url::parse("https://scm.example.com/").unwrap(), SourceKey::parse("acme-github").unwrap());
        let wants = Wants { purpose: Purpose::CommentsAndAssistant, follows_ci: true };
        let text = manifest(&public, &source, "an-organization-with-a-long-name", wants);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["name"].as_str().unwrap().len(), 34);
        assert_eq!(read["public"], false);
        assert_eq!(read["hook_attributes"]["url"], "https://scm.example.com/hooks/acme-github");
        let step = "https://scm.example.com/connect-scm/github/acme-github";
        assert_eq!(read["redirect_url"], format!("{step}/created"));
        assert_eq!(read["setup_url"], format!("{step}/installed"));
        assert_eq!(read["callback_urls"], serde_json::json!([format!("{step}/authorized")]));
        let permissions = r#"{"actions":"read","contents":"read","members":"read","metadata":"read","pull_requests":"write"}"#;
        assert_eq!(read["default_permissions"].to_string(), permissions);
        let events = r#"["repository","meta","organization","membership","member","team","pull_request","workflow_run","workflow_job"]"#;
        assert_eq!(read["default_events"].to_string(), events);
    }
}
