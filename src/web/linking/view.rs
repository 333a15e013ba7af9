//! The pages, as text. Whatever strangers or forms wrote goes through [`escape`].

use std::fmt::Write as _;

use url::Url;

use crate::linking::{AccountKind, Bound, Permission, Purpose, Refusal, Visit, Wants, Wrong};
use crate::web::page::escape;

/// The steps of connecting GitHub: the guide and the pages tell the same.
const STEPS: [(&str, &str); 6] = [
    (
        "Open a one-time link",
        "An admin of the organization makes it with <code>scm-connect connections link</code>. It works once, for ten minutes.",
    ),
    (
        "Say where",
        "Choose under <strong>Install on</strong> a personal account or an organization account, and give the name exactly as GitHub spells it.",
    ),
    (
        "Say what for",
        "Leave PR comments and get Assistant recommendations, which reads code, or leave PR comments only.",
    ),
    (
        "Create GitHub App",
        "Review the permissions and their reasons; then GitHub asks you to confirm. The App belongs to your account, and its keys are sealed here at once.",
    ),
    ("Install", "Choose all repositories or only selected ones, at GitHub."),
    (
        "Sign in",
        "GitHub tells who you are. Only an owner of the organization, or of the personal account, can connect it.",
    ),
];

pub(super) const WRONG_LINK: &str = "<p role=\"alert\">This link is wrong, was used already, or its ten minutes are over.</p>\
    <p>An admin of the organization makes a new one with <code>scm-connect connections link</code>.</p>";

/// What was filled in.
#[derive(Debug, Clone)]
pub(crate) struct Filled {
    pub(super) account: AccountKind,
    pub(super) login: String,
    pub(super) purpose: Purpose,
    pub(super) follows_ci: bool,
}

impl Default for Filled {
    fn default() -> Self {
        let (account, purpose) = (AccountKind::Organization, Purpose::CommentsAndAssistant);
        Self { account, login: String::new(), purpose, follows_ci: false }
    }
}

impl Filled {
    /// What was chosen or suggested before; else the first of each.
    pub(super) fn first(visit: &Visit) -> Self {
        let (leg, blank) = (&visit.leg, Self::default());
        let chosen = leg.expected.as_ref();
        let login = chosen.map(|it| it.login.clone()).or(leg.suggested.clone());
        Self {
            account: chosen.map_or(blank.account, |it| it.kind),
            login: login.unwrap_or_default(),
            purpose: leg.wants.map_or(blank.purpose, |it| it.purpose),
            follows_ci: leg.wants.is_some_and(|it| it.follows_ci),
        }
    }
}

pub(super) fn guide() -> String {
    let mut main = String::from(
        "<p>Connect a GitHub or GitLab organization to manage user authentication, to follow its repositories, and to \
         post findings on pull requests.</p><h2>Before you begin</h2><ul>\
         <li>An organization here, and an admin token of it or the command line on the server's machine.</li>\
         <li>At GitHub: you own the organization (or an owner goes through the last two steps).</li>\
         <li>At GitLab Self-Managed: a token with the scope <code>api</code>.</li></ul>\
         <h2>GitHub, in the cloud or on your own server</h2><ol>",
    );
    for (title, help) in STEPS {
        let _ = write!(main, "<li><strong>{title}.</strong> {help}</li>");
    }
    main.push_str(
        "</ol><h2>GitLab.com</h2><p>The connection is created by the first CI job of a group. No other steps are \
         needed: <code>scm-connect ci-template gitlab</code> prints the job.</p>\
         <h2>GitHub Enterprise Server by token, and GitLab Self-Managed</h2>\
         <p>Make a token with the scopes below, then run <code>scm-connect connections add</code> with the kind, the \
         URL and the token.</p><table><thead><tr><th scope=\"col\">GitHub Enterprise Server</th>\
         <th scope=\"col\">GitLab Self-Managed</th></tr></thead><tbody><tr><td data-head=\"GitHub Enterprise Server\"><code>public_repo</code>, \
         <code>repo:status</code>, <code>user:email</code>, <code>write:discussion</code></td>\
         <td data-head=\"GitLab Self-Managed\"><code>api</code></td></tr></tbody></table>",
    );
    main
}

