//! What a job says without proof: the `ci` object of a check-in, and the metadata of the Semgrep command line.
//!
//! Known names are read, others are passed over: each CI system sends what it has. A forge's own token is refused
//! wherever it stands, so that none is ever kept (rules.md e-30).

use serde_json::Value;
use url::Url;

use crate::domain::Host;
use crate::domain::ci::Job;
use crate::domain::organization::Forge;

/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 1024;
/// Nesting that is looked into for tokens.
const DEPTH_MAX: usize = 32;

/// Why nothing can be made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// It does not say which repository.
    #[error("ci.repo_url is missing: the repository's web address")]
    NoRepository,
    /// What it says is no repository's address.
    #[error("ci.repo_url is no repository's web address")]
    NoAddress,
    /// Address and path contradict each other.
    #[error("ci.repo_url does not end in ci.repository")]
    Contradiction,
}

/// Beginnings of tokens that the forges hand out.
const PREFIXES: &[&str] = &[
    "glpat-",
    "gldt-",
    "glcbt-",
    "glptt-",
    "glft-",
    "glsoat-",
    "glrt-",
    "glimt-",
    "glagent-",
    "gloas-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
];

/// The name of a field that holds a forge's token, or is named like one.
#[must_use]
pub fn smuggled(value: &Value) -> Option<String> {
    look(value, "", DEPTH_MAX)
}

fn look(value: &Value, name: &str, depth: usize) -> Option<String> {
    let below = depth.checked_sub(1)?;
    match value {
        Value::String(text) => {
            (is_named_so(name) && !text.is_empty() || holds_token(text)).then(|| name.to_owned())
        }
        Value::Array(all) => all.iter().find_map(|one| look(one, name, below)),
        Value::Object(all) => all.iter().find_map(|(name, one)| look(one, name, below)),
        _ => None,
    }
}

fn is_named_so(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = ["token", "password", "secret", "private_key", "jwt"];
    ends.iter().any(|end| name.ends_with(end))
}

fn holds_token(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let words = || text.split(|c: char| !is_letter(c) && c != '.');
    let is_token = |word: &str| {
        let long = |prefix: &&str| word.strip_prefix(*prefix).is_some_and(|rest| rest.len() >= 16);
        PREFIXES.iter().any(long)
    };
    let is_jwt = |word: &str| word.starts_with("eyJ") && word.split('.').count() == 3 && word.len() > 64;
    let has_user = || {
        let after = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = after.split('/').next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    };
    words().any(|word| is_token(word) || is_jwt(word)) || has_user()
}

/// Reads what is said of a job.
///
/// # Errors
/// When it does not say which repository, in a way that can be understood.
pub(crate) fn job(said: &Value) -> Result<Job, Untold> {
    let text = |names: &[&str]| field(said, names);
    let repository = text(&["repository", "project_path", "full_path"]);
    let address = text(&["repo_url", "project_url"]).or_else(|| {
        let (server, path) = (text(&["server_url"])?, repository.as_ref()?);
        Some(format!("{}/{path}", server.trim_end_matches('/')))
    });
    let (url, full_path) = place(&address.ok_or(Untold::NoRepository)?, repository.as_deref())?;
    let host = Host::of(&url).map_err(|_| Untold::NoAddress)?;
    let system = text(&["provider", "scan_environment"]).unwrap_or_default();
    let forge = match host.as_str() {
        "github.com" => Forge::Github,
        "gitlab.com" => Forge::Gitlab,
        _ if system.starts_with("github") => Forge::Github,
        _ => Forge::Gitlab,
    };
    let number = text(&["pull_request_id", "merge_request_iid"]);
    Ok(Job {
        forge,
        url,
        host,
        full_path,
        name: text(&["job_id", "ci_job_url", "job_url"]),
        event: text(&["on", "event", "pipeline_source"]),
        git_ref: text(&["branch", "ref"]),
        sha: text(&["commit", "sha"]),
        change: number.and_then(|number| number.parse().ok()),
    })
}

/// The job's number as the caller gives it, to be compared with a token's.
pub(crate) fn job_id(said: &Value) -> Option<String> {
    field(said, &["job_id"])
}

fn field(said: &Value, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| match said.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    })?;
    Some(
        found
            .chars()
            .filter(|letter| !letter.is_control())
            .take(TEXT_CHARS_MAX.max(PATH_BYTES_MAX))
            .collect(),
    )
}

