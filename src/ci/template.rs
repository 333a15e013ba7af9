//! CI files that check in with this server, and scan: to be copied as they are, or edited.

use url::Url;

use crate::domain::organization::Forge;

/// The scanner that the files run.
const SEMGREP: &str = "1.182.0";
/// A tag could be moved to something else; this cannot.
const CHECKOUT: &str = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2";

/// A file for a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Where it belongs.
    pub path: &'static str,
    /// What it says.
    pub content: String,
}

impl Template {
    /// The file for a forge; with `scans`, it runs the scanner too.
    #[must_use]
    pub fn new(forge: Forge, public_url: &Url, scans: bool) -> Self {
        let url = public_url.as_str().trim_end_matches('/');
        match forge {
            Forge::Gitlab => Self { path: ".gitlab-ci.yml", content: gitlab(url, scans) },
            Forge::Github => Self { path: ".github/workflows/semgrep.yml", content: github(url, scans) },
        }
    }
}

/// Sends the ID token, and the organization's token if there is one; prints the token for this project. What goes wrong is
/// said in lines that a runner takes for no command of its own, and ends the job.
const CHECK_IN: &str = r#"python3 - <<'EOF'
import http.client, json, os, sys, urllib.error, urllib.request
def fail(*lines):
    sys.exit("\n".join("scm-connect: " + " ".join(str(line).split()) for line in lines if line))
id_token = os.environ.get("SCM_CONNECT_ID_TOKEN") or fail("this job has no ID token in SCM_CONNECT_ID_TOKEN")
headers = {"Content-Type": "application/json"}
if os.environ.get("SCM_CONNECT_TOKEN"):
    headers["Authorization"] = "Bearer " + os.environ["SCM_CONNECT_TOKEN"]
body = json.dumps({"id_token": id_token}).encode()
request = urllib.request.Request("@URL@/api/v1/ci/check-ins", body, headers)
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        told = json.load(answer)
    project, token = told["project"]["full_path"], (told.get("token") or {}).get("value", "")
except urllib.error.HTTPError as refused:
    try:
        why = json.load(refused)
        lines = [why["code"], why["message"], why.get("help") and "help: " + why["help"]]
    except (ValueError, KeyError, TypeError):
        lines = [refused.reason, "help: @URL@ does not answer as scm-connect does; is something else in the way?"]
    fail("the check-in is refused: %d %s" % (refused.code, lines[0]), *lines[1:])
except (OSError, http.client.HTTPException) as away:
    fail("@URL@ cannot be reached: %s" % away)
except (ValueError, KeyError, TypeError):
    fail("@URL@ does not answer as scm-connect does; is something else in the way?")
print("checked in as " + project, file=sys.stderr)
print(token)
EOF"#;

/// Checks in, and runs the scanner with the token that it gets, or with the organization's. Without a scan nobody wants
/// the token, and it must not stand in the job's log.
fn script(url: &str, scans: bool, mask: &str) -> String {
    let check_in = CHECK_IN.replace("@URL@", url);
    if !scans {
        return check_in.replacen("<<'EOF'", "<<'EOF' >/dev/null", 1);
    }
    format!(
        "token=$(\n{check_in}\n)\n{mask}SEMGREP_URL={url} \\\n  \
         SEMGREP_APP_TOKEN=\"${{token:-${{SCM_CONNECT_TOKEN:-}}}}\" \\\n  semgrep ci --oss-only --metrics=off"
    )
}

fn indented(text: &str, columns: usize) -> String {
    let margin = " ".repeat(columns);
    text.lines().map(|line| format!("{margin}{line}")).collect::<Vec<_>>().join("\n")
}

fn gitlab(url: &str, scans: bool) -> String {
    let image = if scans { format!("semgrep/semgrep:{SEMGREP}") } else { "python:3.13-alpine".to_owned() };
    let script = indented(&script(url, scans, ""), 6);
    format!(
        r#"# Checks in with {url}. The first job of a group connects it: add the CI/CD variable
# SCM_CONNECT_TOKEN (a CI token of your organization there, masked) to the group. Once a job has checked in, the
# variable may go: from then on the job's own ID token is enough.
# A project in a person's own namespace is refused only when that person has started the job: an ID token does not tell a
# person's namespace from a group. An admin sees what has connected itself, and can reject it.
scm-connect:
  stage: test
  image: {image}
  # A server that is away must not stop your pipeline.
  allow_failure: true
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  id_tokens:
    SCM_CONNECT_ID_TOKEN:
      aud: {url}
  script:
    - |
{script}
"#
    )
}

/// GitHub gives no ID token by itself: the job asks for one, for our audience.
const FETCH: &str = r#"SCM_CONNECT_ID_TOKEN=$(python3 - <<'EOF'
import http.client, json, os, sys, urllib.request
try:
    address = os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"] + "&audience=@AUDIENCE@"
    headers = {"Authorization": "Bearer " + os.environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]}
except KeyError:
    sys.exit("scm-connect: this job gets no ID token; give it the permission id-token: write")
try:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
        print(json.load(answer)["value"])
except (OSError, http.client.HTTPException, ValueError, KeyError) as why:
    sys.exit("scm-connect: GitHub gives this job no ID token: " + " ".join(str(why).split()))
EOF
)
export SCM_CONNECT_ID_TOKEN"#;

fn github(url: &str, scans: bool) -> String {
    let container = if scans { format!("    container: semgrep/semgrep:{SEMGREP}\n") } else { String::new() };
    let checkout = if scans {
        format!("      - uses: {CHECKOUT}\n        with:\n          persist-credentials: false\n")
    } else {
        String::new()
    };
    let audience: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    let script = script(url, scans, "echo \"::add-mask::$token\"\n");
    let script = indented(&format!("{}\n{script}", FETCH.replace("@AUDIENCE@", &audience)), 10);
    format!(
        r#"# Checks in with {url}. The first job of an owner connects it: add the secret
# SCM_CONNECT_TOKEN (a CI token of your organization there). Once a job has checked in, the secret may go: from then on
# the job's own ID token is enough.
# A repository of a person's own is refused only when that person has started the run: an ID token does not tell a person
# from an organization. An admin sees what has connected itself, and can reject it.
name: Semgrep
on:
  pull_request: {{}}
  push:
    branches: [main, master]
  workflow_dispatch: {{}}
permissions:
  contents: read
  id-token: write
jobs:
  semgrep:
    # Jobs of forks get no ID token.
    if: github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository
    runs-on: ubuntu-latest
    # A server that is away must not stop your pipeline.
    continue-on-error: true
{container}    steps:
{checkout}      - name: Check in
        env:
          SCM_CONNECT_TOKEN: ${{{{ secrets.SCM_CONNECT_TOKEN }}}}
        run: |
{script}
"#
    )
}
