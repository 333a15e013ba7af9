//! The command line itself.

use clap::{CommandFactory, Parser};

use crate::cli::arguments::{Ask, Command, DeadLettersCommand, DeliveriesCommand, TokenCommand};
use crate::cli::terminal::tests::paper;
use crate::cli::{Arguments, Exit, completions, version};

fn typed(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("scm-connect").chain(line.split_whitespace()))
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_of_the_contract_can_be_typed() {
    for line in [
        "serve",
        "serve --config scm.toml",
        "demo --once",
        "check --config scm.toml",
        "send push --to http://127.0.0.1:8080/hooks/a --secret s",
        "send push --to http://127.0.0.1:8080/hooks/a --secret s --provider github --fixture f.json --repeat 3",
        "send pipeline --to http://127.0.0.1:8080/hooks/a --signing-token env:T --provider gitlab",
        "token create --organization acme --kind ci",
        "token create --organization acme --kind read --name ci --expires 90d --json",
        "token create --organization acme --kind admin",
        "token list --json",
        "token revoke 12",
        "organizations create acme --name Acme --home github",
        "organizations list --json",
        "connections list --organization acme",
        "connections show acme-github --json",
        "connections add --organization acme --kind gitlab_self_managed --forge https://git.example.com --account acme --token-file -",
        "connections add --organization acme --kind github_cloud --account acme --app-id 1 --app-key-file app.pem --installation 2",
        "connections link --organization acme --kind github_enterprise_server --forge https://git.example.com",
        "--url https://scm.example.com connections link --organization acme --forge https://git.example.com",
        "connections test acme-github",
        "connections sync acme-github --json",
        "connections pause acme-github",
        "connections resume acme-github",
        "connections disconnect acme-github --yes",
        "connections promote gitlab-acme --token-file token",
        "connections reject gitlab-acme",
        "connections allow gitlab-acme",
        "secrets rotate gitlab-acme",
        "secrets rotate gitlab-acme --leaked --json",
        "secrets rotate acme-github --client-secret-file secret.txt",
        "secrets rotate acme-github --app-key-file app.pem --client-secret-file secret.txt",
        "keys rotate --json",
        "keys rotate --prepare",
        "connections add --organization acme --kind github_cloud",
        "connections add --organization acme --kind github_enterprise_server --forge https://git.example.com",
        "apply team.toml --dry-run",
        "projects list --organization acme --state active --search web",
        "members list --json --all",
        "deliveries list --state dead --source acme-github --since 2h",
        "deliveries show 1",
        "deliveries replay 1",
        "deliveries replay --state done --since 2h --dry-run",
        "deliveries replay --state done --since 2h --no-wait",
        "dead-letters replay --all --no-wait --json",
        "tasks list --state failed --json",
        "tasks show 0123456789abcdef01234567",
        "tasks cancel 0123456789abcdef01234567",
        "findings list --organization acme --state open --json",
        "connections list --state token_expiring --kind gitlab_cloud --authority true",
        "members list --login octocat --role admin",
        "audit list --actor cli --action token.created --since 7d",
        "dead-letters list --json",
        "dead-letters replay --reason unreadable",
        "dead-letters discard 1",
        "store verify --json",
        "completions bash",
        "version --json",
        "healthcheck --config scm.toml",
        "--url https://scm.example.com projects list",
        "projects list --url https://scm.example.com",
    ] {
        assert!(typed(line).is_ok(), "{line}: {}", typed(line).unwrap_err());
    }
}

#[test]
fn r52_wrong_use_is_refused_before_anything_is_done() {
    for line in [
        "",
        "serv",
        "serve now",
        "send push --to http://127.0.0.1:1/hooks/a",
        "send push --secret s",
        "send push --to file:///etc/passwd --secret s",
        "send push --to http://127.0.0.1:1/ --secret s --repeat 0",
        "send push --to http://127.0.0.1:1/ --secret s --provider bitbucket",
        "token create --organization Acme --kind ci",
        "token create --organization acme --kind owner",
        "token create --organization acme --kind ci --expires soon",
        "organizations create -a",
        "deliveries list --state gone",
        "deliveries list --limit 0",
        "deliveries replay 1 --source acme",
        "dead-letters discard 1 --all",
        "secrets rotate acme-github --by-hand --leaked",
        "secrets rotate acme-github --client-secret-file secret.txt --leaked",
        "projects list --url ftp://scm.example.com",
        "projects list --url https://user:pw@scm.example.com",
        "completions cobol",
    ] {
        let error = typed(line).expect_err(line);
        assert!(error.use_stderr() && error.exit_code() == i32::from(Exit::Usage as u8), "{line}: {error}");
    }
}

#[test]
fn no_option_takes_a_token_of_ours() {
    let mut all = vec![Arguments::command()];
    while let Some(command) = all.pop() {
        let name = command.get_name().to_owned();
        let options: Vec<String> = command.get_arguments().map(|it| it.get_id().to_string()).collect();
        assert!(!options.iter().any(|option| option == "token"), "{name}: {options:?}");
        all.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn every_command_and_option_says_what_it_does() {
    let mut all = vec![Arguments::command()];
    while let Some(command) = all.pop() {
        let name = command.get_name().to_owned();
        assert!(command.get_about().is_some(), "{name}");
        for option in command.get_arguments().filter(|it| !matches!(it.get_id().as_str(), "help" | "version"))
        {
            assert!(option.get_help().is_some(), "{name} {}", option.get_id());
        }
        all.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn an_expiry_and_a_state_are_typed_values() {
    let Command::Ask(Ask::Token(TokenCommand::Create { expires, .. })) =
        typed("token create --organization acme --kind ci --expires 90d").unwrap().command
    else {
        panic!("another command")
    };
    assert_eq!(expires.unwrap().to_string(), "90d");
    let Command::Ask(Ask::Deliveries(DeliveriesCommand::Replay { id, choice, .. })) =
        typed("deliveries replay --reason exhausted").unwrap().command
    else {
        panic!("another command")
    };
    assert!(id.is_none() && !choice.is_everything());
    let Command::Ask(Ask::DeadLetters(DeadLettersCommand::Discard(many))) =
        typed("dead-letters discard --all").unwrap().command
    else {
        panic!("another command")
    };
    assert!(many.all && many.choice.is_everything());
}

#[test]
fn completions_and_version_are_printed() {
    let (mut terminal, out, _) = paper(false);
    completions(clap_complete::Shell::Bash, &mut terminal).unwrap();
    assert!(out.text().contains("dead-letters"), "{}", out.text());
    let (mut terminal, out, _) = paper(false);
    version(false, &mut terminal).unwrap();
    assert_eq!(out.text(), format!("scm-connect {}\n", env!("CARGO_PKG_VERSION")));
}
