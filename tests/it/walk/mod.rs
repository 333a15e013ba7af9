//! The whole way, as an operator goes it: from an empty folder to a connection of each kind, with a real scanner as the
//! first job, and then a kill and a power cut. What the README promises, once from its beginning to its end.

mod operator;

use serde_json::json;

use self::operator::{Forges, Operator};
use crate::ci::scanner::{self, Checkout};
use crate::crash::disk::Mount;
use crate::crash::image::Rig;
use crate::harness::bench::Bench;

/// GitLab Cloud connects itself: the scanner says where it runs, and the job's ID token proves it.
async fn the_first_job_comes(operator: &Operator<'_>, forges: &Forges, ci: &str) {
    let checkout = Checkout::new("https://gitlab.com/acme/web.git");
    let sha = checkout.commit("eval(input())\n");
    let scanned = scanner::run(&operator.base(), &checkout, ci, &scanner::gitlab_job(&sha));
    let said = String::from_utf8_lossy(&scanned.stderr).into_owned();
    assert!(said.contains("Findings: 1") && said.contains("/orgs/acme/findings"), "{said}");
    let claimed = operator.shown();
    assert!(claimed.projects.contains(&"gitlab.com acme/web claimed".into()), "{claimed:#?}");
    let proven = operator.check_in(Some(ci), &forges.issuer.gitlab("acme/web", 20, 72, 1)).await;
    assert_eq!(proven["project"]["full_path"], "acme/web", "{proven}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_connects_every_kind_and_keeps_it_over_a_kill_and_a_power_cut() {
    let (rig, forges) = (Rig::new(), Forges::new());
    let bench = Bench::with_data(&rig.data());
    forges.configure(&bench);
    let operator = Operator::starts(&bench).await;
    let empty = operator.shown();
    assert!(empty.connections.is_empty() && empty.projects.is_empty() && empty.members.is_empty());

    // GitHub Cloud by an App, which tells of its installation.
    operator.is_installed().await;
    // GitHub Enterprise Server by a personal token. The founder is at GitHub: it manages the members. The token makes no
    // hooks, so that the operator is told how to set one up.
    let token = forges.server.token("ada", Some("repo, user, read:org"));
    let added = operator.adds("github_enterprise_server", forges.server.site().as_str(), "server", token);
    assert_eq!(added["connection"]["authority"], json!(true), "{added}");
    // GitLab Self-Managed by a group token.
    let token = forges.instance.group_token(forges.group, 50, &["api"]);
    let other = operator.adds("gitlab_self_managed", forges.instance.site().as_str(), "instance", &token);
    assert_eq!(other["connection"]["authority"], json!(false), "{other}");
    // GitLab Cloud by itself.
    let ci = operator.token("ci");
    the_first_job_comes(&operator, &forges, &ci).await;

    let server = forges.server.site().host_str().unwrap().to_owned();
    let all = operator
        .sees("four connections with their projects and the members of one", |shown| {
            shown.connections.len() == 4
                && shown.projects.iter().filter(|line| line.contains("acme/site")).count() == 2
                && shown.projects.iter().any(|line| line == "gitlab.com acme/web proven")
                && shown.members.len() == 2
        })
        .await;
    for kind in ["github_cloud", "github_enterprise_server", "gitlab_cloud", "gitlab_self_managed"] {
        assert!(all.connections.iter().any(|line| line.starts_with(kind)), "{kind}: {all:#?}");
    }
    assert!(all.projects.iter().any(|line| line.contains(&server)), "{all:#?}");

    // What happens at the forges follows.
    forges.server.leaves("acme", "bob");
    operator.hears_of_a_leaver(&forges.server, "bob", &added["hook"]).await;
    forges.instance.renames_project(forges.project, "shop");
    operator.runs(&["connections", "sync", "instance"]);
    let followed = operator
        .sees("bob is out, and the project has its new name", |shown| {
            shown.members.iter().any(|line| line.starts_with("bob") && line.ends_with("removed"))
                && shown.projects.iter().any(|line| line.contains("acme/shop"))
        })
        .await;

    // The process is killed.
    operator.daemon.kill().await;
    let operator = Operator::starts(&bench).await;
    assert_eq!(operator.shown(), followed);
    // A job of a known project needs no stored secret.
    operator.check_in(None, &forges.issuer.gitlab("acme/web", 20, 72, 2)).await;

    // The power is cut: the disk as it was at that instant, in another machine.
    let image = rig.copy(0);
    operator.daemon.kill().await;
    let place = tempfile::tempdir().unwrap();
    let mount = Mount::new(&place.path().join("copy"), &["-o", "loop", &image.display().to_string()]);
    let rescued = Bench::with_data(&mount.0.join("data"));
    forges.configure(&rescued);
    let operator = Operator::starts(&rescued).await;
    assert_eq!(operator.shown(), followed);
    operator.runs(&["audit", "verify", "--organization", "acme"]);
    operator.runs(&["store", "verify"]);
    // And it goes on: a project more comes with its first job.
    operator.check_in(Some(&ci), &forges.issuer.gitlab("acme/api", 21, 72, 3)).await;
    let more = operator.shown();
    assert!(more.projects.contains(&"gitlab.com acme/api proven".into()), "{more:#?}");
    assert_eq!((more.connections, more.members), (followed.connections, followed.members));
    assert_eq!(forges.server.violations(), [""; 0]);
    assert_eq!(forges.instance.violations(), [""; 0]);
    operator.daemon.stop().await;
    drop(mount);
}
