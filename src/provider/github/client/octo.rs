//! octocrab as a caller of our carrier: its typed requests, our transport.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};

use super::carrier::{Ask, Carrier};
use crate::outbound::Answer;
use crate::provider::ProviderError;

/// octocrab without a client, a credential or a retry of its own. To be made inside a runtime.
pub(super) fn over(carrier: Carrier) -> Octocrab {
    let service = tower::service_fn(move |request| call(carrier.clone(), request));
    let built = OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
    match built {
        Ok(octocrab) => octocrab,
        Err(impossible) => match impossible {},
    }
}

async fn call(carrier: Carrier, request: Request<OctoBody>) -> Result<Response<Full<Bytes>>, ProviderError> {
    let (parts, body) = request.into_parts();
    let unreadable = |_| ProviderError::Refused { status: 0, why: Some("a request that cannot be read") };
    let body = body.collect().await.map_err(unreadable)?.to_bytes();
    let path = parts.uri.path_and_query().map(|it| it.as_str()).unwrap_or_default();
    let ask = Ask {
        method: parts.method,
        body: (!body.is_empty()).then_some(body),
        ..Ask::get(path.trim_start_matches('/').to_owned())
    };
    carrier.carry(ask).await.map(response)
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    // A status that came over the wire is one; otherwise the caller is told of a server's failure.
    *response.status_mut() =
        http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    *response.headers_mut() = answer.headers;
    response
}
