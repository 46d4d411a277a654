//! What browsers ask before they send to another origin, and want to read in the answer.
//!
//! SDKs add headers that nobody can list in advance (some only when they try again), so what is asked for is allowed.
//! Nothing is given away by it: a source takes, and tells only that it took.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};

/// How long a browser may remember what it was told: as long as any does.
const A_DAY: HeaderValue = HeaderValue::from_static("86400");

/// The answer to a question that a browser asks ahead.
pub(super) fn preflight(asked: &HeaderMap) -> Response {
    let mut response = "".into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, A_DAY);
    headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}

/// Lets the page that asked read the answer, whatever it is: a browser tells its SDK nothing of one that it may not read.
pub(super) fn allow(asked: &HeaderMap, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = asked.get(ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    }
    response
}
