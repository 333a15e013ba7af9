//! What somebody has to enter at the forge themselves, replaced: an App's private key and client secret, and the secret of
//! a hook that was set up by hand.

use actix_web::HttpResponse;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::connect::{HookView, problem};
use super::connection::{ConnectionView, find, view};
use super::query::Query;
use super::{Answer, parse};
use crate::connect::AppSecrets;
use crate::web::auth::{Admin, Call};
use crate::web::describe::{self, Body, Operation, Shape};
use crate::web::error::Problem;

/// Another private key of the same App, another client secret, or both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AppKey)]
struct NewSecrets {
    /// PEM, as the forge gave it.
    #[schema(value_type = Option<String>)]
    private_key: Option<SecretString>,
    /// Its secret for sign-in.
    #[schema(value_type = Option<String>)]
    client_secret: Option<SecretString>,
}

pub(crate) const REPLACE: Operation = Operation::new(
    "replaceAppKey",
    "Replace the private key of a connection's App, its client secret, or both",
    &[describe::json::<ConnectionView>(200, "The forge accepts it, and the one before is erased here.")],
)
.help(
    "No forge makes such a key or secret when asked: an owner of the App adds one there, enters it here, and takes the old \
     one away there. The forge is asked with it first; if it refuses either, all that there was stays in use.",
)
.body(Body::Json(Shape::of::<NewSecrets>()))
.codes(&[
    "credential-invalid",
    "credential-refused",
    "declared-in-config",
    "forge-refused",
    "forge-unreachable",
    "forge-waits",
    "no-app",
    "url-forbidden",
]);

pub(crate) async fn replace(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &REPLACE)?;
    let connection = find(&call).await?;
    let wish: NewSecrets = parse(&call.body)?;
    let given = [&wish.private_key, &wish.client_secret].into_iter().flatten();
    let is_none = given.clone().count() == 0;
    if is_none || given.into_iter().any(|secret| secret.expose_secret().trim().is_empty()) {
        let message = "give private_key, client_secret or both, and not an empty one";
        return Err(Problem::bad("credential-invalid", message));
    }
    let client_secret = wish.client_secret.map(|it| SecretString::from(it.expose_secret().trim()));
    let new = AppSecrets { private_key: wish.private_key, client_secret };
    let (connections, by) = (&call.front.connections, call.caller.actor());
    connections.replace_app_secrets(&connection, &new, &by).await.map_err(problem)?;
    let after = call.front.store.connection(&connection.key).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(view(&after)))
}

pub(crate) const HOOK: Operation = Operation::new(
    "replaceHookSecret",
    "Make another secret for a hook that was set up by hand",
    &[describe::json::<HookView>(201, "The secret, shown only now: enter it at the forge.")],
)
.help(
    "The one before counts until a delivery has come with the new one, and for a further day. Hooks that were made here \
     are given another secret by `rotate`.",
)
.codes(&["declared-in-config", "no-hook", "secret-replaced"]);

pub(crate) async fn hook(call: Call<Admin>) -> Answer {
    Query::of(&call.query, &HOOK)?;
    let connection = find(&call).await?;
    let (connections, by) = (&call.front.connections, call.caller.actor());
    let (url, secret) = connections.new_hook_secret(&connection, &by).await.map_err(problem)?;
    Ok(HttpResponse::Created().json(HookView::new(&url, &secret)))
}
