//! What the API's document says of these pages.

use utoipa::ToSchema;

use crate::web::describe::{Body, Content, Good, Operation, Parameter, Shape};

const fn html(status: u16, help: &'static str) -> Good {
    Good { status, help, content: Content::Html }
}

const fn onward(help: &'static str) -> Good {
    Good { status: 303, help, content: Content::None }
}

const NO_SESSION: Good =
    html(403, "No session is open in this browser, or the answer is not this session's.");
const NOT_DUE: Good = html(409, "The step is not due, or the account cannot be connected.");
const FORGE_AWAY: Good = html(503, "The forge cannot be asked now.");

const ASKED: &[&str] = &["busy", "store-damaged", "store-failed", "store-unavailable"];

/// The page's form.
#[derive(ToSchema)]
#[schema(as = ConnectBegin)]
#[expect(dead_code, reason = "it only describes")]
struct Begin {
    /// The code of the link.
    #[schema(examples("scmc_ln_…"))]
    code: String,
}

/// The page's form.
#[derive(ToSchema)]
#[schema(as = ConnectChoice)]
#[expect(dead_code, reason = "it only describes")]
struct Choice {
    /// Proves that the form is a page's of this session.
    token: String,
    /// `organization` or `personal`.
    #[schema(examples("organization"))]
    account: String,
    /// The account's name.
    #[schema(examples("acme"))]
    login: String,
    /// `comments` or `comments_and_assistant`.
    #[schema(examples("comments"))]
    purpose: String,
    /// `yes` to follow runs of GitHub Actions.
    #[schema(examples("yes"))]
    follows_ci: Option<String>,
}

/// The page's form.
#[derive(ToSchema)]
#[schema(as = ConnectInstall)]
#[expect(dead_code, reason = "it only describes")]
struct Install {
    /// Proves that the form is a page's of this session.
    token: String,
}

const STATE: Parameter = Parameter::text("state", "What was sent along, once.", "scmc_st_…");
const CODE: Parameter =
    Parameter::text("code", "The forge's code.", "a180b1a3d263c81bc6441d7b990bae27d4c10679");
const ERROR: Parameter = Parameter::text("error", "Why the person did not go on.", "access_denied");

pub(crate) const GUIDE: Operation =
    Operation::new("showConnectGuide", "How a source code manager is connected", &[html(200, "The guide.")]);
pub(crate) const LANDING: Operation = Operation::new(
    "showConnectLink",
    "What a one-time link begins",
    &[html(200, "The page."), html(403, "The link has no code.")],
)
.parameters(&[Parameter::text("code", "The code of the link.", "scmc_ln_…")]);
pub(crate) const BEGIN: Operation = Operation::new(
    "beginConnect",
    "Use a one-time link up and begin a browser's session",
    &[
        onward("It has begun; the session's cookie is set."),
        html(403, "The link is wrong, used or past its time."),
        html(429, "Too many attempts."),
    ],
)
.body(Body::Form(Shape::of::<Begin>()))
.codes(ASKED);
pub(crate) const STEP: Operation = Operation::new(
    "showConnectStep",
    "The step that is due in this browser's session",
    &[html(200, "The page."), NO_SESSION, NOT_DUE],
)
.codes(ASKED);
pub(crate) const REVIEW: Operation = Operation::new(
    "reviewConnect",
    "Say where and what for, and see what a GitHub App will ask for",
    &[
        html(200, "The permissions, and the button that sends the manifest to GitHub."),
        onward("The App is there already; on to its installation."),
        html(400, "Something in the form is wrong; it is shown again."),
        NO_SESSION,
        NOT_DUE,
        FORGE_AWAY,
    ],
)
.body(Body::Form(Shape::of::<Choice>()))
.codes(ASKED);
pub(crate) const INSTALL: Operation = Operation::new(
    "installConnect",
    "Go to GitHub to install the App",
    &[onward("To GitHub."), NO_SESSION, NOT_DUE],
)
.body(Body::Form(Shape::of::<Install>()))
.codes(ASKED);
pub(crate) const CREATED: Operation = Operation::new(
    "connectCreated",
    "GitHub sends the browser back with the code of a new App",
    &[onward("The App is kept; on to its installation."), NO_SESSION, NOT_DUE, FORGE_AWAY],
)
.parameters(&[CODE, STATE, ERROR])
.codes(ASKED);
pub(crate) const INSTALLED: Operation = Operation::new(
    "connectInstalled",
    "GitHub sends the browser back after an installation",
    &[
        onward("To GitHub, to sign in; or to the page that waits for an owner."),
        html(400, "No installation is named."),
        NO_SESSION,
        NOT_DUE,
    ],
)
.parameters(&[
    Parameter::text("installation_id", "The installation. Proves nothing.", "1"),
    Parameter::text("setup_action", "`install`, `update` or `request`.", "install"),
    STATE,
])
.codes(ASKED);
pub(crate) const AUTHORIZED: Operation = Operation::new(
    "connectAuthorized",
    "GitHub sends the browser back after a sign-in; an owner's binds the installation",
    &[html(200, "It is connected; the session has ended."), NO_SESSION, NOT_DUE, FORGE_AWAY],
)
.parameters(&[CODE, STATE, ERROR])
.codes(ASKED);
