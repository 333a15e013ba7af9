//! The admin whom a file names.

use super::refused;

#[test]
fn r52_a_break_glass_admin_at_a_forge_is_named_by_number() {
    let organization = "[[organizations]]\nslug = \"acme\"\nbreak_glass = ";
    for (named, line) in [
        (
            "{ login = \"ada\", host = \"github.com\" }",
            "scm.toml:3: organizations[0].break_glass.external_id: is missing; allowed: the person's number at the forge",
        ),
        (
            "{ login = \"ada\", external_id = 7 }",
            "scm.toml:3: organizations[0].break_glass.host: is missing; allowed: the forge's host, such as github.com",
        ),
        ("{ }", "scm.toml:3: organizations[0].break_glass.login: is missing; allowed: a name"),
        (
            "{ login = \"ada\", host = \"https://github.com\", external_id = 7 }",
            "scm.toml:3: organizations[0].break_glass.host: \"https://github.com\" is no host of a forge; \
             allowed: the forge's host, such as github.com",
        ),
        (
            "{ login = \"ada\", host = \"github.com\", external_id = \"7\" }",
            "scm.toml:3: organizations[0].break_glass.external_id: is not a number that can be used here; \
             allowed: a whole number from 1 to 9223372036854775807",
        ),
    ] {
        let text = format!("{organization}{named}\n");
        assert_eq!(refused(&text, &[]), [line], "for\n{text}");
    }
}