/// The forge's base URL and the repository's path: what is left of the address without the path.
fn place(address: &str, repository: Option<&str>) -> Result<(Url, String), Untold> {
    let mut url = web_address(address).ok_or(Untold::NoAddress)?;
    let whole = url.path().trim_matches('/').trim_end_matches(".git").to_owned();
    let path = match repository.map(|path| path.trim_matches('/')) {
        None | Some("") => whole.clone(),
        Some(path) => path.to_owned(),
    };
    let start = whole.len().checked_sub(path.len()).ok_or(Untold::Contradiction)?;
    let (base, end) = whole.split_at_checked(start).ok_or(Untold::Contradiction)?;
    if !end.eq_ignore_ascii_case(&path) || !(base.is_empty() || base.ends_with('/')) {
        return Err(Untold::Contradiction);
    }
    let segments = || path.split('/');
    let is_clean = path.len() <= PATH_BYTES_MAX
        && segments().count() >= 2
        && segments().all(|part| !part.is_empty() && part != "." && part != "..")
        && !path.chars().any(|c| c.is_whitespace() || c == '%' || c == '?' || c == '#');
    if !is_clean {
        return Err(Untold::NoAddress);
    }
    url.set_path(&format!("/{}", base.trim_end_matches('/')));
    Ok((url, path))
}

/// `https://host/path`, also out of what git calls a remote: `git@host:path.git`, `ssh://git@host/path.git`.
fn web_address(address: &str) -> Option<Url> {
    let rewritten = match address.split_once("://") {
        Some(("http" | "https", _)) => address.to_owned(),
        Some(("ssh" | "git+ssh" | "git", rest)) => {
            let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
            let (host, path) = rest.split_once('/')?;
            format!("https://{}/{path}", host.split(':').next().unwrap_or_default())
        }
        Some(_) => return None,
        None => {
            let rest = address.split_once('@').map_or(address, |(_, rest)| rest);
            let (host, path) = rest.split_once(':')?;
            format!("https://{host}/{path}")
        }
    };
    let mut url = Url::parse(&rewritten).ok()?;
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_base_url_is_what_is_left_without_the_repository() {
        let table = [
            ("https://gitlab.com/acme/web", Some("acme/web"), "gitlab.com", "acme/web"),
            ("https://gitlab.com/acme/team/web.git", None, "gitlab.com", "acme/team/web"),
            (
                "https://git.example.com/gitlab/acme/web",
                Some("acme/web"),
                "git.example.com/gitlab",
                "acme/web",
            ),
            ("https://GitHub.com/Acme/Web/", Some("Acme/Web"), "github.com", "Acme/Web"),
            ("git@gitlab.com:acme/web.git", None, "gitlab.com", "acme/web"),
            ("ssh://git@git.example.com:2222/acme/web.git", None, "git.example.com", "acme/web"),
        ];
        for (address, repository, host, path) in table {
            let job = job(&json!({"repo_url": address, "repository": repository})).unwrap();
            assert_eq!((job.host.as_str(), job.full_path.as_str()), (host, path), "{address}");
        }
        let by_server =
            job(&json!({"server_url": "https://gitlab.com", "project_path": "acme/web", "job_id": 7}));
        assert_eq!(by_server.unwrap().name.as_deref(), Some("7"));
    }

    #[test]
    fn what_is_no_repository_is_refused() {
        let table = [
            (json!({}), Untold::NoRepository),
            (json!({"repo_url": "acme"}), Untold::NoAddress),
            (json!({"repo_url": "file:///etc/passwd"}), Untold::NoAddress),
            (json!({"repo_url": "https://gitlab.com/acme"}), Untold::NoAddress),
            (json!({"repo_url": "https://gitlab.com/acme/../x"}), Untold::NoAddress),
            (
                json!({"repo_url": "https://gitlab.com/acme/web", "repository": "beta/web"}),
                Untold::Contradiction,
            ),
            (
                json!({"repo_url": "https://gitlab.com/xacme/web", "repository": "acme/web"}),
                Untold::Contradiction,
            ),
        ];
        for (said, why) in table {
            assert_eq!(job(&said).unwrap_err(), why, "{said}");
        }
    }

    #[test]
    fn a_forges_token_is_found_wherever_it_stands() {
        let jwt = format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", "a".repeat(40), "b".repeat(40));
        for said in [
            json!({"job_token": "anything"}),
            json!({"CI_JOB_TOKEN": "64_x"}),
            json!({"deep": [{"GITHUB_TOKEN": "x"}]}),
            json!({"note": "use glpat-AbCdEfGhIjKlMnOpQrSt here"}),
            json!({"note": "ghp_0123456789abcdef0123"}),
            json!({"repo_url": "https://gitlab-ci-token:abc@gitlab.com/acme/web"}),
            json!({"note": jwt}),
        ] {
            assert!(smuggled(&said).is_some(), "{said}");
        }
        for said in [
            json!({"repo_url": "https://gitlab.com/acme/web", "branch": "glpat-docs", "token": null}),
            json!({"commit_title": "mention ghp_ and eyJ", "author": "a@b.example:x"}),
        ] {
            assert_eq!(smuggled(&said), None, "{said}");
        }
    }
}