pub(super) fn landing(code: &str) -> String {
    format!(
        "<p>This link lets you connect a GitHub account to an organization on this server. You need to own the account \
         at GitHub, and it takes a few minutes.</p>{steps}\
         <form method=\"post\" action=\"/connect-scm/github\"><input type=\"hidden\" name=\"code\" value=\"{code}\">\
         <button type=\"submit\">Begin</button></form>",
        steps = numbered(),
        code = escape(code),
    )
}

fn numbered() -> String {
    let rest = STEPS.iter().skip(1).map(|(title, help)| format!("<li><strong>{title}.</strong> {help}</li>"));
    format!("<ol>{}</ol>", rest.collect::<String>())
}

pub(super) fn no_session(is_https: bool) -> String {
    let mut main = String::from(
        "<p role=\"alert\">No session is open in this browser: the link was opened in another one, or its hour is \
         over, or it has come to its end.</p><p>Nothing was changed. Make a new link with \
         <code>scm-connect connections link</code>, and go through to the end in one browser.</p>",
    );
    if !is_https {
        main.push_str(
            "<p>This server is reached over plain http. Browsers keep the session of this page only over https, or on \
             the server's own machine.</p>",
        );
    }
    main
}

fn for_whom(visit: &Visit) -> String {
    format!(
        "<p>You connect a GitHub account at <strong>{}</strong> to the organization <strong>{}</strong> on this \
         server. Its admins will see your repositories' names and your members.</p>",
        escape(visit.leg.url.host_str().unwrap_or_default()),
        escape(visit.organization.as_str()),
    )
}

fn token(visit: &Visit) -> String {
    format!("<input type=\"hidden\" name=\"token\" value=\"{}\">", escape(&visit.form_token()))
}

pub(super) fn form(visit: &Visit, filled: &Filled, wrong: Option<&Wrong>) -> String {
    let (alert, mark) = match wrong {
        Some(wrong) => (alert(visit, filled, wrong), " aria-invalid=\"true\" aria-describedby=\"wrong\""),
        None => (String::new(), " aria-describedby=\"login-help\""),
    };
    let options = AccountKind::ALL.map(|kind| {
        let chosen = if kind == filled.account { " selected" } else { "" };
        format!("<option value=\"{}\"{chosen}>{}</option>", kind.as_str(), kind.label())
    });
    let features = if visit.leg.existing_app { String::new() } else { features(filled) };
    let button = if visit.leg.existing_app { "Continue" } else { "Review permissions" };
    format!(
        "{whom}{alert}<form method=\"post\" action=\"/connect-scm/github/review\">{token}\
         <label for=\"account\">Install on</label><select id=\"account\" name=\"account\">{options}</select>\
         <label for=\"login\">Organization name</label>\
         <input id=\"login\" name=\"login\" required maxlength=\"100\" autocapitalize=\"none\" autocomplete=\"off\" \
         spellcheck=\"false\" value=\"{login}\"{mark}>\
         <p class=\"hint\" id=\"login-help\">The name of the GitHub account, exactly as GitHub spells it. For a \
         personal account, your user name.</p>{features}<button type=\"submit\">{button}</button></form>",
        whom = for_whom(visit),
        token = token(visit),
        options = options.concat(),
        login = escape(&filled.login),
    )
}

fn features(filled: &Filled) -> String {
    let mut html = String::from("<fieldset><legend>What it is for</legend>");
    for purpose in Purpose::ALL {
        let word = purpose.as_str();
        let chosen = if purpose == filled.purpose { " checked" } else { "" };
        let _ = write!(
            html,
            "<div class=\"choice\"><input type=\"radio\" id=\"{word}\" name=\"purpose\" value=\"{word}\"{chosen} \
             aria-describedby=\"{word}-help\"><label for=\"{word}\">{}</label></div>\
             <p class=\"hint\" id=\"{word}-help\">{}</p>",
            purpose.label(),
            purpose.meaning(),
        );
    }
    let chosen = if filled.follows_ci { " checked" } else { "" };
    let _ = write!(
        html,
        "<div class=\"choice\"><input type=\"checkbox\" id=\"follows-ci\" name=\"follows_ci\" value=\"yes\"{chosen} \
         aria-describedby=\"follows-ci-help\"><label for=\"follows-ci\">Follow runs of GitHub Actions</label></div>\
         <p class=\"hint\" id=\"follows-ci-help\">Shows whether a repository's CI job passes.</p></fieldset>"
    );
    let all = Wants { purpose: Purpose::CommentsAndAssistant, follows_ci: true }.permissions();
    let _ =
        write!(html, "<details><summary>Everything that can be asked for</summary>{}</details>", table(&all));
    html
}

