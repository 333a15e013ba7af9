//! Who signs ID tokens, and which forge that is.

use url::Url;

use crate::domain::Host;
use crate::domain::ci::Counts;
use crate::domain::organization::Forge;

/// Where GitHub's enterprise servers issue their tokens, below their base URL.
const GHES_PATH: &str = "/_services/token";
/// The host of GitHub's issuers begins with it, also under GHE.com.
const GITHUB_PREFIX: &str = "token.actions.";

/// One issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` claim, letter by letter.
    pub name: String,
    /// Where its keys are.
    pub jwks_url: Url,
    /// Its forge's language.
    pub forge: Forge,
    /// Its forge's base URL.
    pub url: Url,
    /// The same as a name.
    pub host: Host,
    /// Where its word counts.
    pub counts: Counts,
}

/// A name or an address that no issuer can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" cannot be an issuer of ID tokens: it is no web address")]
pub struct InvalidIssuer(String);

impl Issuer {
    /// From its name and the address of its keys. Which forge it is follows from the name: GitHub's cloud issuers and
    /// its servers have names of a known form, and a GitLab's is its own base URL.
    ///
    /// # Errors
    /// When the name is no web address.
    pub fn new(name: &str, jwks_url: Url) -> Result<Self, InvalidIssuer> {
        let invalid = || InvalidIssuer(name.chars().take(255).collect());
        let mut url = Url::parse(name).map_err(|_| invalid())?;
        let of_host = url.host_str().unwrap_or_default().to_owned();
        let forge = if let Some(rest) = of_host.strip_prefix(GITHUB_PREFIX) {
            let base = if rest == "githubusercontent.com" { "github.com" } else { rest };
            url.set_host(Some(base)).map_err(|_| invalid())?;
            url.set_path("/");
            Forge::Github
        } else if let Some(base) = url.path().trim_end_matches('/').strip_suffix(GHES_PATH) {
            let base = base.to_owned();
            url.set_path(&base);
            Forge::Github
        } else {
            Forge::Gitlab
        };
        let host = Host::of(&url).map_err(|_| invalid())?;
        Ok(Self { name: name.to_owned(), jwks_url, forge, url, host, counts: Counts::Everywhere })
    }

    /// The two public ones.
    #[must_use]
    pub fn public() -> Vec<Self> {
        let all = [
            ("https://gitlab.com", "https://gitlab.com/oauth/discovery/keys"),
            (
                "https://token.actions.githubusercontent.com",
                "https://token.actions.githubusercontent.com/.well-known/jwks",
            ),
        ];
        all.into_iter().filter_map(|(name, keys)| Self::new(name, Url::parse(keys).ok()?).ok()).collect()
    }

    /// The issuer of a forge of one's own, from its base URL.
    ///
    /// # Errors
    /// When the URL has no host.
    pub fn of_forge(forge: Forge, base: &Url) -> Result<Self, InvalidIssuer> {
        let base = base.as_str().trim_end_matches('/');
        let (name, keys) = match forge {
            Forge::Gitlab => (base.to_owned(), format!("{base}/oauth/discovery/keys")),
            Forge::Github => (format!("{base}{GHES_PATH}"), format!("{base}{GHES_PATH}/.well-known/jwks")),
        };
        let keys = Url::parse(&keys).map_err(|_| InvalidIssuer(name.chars().take(255).collect()))?;
        Self::new(&name, keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuers_name_says_which_forge_it_is() {
        let keys = || Url::parse("https://keys.example.com/jwks").unwrap();
        let table = [
            ("https://gitlab.com", Forge::Gitlab, "gitlab.com"),
            ("https://git.example.com/gitlab", Forge::Gitlab, "git.example.com/gitlab"),
            ("https://token.actions.githubusercontent.com", Forge::Github, "github.com"),
            ("https://token.actions.githubusercontent.com/big-corp", Forge::Github, "github.com"),
            ("https://token.actions.octo.ghe.com", Forge::Github, "octo.ghe.com"),
            ("https://ghes.example.com/_services/token", Forge::Github, "ghes.example.com"),
        ];
        for (name, forge, host) in table {
            let issuer = Issuer::new(name, keys()).unwrap();
            assert_eq!((issuer.forge, issuer.host.as_str()), (forge, host), "{name}");
        }
        assert!(Issuer::new("git.example.com", keys()).is_err());
        assert_eq!(Issuer::public().len(), 2);
    }

    #[test]
    fn a_forge_of_ones_own_issues_under_its_base_url() {
        let of = |forge, url: &str| Issuer::of_forge(forge, &Url::parse(url).unwrap()).unwrap();
        let gitlab = of(Forge::Gitlab, "https://git.example.com/gitlab/");
        assert_eq!(gitlab.name, "https://git.example.com/gitlab");
        assert_eq!(gitlab.jwks_url.as_str(), "https://git.example.com/gitlab/oauth/discovery/keys");
        let ghes = of(Forge::Github, "https://ghes.example.com");
        assert_eq!(ghes.name, "https://ghes.example.com/_services/token");
        assert_eq!(ghes.host.as_str(), "ghes.example.com");
    }
}
