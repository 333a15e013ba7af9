//! GitLab: GitLab.com and GitLab Self-Managed.

mod activity;
pub mod client;
mod directory;
pub mod hook;
pub mod read;
mod sent;
mod subgroup;
mod wire;

pub use activity::Activity;
pub use directory::Group;
pub use sent::HookLog;
use url::Url;

/// Where the API is: under the site, wherever that is.
#[must_use]
pub fn api_url(base: &Url) -> Url {
    let mut api = base.clone();
    let path = format!("{}/api/v4/", base.path().trim_end_matches('/'));
    api.set_path(&path);
    api
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_under_the_site_also_when_that_has_a_sub_path() {
        for (base, api) in [
            ("https://gitlab.com", "https://gitlab.com/api/v4/"),
            ("https://git.example.com/gitlab/", "https://git.example.com/gitlab/api/v4/"),
        ] {
            assert_eq!(api_url(&Url::parse(base).unwrap()).as_str(), api);
        }
    }
}
