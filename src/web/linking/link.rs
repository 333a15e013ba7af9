//! `POST /api/v1/connect-links`: the one-time link that an admin opens in a browser.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::domain::organization::Kind;
use crate::domain::{ConnectionKey, SourceKey};
use crate::linking::{LinkWish, NoLink, Refusal};
use crate::web::api::query::Query;
use crate::web::api::{Answer, parse, within};
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Body, Operation, Shape};
use crate::web::error::Problem;

const CLOUD: &str = "https://github.com";

/// A link to be made. Without anything: a new App at github.com.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConnectLink)]
struct Wish {
    /// Which GitHub a new App is made at; `github_cloud` without this.
    kind: Option<Kind>,
    /// The base address of a GitHub Enterprise Server.
    #[schema(examples("https://git.example.com"))]
    url: Option<String>,
    /// The account of the new App that the form shows at first; it is chosen there.
    #[schema(examples("acme"), max_length = 100)]
    account: Option<String>,
    /// A source whose App is known here, to be installed on another account.
    #[schema(examples("our-app"))]
    source: Option<String>,
    /// A connection that waits for its installation or its owner.
    #[schema(examples("github-acme"))]
    connection: Option<String>,
}

/// A link that begins a browser's way to a connection.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectLink)]
struct LinkView {
    /// To be opened in a browser, once.
    #[schema(
        format = "uri",
        examples("https://scm.example.com/connect-scm/github?code=scmc_ln_Q2FsbCBtZSBvbmNl")
    )]
    link: String,
    /// When it stops working.
    #[schema(format = DateTime, examples("2026-01-31T08:10:00.000Z"))]
    expires_at: String,
}

pub(crate) const MAKE: Operation = Operation::new(
    "createConnectLink",
    "Make a one-time link that connects a GitHub account in a browser",
    &[describe::json::<LinkView>(201, "The link; it works once, for ten minutes.")],
)
.help("Whoever opens it creates the organization's own GitHub App, or installs one that is known, and proves at GitHub that the account is theirs.")
.parameters(&[describe::ORGANIZATION])
.body(Body::Json(Shape::of::<Wish>()))
.codes(&["organization-missing", "forge-invalid", "app-unknown", "public-url-local"]);

pub(crate) async fn make(call: Call<Admin>) -> Answer {
    let query = Query::of(&call.query, &MAKE)?;
    let organization = within(&call, &query).await?;
    let wish = read(parse(&call.body)?)?;
    let made = call.front.linking.link(&organization, wish, &call.caller.actor()).await;
    let (link, expires_at) = made.map_err(problem)?;
    let view = LinkView { link: link.to_string(), expires_at: expires_at.rfc3339() };
    Ok(HttpResponse::Created().json(view))
}

fn read(wish: Wish) -> Result<LinkWish, Problem> {
    let both =
        || Problem::bad("forge-invalid", "name a forge, a source or a connection, and only one of them");
    let new = wish.kind.is_some() || wish.url.is_some() || wish.account.is_some();
    match (wish.source, wish.connection) {
        (None, None) => {
            new_app(wish.kind.unwrap_or(Kind::GithubCloud), wish.url.as_deref(), named(wish.account)?)
        }
        (Some(source), None) if !new => {
            SourceKey::parse(&source).map(LinkWish::Source).map_err(|_| Problem::not_found())
        }
        (None, Some(connection)) if !new => {
            ConnectionKey::parse(&connection).map(LinkWish::Connection).map_err(|_| Problem::not_found())
        }
        _ => Err(both()),
    }
}

/// A name as a forge may have it; what else it has to be, the forge says when it is looked up.
fn named(account: Option<String>) -> Result<Option<String>, Problem> {
    const CHARS_MAX: usize = 100;
    match account {
        Some(name) if name.is_empty() || name.len() > CHARS_MAX || name.contains(char::is_control) => {
            Err(Problem::bad("forge-invalid", "account is the name of an organization or a person"))
        }
        account => Ok(account),
    }
}

fn new_app(kind: Kind, url: Option<&str>, account: Option<String>) -> Result<LinkWish, Problem> {
    let bad = |message: &str| Problem::bad("forge-invalid", message);
    let url = match (kind, url) {
        (Kind::GithubCloud, None) => CLOUD,
        (Kind::GithubCloud, Some(_)) => {
            return Err(bad("url is for github_enterprise_server; github.com has one"));
        }
        (Kind::GithubEnterpriseServer, Some(url)) => url,
        (Kind::GithubEnterpriseServer, None) => return Err(bad("url names the server")),
        (Kind::GitlabCloud | Kind::GitlabSelfManaged, _) => {
            return Err(bad("an App is GitHub's; GitLab is connected by a token, or by its first CI job"));
        }
    };
    let mut url = Url::parse(url).map_err(|_| bad("url is no web address"))?;
    let web =
        matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
    let cloud = url
        .host_str()
        .is_some_and(|host| matches!(host.trim_end_matches('.'), "github.com" | "www.github.com"));
    if !web || (kind == Kind::GithubEnterpriseServer && cloud) {
        return Err(bad("url is the server's own address, such as https://git.example.com"));
    }
    // As people copy it: the API's address, or a page's.
    let path = url.path().trim_end_matches('/').trim_end_matches("/api/v3").to_owned();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    Ok(LinkWish::NewApp { kind, url, account })
}

fn problem(why: NoLink) -> Problem {
    let message = why.to_string();
    match why {
        NoLink::Unknown => Problem::not_found(),
        NoLink::NotGithub => Problem::bad("forge-invalid", message),
        NoLink::NoApp => Problem::new(StatusCode::CONFLICT, "app-unknown", message),
        NoLink::Unreachable(_) => Problem::new(StatusCode::CONFLICT, "public-url-local", message),
        NoLink::Refused(Refusal::Store(error)) => error.into(),
        NoLink::Refused(_) => Problem::busy(),
    }
}
