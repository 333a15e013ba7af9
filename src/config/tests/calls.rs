//! What the config says about calls to the forges: addresses, networks, certificate authorities.

use super::refused;
use super::sample::connection_with;

const SECRET: &str = "webhook_secrets = [{ value = \"0123456789abcdef\" }]";

#[test]
fn s18_an_address_that_the_dialler_would_refuse_is_refused_by_the_config() {
    let on_premise = |more: &str| connection_with(&format!("{SECRET}\n{more}"));
    let said = |more: &str| refused(&on_premise(more), &[]).join("\n");
    let metadata = said("api_url = \"https://169.254.169.254/api/v3\"");
    assert!(
        metadata.contains("api_url: would never be called: its address is a cloud's metadata service"),
        "{metadata}"
    );
    let proxy = said("proxy = \"http://2130706433:3128\"");
    assert!(proxy.contains("proxy: would never be called: its address is this machine itself"), "{proxy}");
    let wide = said("allow_private = [\"0.0.0.0/0\"]");
    assert!(wide.contains("allow_private[0]: is wider than any private network"), "{wide}");
    let opened = "api_url = \"https://10.1.2.3/api/v3\"\nallow_private = [\"10.0.0.0/8\"]";
    assert!(super::parse(&on_premise(opened), &[]).is_ok());
}

#[test]
fn a_certificate_authority_is_read_with_the_config() {
    let said =
        |file: &str| refused(&connection_with(&format!("{SECRET}\nca_file = \"{file}\"")), &[]).join("\n");
    assert!(said("no-such-file.pem").contains("cannot be read"));
    assert!(said("Cargo.toml").contains("holds no certificate"));
}

#[test]
fn an_address_of_the_api_is_no_base_url() {
    let text = connection_with(SECRET).replace("github_cloud", "gitlab_self_managed");
    let said = refused(&format!("{text}url = \"https://git.example.com/gitlab/api/v4/\"\n"), &[]).join("\n");
    assert!(said.contains("url: is the address of the API, where the base URL is meant"), "{said}");
}