/// What is wrong with the form, with the right spelling one click away.
fn alert(visit: &Visit, filled: &Filled, wrong: &Wrong) -> String {
    let host = escape(visit.leg.url.host_str().unwrap_or_default());
    let typed = escape(&filled.login);
    let sentence = match wrong {
        Wrong::Empty => "Give the name of the account.".to_owned(),
        Wrong::Spelling(right) => {
            format!(
                "There is no \u{201c}{typed}\u{201d} at {host}; it is spelled \u{201c}{}\u{201d}.",
                escape(right)
            )
        }
        Wrong::Kind(told) => format!(
            "\u{201c}{typed}\u{201d} at {host} is {}.",
            if *told == AccountKind::Organization {
                "an organization"
            } else {
                "somebody's personal account"
            }
        ),
        Wrong::Nobody => {
            format!(
                "There is no account \u{201c}{typed}\u{201d} at {host}. Look at the address of its page there."
            )
        }
        Wrong::Connected(key) => {
            format!("This account is connected already, as <code>{}</code>.", escape(key.as_str()))
        }
        Wrong::Declared(key) => format!(
            "The server's config declares how this account is connected, as <code>{}</code>. It is changed there.",
            escape(key.as_str())
        ),
        Wrong::Rejected(key) => format!(
            "An admin has rejected this account (<code>{}</code>). Allow it first.",
            escape(key.as_str())
        ),
    };
    let offered = match wrong {
        Wrong::Spelling(right) => again(
            visit,
            &Filled { login: right.clone(), ..filled.clone() },
            &format!("Use \u{201c}{right}\u{201d}"),
        ),
        Wrong::Kind(told) => again(
            visit,
            &Filled { account: *told, ..filled.clone() },
            if *told == AccountKind::Organization {
                "Install on the organization"
            } else {
                "Install on the personal account"
            },
        ),
        _ => String::new(),
    };
    format!("<div role=\"alert\" id=\"wrong\"><p>{sentence}</p>{offered}</div>")
}

/// A button that sends the same form with another value.
fn again(visit: &Visit, filled: &Filled, button: &str) -> String {
    let follows =
        if filled.follows_ci { "<input type=\"hidden\" name=\"follows_ci\" value=\"yes\">" } else { "" };
    format!(
        "<form method=\"post\" action=\"/connect-scm/github/review\">{token}\
         <input type=\"hidden\" name=\"account\" value=\"{account}\">\
         <input type=\"hidden\" name=\"login\" value=\"{login}\">\
         <input type=\"hidden\" name=\"purpose\" value=\"{purpose}\">{follows}\
         <button type=\"submit\">{button}</button></form>",
        token = token(visit),
        account = filled.account.as_str(),
        login = escape(&filled.login),
        purpose = filled.purpose.as_str(),
        button = escape(button),
    )
}

fn table(permissions: &[&Permission]) -> String {
    let rows = permissions.iter().map(|it| {
        format!(
            "<tr><th scope=\"row\">{}</th><td data-head=\"Level\">{}</td><td data-head=\"Why\">{}</td>\
             <td data-head=\"Without it\">{}</td></tr>",
            it.label, it.level, it.why, it.without
        )
    });
    format!(
        "<table><thead><tr><th scope=\"col\">Permission</th><th scope=\"col\">Level</th><th scope=\"col\">Why</th>\
         <th scope=\"col\">Without it</th></tr></thead><tbody>{}</tbody></table>",
        rows.collect::<String>()
    )
}

