//! GitHub: github.com and GitHub Enterprise Server.

pub mod client;
mod directory;
pub mod hook;
pub mod read;
mod sent;
mod wire;

pub use directory::Organization;
pub use sent::HookLog;
use url::Url;

/// Where the API is: beside the site at github.com and ghe.com, under it at GitHub Enterprise Server.
#[must_use]
pub fn api_url(base: &Url) -> Url {
    let mut api = base.clone();
    if is_beside(base) && base.path() == "/" && api.set_host(Some(&beside_name(&name(base)))).is_ok() {
        return api;
    }
    let path = format!("{}/api/v3/", base.path().trim_end_matches('/'));
    api.set_path(&path);
    api
}

/// Whether GitHub itself runs it.
fn is_beside(base: &Url) -> bool {
    let name = name(base);
    matches!(name.as_str(), "github.com" | "www.github.com") || name.ends_with(".ghe.com")
}

fn name(base: &Url) -> String {
    base.host_str().unwrap_or_default().trim_end_matches('.').to_owned()
}

fn beside_name(name: &str) -> String {
    format!("api.{}", name.trim_start_matches("www."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_github_has_its_api_where_it_is_documented() {
        for (base, api) in [
            ("https://github.com", "https://api.github.com/"),
            ("https://octocorp.ghe.com/", "https://api.octocorp.ghe.com/"),
            ("https://git.example.com", "https://git.example.com/api/v3/"),
            ("https://git.example.com:8443/", "https://git.example.com:8443/api/v3/"),
        ] {
            assert_eq!(api_url(&Url::parse(base).unwrap()).as_str(), api);
        }
    }
}
