//! People who sign in through a GitHub App: where they are sent, and what is taken for the code they come back with.
//!
//! The sign-in is beside the API, at the forge's own address. Its errors come with status 200.

use bytes::Bytes;
use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Github;
use super::error::granted;
use crate::outbound::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use crate::outbound::{Carried, Client, Credential, Endpoint, Outbound, Request};
use crate::provider::ProviderError;
use crate::provider::page::segment;

/// A code that no forge gives: it has the right length, and is nobody's.
const NO_CODE: &str = "00000000000000000000";

/// An App's name and secret for sign-in.
#[derive(Debug, Clone)]
pub struct AppSignIn {
    /// Its name.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

/// What was given to the browser, and comes back with the code.
#[derive(Debug, Clone)]
pub struct Exchange<'a> {
    /// The code.
    pub code: &'a str,
    /// What the challenge was made of.
    pub verifier: &'a str,
    /// Where the person was sent back to; the same text as before.
    pub redirect_uri: &'a str,
}

/// A forge's own address, where people sign in.
#[derive(Debug, Clone)]
pub struct Site {
    client: Client,
}

#[derive(Deserialize)]
struct Answered {
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    error: String,
}

/// Where a person is sent to sign in. `challenge` is the S256 challenge.
#[must_use]
pub fn authorize_url(
    web: &Url,
    client_id: &str,
    redirect_uri: &str,
    state: &str,
    challenge: &str,
    login: Option<&str>,
) -> Url {
    let mut url = below(web, "login/oauth/authorize");
    let mut query = url.query_pairs_mut();
    query.append_pair("client_id", client_id).append_pair("redirect_uri", redirect_uri);
    query.append_pair("state", state).append_pair("code_challenge", challenge);
    query.append_pair("code_challenge_method", "S256").append_pair("allow_signup", "false");
    if let Some(login) = login {
        query.append_pair("login", login);
    }
    drop(query);
    url
}

/// Where an owner installs an App; an approver's way, too. github.com and a server have it at different paths.
#[must_use]
pub fn install_url(web: &Url, slug: &str, state: Option<&str>) -> Url {
    let cloud = super::super::is_beside(web);
    let folder = if cloud { "apps" } else { "github-apps" };
    let mut url = below(web, &format!("{folder}/{}/installations/new", segment(slug)));
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    url
}

/// Where the form with a manifest goes: an organization's settings, or one's own.
#[must_use]
pub fn manifest_url(web: &Url, organization: Option<&str>, state: &str) -> Url {
    let path = match organization {
        Some(login) => format!("organizations/{}/settings/apps/new", segment(login)),
        None => "settings/apps/new".to_owned(),
    };
    let mut url = below(web, &path);
    url.query_pairs_mut().append_pair("state", state);
    url
}

fn below(web: &Url, path: &str) -> Url {
    let mut url = web.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}/{path}", web.path().trim_end_matches('/')));
    url
}

impl Site {
    /// The site at this endpoint.
    ///
    /// # Errors
    /// When the address is one that is never called.
    pub fn open(outbound: &Outbound, web: Endpoint) -> Result<Self, ProviderError> {
        Ok(Self { client: outbound.open(web, "github")? })
    }

    /// Takes a person's own token for the code.
    ///
    /// # Errors
    /// [`ProviderError::Gone`] for a code that is wrong, old or used; [`ProviderError::CredentialRefused`] when the App's
    /// own secret is wrong.
    pub async fn exchange(
        &self,
        app: &AppSignIn,
        exchange: &Exchange<'_>,
    ) -> Result<SecretString, ProviderError> {
        let answered = self
            .ask(
                app,
                &[
                    ("code", exchange.code),
                    ("redirect_uri", exchange.redirect_uri),
                    ("code_verifier", exchange.verifier),
                ],
            )
            .await?;
        match (answered.access_token, answered.error.as_str()) {
            (Some(token), "") if !token.expose_secret().is_empty() => Ok(token),
            (_, "bad_verification_code" | "incorrect_code_verifier" | "access_denied") => {
                Err(ProviderError::Gone)
            }
            (_, "incorrect_client_credentials") => Err(ProviderError::CredentialRefused),
            (_, "redirect_uri_mismatch") => {
                Err(ProviderError::Refused { status: 200, why: Some("the App has another callback address") })
            }
            (_, "unverified_user_email") => Err(ProviderError::Refused {
                status: 200,
                why: Some("the person's e-mail address is not verified"),
            }),
            _ => Err(ProviderError::Refused { status: 200, why: None }),
        }
    }

