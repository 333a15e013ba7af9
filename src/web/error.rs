//! The one place where a failure becomes a status. Bodies are `{"code", "message", "help"?}` with stable codes.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::describe;
use crate::store::StoreError;
use crate::telemetry::{Fault, report};

/// What the caller is told.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    help: Option<&'static str>,
    retry_after_s: Option<u32>,
    closes: bool,
    allow: Option<String>,
}

/// What every error looks like.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct Body<'a> {
    #[schema(schema_with = describe::error_code, examples("token-missing"))]
    code: &'static str,
    /// What went wrong, in a sentence for people. May change.
    #[schema(examples("this needs a token"))]
    message: &'a str,
    /// What to do next, where there is something to say.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        debug_assert!(describe::is_known(code, status.as_u16()), "{code} ({status}) is not described");
        let message = message.into();
        Self { status, code, message, help: None, retry_after_s: None, closes: false, allow: None }
    }

    pub(crate) fn help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Ends the connection too: what is left of the request will not be read.
    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    pub(crate) fn allowing(mut self, methods: String) -> Self {
        self.allow = Some(methods);
        self
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here, or it is not yours to see")
    }

    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let message = "this address does not answer to this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message).allowing(allow)
    }

    pub(crate) fn unauthorized(code: &'static str, message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this token may not do that")
    }

    /// The only answer to a delivery that is not proven, whatever is wrong with it and whether its source exists.
    pub(crate) fn unproven() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "proof-failed", "the delivery is not proven")
            .help("check that the hook's secret and address are those shown for its source")
    }

    pub(crate) fn too_many_failures() -> Self {
        let message = "too many failed attempts from this address";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", message).retry_after(60)
    }

    pub(crate) fn busy() -> Self {
        let message = "too much is under way; nothing was stored, send it again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(5).closing()
    }

    pub(crate) fn too_large(most: usize) -> Self {
        let message = format!("the body is larger than {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message).closing()
    }

    pub(crate) fn too_slow() -> Self {
        let message = "the request did not arrive in time; nothing was stored";
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", message).closing()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        report!(Fault::StoreRefused, error = %error.to_string().escape_debug(), "the store refused");
        let busy =
            |code, message: &str| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after(5);
        match error {
            StoreError::Unavailable(_) => {
                busy("store-unavailable", "the store cannot do this now; nothing was changed, try again")
            }
            StoreError::Failed(_) => {
                busy("store-failed", "the store has stopped; nothing was changed, the operator must look")
            }
            StoreError::Corrupt(_) => {
                let message = "the store is damaged; the operator must look";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store-damaged", message)
            }
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        answer.insert_header((CONTENT_TYPE, "application/json"));
        if let Some(seconds) = self.retry_after_s {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(methods) = &self.allow {
            answer.insert_header((ALLOW, methods.as_str()));
        }
        if self.code.starts_with("token-") {
            answer.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if self.closes {
            answer.force_close();
        }
        answer.json(Body { code: self.code, message: &self.message, help: self.help })
    }
}
