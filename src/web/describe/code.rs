//! The stable codes of errors. They are part of the public contract: programs branch on them.

/// Code, status, and what it means.
pub(crate) const CODES: &[(&str, u16, &str)] = &[
    ("account-connected", 409, "The account is connected already; the message says as which."),
    ("account-differs", 409, "The connection of that name is about another account."),
    ("account-not-allowed", 403, "The account is not among those that may connect themselves."),
    ("account-rejected", 403, "An admin of the organization has rejected this account."),
    (
        "account-spelling",
        400,
        "The account's name must match exactly; the message says how the forge spells it.",
    ),
    (
        "account-unavailable",
        409,
        "The account cannot be connected to this organization. More is told to nobody.",
    ),
    ("account-unknown", 400, "The forge has no such account, or does not show it to this credential."),
    (
        "app-unknown",
        409,
        "No App with a key and a client secret is known for this. Name them in the config, or create a new App.",
    ),
    ("approval-missing", 404, "Nobody has approved this request yet."),
    ("authority-exists", 409, "Another connection manages the members of this organization."),
    ("authority-forge", 409, "Members are managed at the founder's forge, and this is the other one."),
    ("auto-connect-off", 403, "Connections do not make themselves on this server."),
    ("body-expired", 409, "The delivery's bytes are past their time, so it cannot be handled again."),
    ("body-invalid", 400, "The body is not the JSON object that is described; the message says where."),
    ("busy", 503, "Too much is under way. Nothing was stored or changed; send it again."),
    ("ci-invalid", 400, "What the job says of itself names no repository."),
    (
        "connection-on",
        409,
        "The connection is not off, so that its members come in as the forge confirms them.",
    ),
    ("connection-unknown", 400, "The organization has no connection of that name."),
    ("credential-invalid", 400, "The credential cannot be used here; the message says why."),
    ("credential-refused", 400, "The forge does not accept the credential."),
    (
        "declared-in-config",
        409,
        "The connection is declared in the config file, which alone may change this.",
    ),
    ("encoding-unsupported", 415, "A delivery must not be compressed."),
    ("expiry-invalid", 400, "`expires_at` is no time within the next year."),
    ("filter-empty", 400, "A replay of everything there ever was has to be said: name at least one filter."),
    ("forbidden", 403, "The token is known, but may not do that."),
    ("foreign-origin", 403, "The form was sent by a page of another site."),
    ("forge-invalid", 400, "The forge cannot be connected so; the message says why."),
    ("forge-refused", 502, "The forge understood and refused."),
    ("forge-unavailable", 502, "The forge cannot be asked now; the message says why. Nothing was changed."),
    ("forge-unreachable", 502, "The forge does not answer, or not as a forge does. Nothing was stored."),
    ("forge-waits", 503, "The forge allows no more requests for now; the message says until when."),
    ("fork-pipeline", 403, "A job of a fork, or one that strangers can start, makes nothing."),
    ("held-changed", 409, "What waits for a yes has changed since it was looked at. Nothing was changed."),
    ("home-set", 409, "Where the founder signs in is said once."),
    ("id-token-invalid", 401, "The ID token proves nothing here; why is in the operator's log."),
    (
        "id-token-keys",
        503,
        "The keys of the ID token's issuer cannot be read now. Nothing was changed; try again.",
    ),
    ("id-token-used", 409, "The ID token belongs to another job."),
    ("incomplete", 400, "The body ended early. Nothing was stored."),
    ("installation-suspended", 400, "The App's installation is suspended at the forge."),
    ("key-taken", 409, "There is a connection of that name."),
    ("last-admin", 409, "The last admin of an organization keeps that role. Nothing was changed."),
    ("length-invalid", 400, "The declared length cannot be read."),
    ("limit-invalid", 400, "`limit` is no number from 1 to 200."),
    ("media-type", 415, "The body is of a type that is not taken here."),
    ("member-changed", 409, "The member has changed since it was looked at. Nothing was changed."),
    ("member-inactive", 409, "Only an active member has a role. Nothing was changed."),
    (
        "member-invalid",
        400,
        "There is no such member here, or their role does not carry a token of this kind.",
    ),
    (
        "member-unconfirmed",
        401,
        "The token stands for a person whose membership the forge has not confirmed for an hour.",
    ),
    ("method-not-allowed", 405, "The address does not answer to this method; `Allow` names those that work."),
    ("name-invalid", 400, "The name is empty, too long, or has control characters in it."),
    ("no-app", 409, "The connection is not believed by an App that was made or entered here."),
    ("no-authority", 409, "No connection manages the organization's members."),
    ("no-delivery", 400, "The request is proven, but it is no delivery."),
    ("no-hook", 409, "The connection has no hook that somebody set up by hand."),
    ("not-cancellable", 409, "Only a replay of many deliveries can be cancelled."),
    ("not-dead", 409, "Only a dead delivery can be discarded."),
    ("not-found", 404, "There is nothing, or it is not this caller's to see."),
    ("not-installed", 400, "The App is not installed at this account."),
    ("organization-exists", 409, "There is an organization with this slug."),
    ("organization-missing", 400, "The operator has to name the organization."),
    ("own-access", 409, "Whose own access hangs on the connection does not extend it; another admin has to."),
    ("parameter-invalid", 400, "A parameter has a value that is not possible."),
    (
        "personal-namespace",
        403,
        "The project is in a person's own namespace, which the operator has not listed.",
    ),
    (
        "project-unknown",
        403,
        "An ID token alone, and nothing is recorded under its project's or group's number.",
    ),
    ("proof-failed", 401, "The delivery is not proven, or there is no such source: both look the same."),
    (
        "proof-needed",
        403,
        "An App's key does not prove whose the account is; an owner of the account, or the operator, binds it.",
    ),
    ("proof-required", 403, "This server takes check-ins with an ID token only."),
    ("public-url-local", 409, "`public_url` is this machine's own address, which GitHub cannot reach."),
    ("repeated-parameter", 400, "A parameter was given twice."),
    ("report-invalid", 400, "The scanner's report cannot be read; the message says where."),
    (
        "report-unkept",
        503,
        "The scanner's report cannot be put aside now. Nothing was changed; send it again.",
    ),
    ("scan-taken", 409, "Another scan has this id."),
    (
        "scm-token-refused",
        400,
        "The report holds a token of the forge. Nothing of it was kept; revoke the token.",
    ),
    ("scope-missing", 400, "The credential lacks what the connection needs; each missing scope is named."),
    ("secret-replaced", 409, "The secret was replaced lately, and the one before still counts."),
    ("source-missing", 400, "The source has to be named."),
    ("store-damaged", 500, "The store is damaged; the operator must look."),
    ("store-failed", 503, "The store has stopped. Nothing was changed; the operator must look."),
    (
        "store-slow",
        503,
        "The store took too long. Send the delivery again: one that was stored is recognised.",
    ),
    ("store-unavailable", 503, "The store cannot do this now. Nothing was changed; try again."),
    ("task-over", 409, "The task has ended already. Nothing was changed."),
    ("token-expired", 401, "The token's time is over."),
    ("token-invalid", 401, "The token is not known here."),
    ("token-missing", 401, "The request has no token."),
    ("too-large", 413, "The body is larger than is taken here."),
    (
        "too-many-failures",
        429,
        "Too many failed attempts from this address; `Retry-After` says when to go on.",
    ),
    ("too-slow", 408, "The request did not arrive in time. Nothing was stored."),
    ("unknown-field", 400, "The form has a field that is not described."),
    ("unknown-forge", 409, "No connection of the organization is at this forge."),
    ("unknown-parameter", 400, "A parameter is not described."),
    ("url-forbidden", 400, "The address is one that is never called; the operator's file may allow it."),
    ("url-invalid", 400, "The address is no forge's."),
];

/// Whether a code is described, with this status.
pub(crate) fn is_known(code: &str, status: u16) -> bool {
    CODES.iter().any(|(known, of, _)| *known == code && *of == status)
}

/// Of these codes, in the order of the list: those with a status, in words.
pub(super) fn with_status(codes: &[&str], status: u16) -> String {
    let lines = CODES.iter().filter(|(code, of, _)| *of == status && codes.contains(code));
    lines.map(|(code, _, help)| format!("- `{code}`: {help}")).collect::<Vec<_>>().join("\n")
}

/// The statuses of these codes, each once, rising.
pub(super) fn statuses(codes: &[&str]) -> Vec<u16> {
    let of = CODES.iter().filter(|(code, ..)| codes.contains(code)).map(|(_, status, _)| *status);
    of.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_and_in_order() {
        assert!(CODES.is_sorted_by(|one, next| one.0 < next.0));
        assert!(CODES.iter().all(|(code, status, help)| {
            code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                && (400..600).contains(status)
                && help.ends_with('.')
        }));
    }
}