    /// Whether the forge takes this for the App's own secret. Nobody has to sign in for that: it is asked to exchange a
    /// code that it never gave, and complains of a wrong secret before it looks at the code ("Troubleshooting OAuth app
    /// access token request errors", docs.github.com). Only its complaint about the code is a yes: it answers 404 about
    /// an App that it does not know, and so it does where somebody checks a token without being believed.
    ///
    /// # Errors
    /// [`ProviderError::CredentialRefused`] when it does not, or knows no such App.
    pub async fn accepts(&self, app: &AppSignIn) -> Result<(), ProviderError> {
        match self.ask(app, &[("code", NO_CODE)]).await {
            Ok(answered) => match answered.error.as_str() {
                "bad_verification_code" => Ok(()),
                "incorrect_client_credentials" => Err(ProviderError::CredentialRefused),
                _ => Err(ProviderError::Refused { status: 200, why: None }),
            },
            Err(ProviderError::Gone) => Err(ProviderError::CredentialRefused),
            Err(error) => Err(error),
        }
    }

    /// Asks for a token, by the App's name and secret and with more fields.
    async fn ask(&self, app: &AppSignIn, more: &[(&str, &str)]) -> Result<Answered, ProviderError> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_id", &app.client_id);
        form.append_pair("client_secret", app.client_secret.expose_secret()).extend_pairs(more);
        let url = below(self.client.endpoint().base(), "login/oauth/access_token");
        let mut headers = HeaderMap::new();
        // Without it the answer is a form.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let body = Some(Bytes::from(form.finish()));
        let request = Request { method: Method::POST, url, headers, body, credential: None };
        Ok(granted(self.client.send(request).await?)?.json()?)
    }
}

#[derive(Serialize)]
struct Dropped<'a> {
    access_token: &'a str,
}

impl Github {
    /// Ends a person's token that is no longer needed.
    ///
    /// # Errors
    /// As [`ProviderError`] says.
    pub async fn drop_token(&self, app: &AppSignIn, token: &SecretString) -> Result<(), ProviderError> {
        let both = format!("{}:{}", app.client_id, app.client_secret.expose_secret());
        let credential = Credential::new(both.into(), Carried::Basic, self.client.endpoint());
        let path = format!("applications/{}/token", segment(&app.client_id));
        let body = Dropped { access_token: token.expose_secret() };
        self.credential(credential).for_person().write(Method::DELETE, path, Some(&body)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn each_kind_of_github_has_its_pages_where_they_are_documented() {
        let (cloud, server) = (url("https://github.com/"), url("https://git.example.com:8443/"));
        let ghe = url("https://octocorp.ghe.com");
        assert_eq!(
            install_url(&cloud, "scm-acme", Some("s")).as_str(),
            "https://github.com/apps/scm-acme/installations/new?state=s"
        );
        assert_eq!(
            install_url(&ghe, "a", None).as_str(),
            "https://octocorp.ghe.com/apps/a/installations/new"
        );
        assert_eq!(
            install_url(&server, "a", None).as_str(),
            "https://git.example.com:8443/github-apps/a/installations/new"
        );
        assert_eq!(
            manifest_url(&server, Some("acme"), "s").as_str(),
            "https://git.example.com:8443/organizations/acme/settings/apps/new?state=s"
        );
        assert_eq!(manifest_url(&cloud, None, "s").as_str(), "https://github.com/settings/apps/new?state=s");
    }

    #[test]
    fn s25_a_name_cannot_leave_its_place_in_an_address() {
        let cloud = url("https://github.com");
        for name in ["../../evil", "a?x=1", "a#b", "a/b", "//evil.example.com"] {
            let asked = manifest_url(&cloud, Some(name), "s");
            assert!(asked.as_str().starts_with("https://github.com/organizations/"), "{asked}");
            assert!(asked.as_str().ends_with("/settings/apps/new?state=s"), "{asked}");
        }
    }

    #[test]
    fn s25_a_sign_in_carries_state_and_an_s256_challenge() {
        let asked =
            authorize_url(&url("https://github.com"), "Iv1", "https://x/y?z", "st", "ch", Some("acme"));
        let pairs: Vec<_> = asked.query_pairs().into_owned().collect();
        let has = |name: &str, value: &str| pairs.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("state", "st") && has("code_challenge", "ch") && has("code_challenge_method", "S256"));
        assert!(has("redirect_uri", "https://x/y?z") && has("client_id", "Iv1") && has("login", "acme"));
        assert!(pairs.iter().all(|(name, _)| name != "scope"), "an App's permissions decide");
    }
}
