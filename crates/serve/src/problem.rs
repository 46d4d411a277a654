//! The one shape of every error that a door answers: `{"error": a few words, "detail": for a person to read}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request was not answered as it hoped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: String,
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Shape<'a> {
    error: &'a str,
    detail: &'a str,
}

impl Problem {
    /// The request cannot be understood.
    pub(crate) const fn bad_request(reason: &'static str, detail: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, detail)
    }

    /// There is no such thing.
    pub(crate) const fn not_found(reason: &'static str, detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason, detail)
    }

    /// The request is too large.
    pub(crate) const fn too_large(detail: String) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// Too much is waiting: come again in so many seconds.
    pub(crate) fn come_again(seconds: u64, detail: String) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-much-waiting", detail) }
    }

    /// It cannot be done now, and may be later, or elsewhere.
    pub(crate) const fn unavailable(reason: &'static str, detail: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, detail)
    }

    /// The log does not take it now: come again soon.
    pub(crate) fn try_later(why: &dyn std::fmt::Display) -> Self {
        Self { retry_after: Some(1), ..Self::unavailable("log-unavailable", why.to_string()) }
    }

    /// The body took too long, which a sender may do better the next time.
    pub(crate) fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow-body", "the body did not come in time".into())
    }

    /// The body broke off. Whoever is still there to hear it may try again.
    pub(crate) fn broken_body(why: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "broken-body", why.to_string())
    }

    /// The same for clients that know another status for what passes than 4xx.
    pub(crate) fn for_clients_of(self, source: &musubi_channels::Source) -> Self {
        let passes = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&self.status);
        match StatusCode::from_u16(source.busy_status()) {
            Ok(status) if passes && status.is_server_error() => Self { status, ..self },
            Ok(_) | Err(_) => self,
        }
    }

    /// Why, in one of a few words.
    pub(crate) const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Something of ours failed.
    pub(crate) fn failed(why: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", why.to_string())
    }

    pub(crate) const fn new(status: StatusCode, reason: &'static str, detail: String) -> Self {
        Self { status, reason, detail, retry_after: None }
    }

    /// Whether something of ours failed, of which an operator should hear.
    pub(crate) fn is_ours(&self) -> bool {
        self.status == StatusCode::INTERNAL_SERVER_ERROR
    }

    /// What went wrong, for a person to read.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<musubi_store::Error> for Problem {
    fn from(error: musubi_store::Error) -> Self {
        Self::failed(&error)
    }
}

impl From<musubi_log::Error> for Problem {
    fn from(error: musubi_log::Error) -> Self {
        Self::failed(&error)
    }
}

impl From<crate::Error> for Problem {
    fn from(error: crate::Error) -> Self {
        Self::failed(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.is_ours() {
            tracing::error!(detail = self.detail(), "a request failed");
        }
        let shape = Json(Shape { error: self.reason, detail: &self.detail });
        let mut response = (self.status, shape).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
