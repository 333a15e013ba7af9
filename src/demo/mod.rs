//! The demo's story: recorded real deliveries, signed and sent through a real front door, and what came of them.

pub mod job;
pub mod play;
pub mod recorded;
pub mod report;

/// The config of the throw-away daemon. The accounts are those that appear in the recordings.
#[must_use]
pub fn config(store: &std::path::Path, github_secret: &str, gitlab_token: &str) -> String {
    let store = store.display();
    format!(
        r#"
[listen]
public = "127.0.0.1:0"
ops = "127.0.0.1:0"

[store]
url = "sled:{store}"

[[organizations]]
slug = "acme"
name = "Acme"
home = "github"
authority = "octocoders"

[[sources]]
key = "our-app"
organizations = ["acme"]
provider = "github"
url = "https://github.com"
webhook_secrets = [{{ value = "{github_secret}" }}]

[[sources]]
key = "our-gitlab"
organizations = ["acme"]
provider = "gitlab"
url = "https://gitlab.com"
webhook_secrets = [{{ value = "{gitlab_token}" }}]

[[connections]]
key = "octocoders"
organization = "acme"
kind = "github_cloud"
account = "Octocoders"
source = "our-app"
"#
    )
}