pub(super) fn review(visit: &Visit, target: &Url, manifest: &str, permissions: &[&Permission]) -> String {
    let login = visit.leg.expected.as_ref().map(|it| it.login.as_str()).unwrap_or_default();
    format!(
        "{whom}<p>A GitHub App of <strong>{login}</strong>'s own will be created, which only {login} can install. It \
         will ask for this, and for nothing else:</p>{table}\
         <p>GitHub shows the App's name, which you may change there, and asks you to confirm. Come back within ten \
         minutes.</p><form method=\"post\" action=\"{target}\"><input type=\"hidden\" name=\"manifest\" value=\"{manifest}\">\
         <button type=\"submit\">Create GitHub App</button></form>\
         <p><a href=\"/connect-scm/github/step\">Change what you chose</a></p>",
        whom = for_whom(visit),
        login = escape(login),
        table = table(permissions),
        target = escape(target.as_str()),
        manifest = escape(manifest),
    )
}

pub(super) fn install(visit: &Visit) -> String {
    let login = visit.leg.expected.as_ref().map(|it| it.login.as_str()).unwrap_or_default();
    let made = if visit.leg.existing_app {
        ""
    } else {
        "<p role=\"status\">The App was created, and its keys are sealed.</p>"
    };
    format!(
        "{whom}{made}<p>Now install it on <strong>{login}</strong>, for all repositories or only selected ones. GitHub \
         then asks you to sign in, so that it is proven that the account is yours.</p>{form}",
        whom = for_whom(visit),
        login = escape(login),
        form = install_form(visit, "Install"),
    )
}

fn install_form(visit: &Visit, button: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/connect-scm/github/install\">{}<button type=\"submit\">{button}</button></form>",
        token(visit)
    )
}

pub(super) fn awaiting(visit: &Visit, link: &Url) -> String {
    let login = visit.leg.expected.as_ref().map(|it| it.login.as_str()).unwrap_or_default();
    format!(
        "{whom}<p role=\"status\">An owner of <strong>{login}</strong> was asked to approve the installation. Nothing \
         is read until then.</p><p>Owners see the request in the organization's settings; they can also go to \
         <a href=\"{link}\">{link}</a>.</p><p>When it is approved, an owner has to prove that the account is theirs: \
         send them a new link, made with <code>scm-connect connections link</code>. If you are an owner, go on here:</p>{form}",
        whom = for_whom(visit),
        login = escape(login),
        link = escape(link.as_str()),
        form = install_form(visit, "Install"),
    )
}

pub(super) fn bound(visit: &Visit, bound: &Bound) -> String {
    let repositories = match bound.repository_selection.as_str() {
        "all" => "all repositories",
        _ => "the selected repositories",
    };
    let mut main = format!(
        "<p role=\"status\"><strong>{login}</strong> at {host} is connected to the organization \
         <strong>{organization}</strong>, for {repositories}. {person} has proven it.</p>",
        login = escape(&bound.login),
        host = escape(visit.leg.url.host_str().unwrap_or_default()),
        organization = escape(visit.organization.as_str()),
        person = escape(&bound.person),
    );
    if !bound.missing.is_empty() {
        let names = bound.missing.iter().map(|name| format!("<code>{name}</code>")).collect::<Vec<_>>();
        let _ = write!(
            main,
            "<p role=\"alert\">Not everything was granted: {} is missing. An owner grants it in the installation's \
             settings at GitHub; until then what needs it does not work.</p>",
            names.join(", ")
        );
    }
    let _ = write!(
        main,
        "<h2>What is next</h2><ul><li>Its name here is <code>{key}</code>; \
         <code>scm-connect connections show {key}</code> tells how it does.</li>\
         <li>Add a CI job to a repository: <code>scm-connect ci-template github</code> prints it.</li></ul>\
         <p>The session of this browser has ended; you can close this page.</p>",
        key = escape(bound.connection.as_str()),
    );
    main
}

pub(super) fn refused(visit: Option<&Visit>, refusal: &Refusal) -> String {
    let mut sentence = refusal.to_string();
    if let Some(first) = sentence.get(..1).map(str::to_uppercase) {
        sentence.replace_range(..1, &first);
    }
    let back = match visit {
        Some(_) => "<p><a href=\"/connect-scm/github/step\">Back to the step that is due</a></p>",
        None => "",
    };
    format!("<p role=\"alert\">{}.</p><p>{}</p>{back}", escape(&sentence), escape(refusal.help()))
}
