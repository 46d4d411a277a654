//! The key of a source, wherever its clients put it.

use crate::json::Tree;
use crate::request::Request;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The fields of a query in which keys come: ours, Segment's and `RudderStack`'s, PostHog's, GA4's.
const QUERY: [&str; 5] = ["key", "writeKey", "write_key", "api_key", "api_secret"];

/// The fields of a body in which SDKs send it.
const BODY: [&str; 4] = ["writeKey", "write_key", "api_key", "token"];

/// Whether the request brings the key anywhere but in its body.
pub(crate) fn has_key(request: &Request<'_>, key: &Secret, own_header: Option<&str>) -> bool {
    let is_key = |candidate: &str| key.is(candidate.as_bytes());
    let headers = own_header.into_iter().chain(["x-api-key"]).filter_map(|name| request.header(name));
    if headers.into_iter().any(is_key)
        || request.header("authorization").is_some_and(|header| is_authorized(header, key))
    {
        return true;
    }
    QUERY.iter().filter_map(|name| request.query_field(name)).any(|found| is_key(&found))
}

/// Basic with the key as user name or password (old clients leave the colon out), or bearer.
fn is_authorized(header: &str, key: &Secret) -> bool {
    let Some((kind, value)) = header.split_once(' ') else { return false };
    if kind.eq_ignore_ascii_case("bearer") {
        return key.is(value.trim().as_bytes());
    }
    let decoded = STANDARD.decode(value.trim()).unwrap_or_default();
    let colon = decoded.iter().position(|byte| *byte == b':').unwrap_or(decoded.len());
    let (user, password) = (&decoded[..colon], decoded.get(colon + 1..).unwrap_or_default());
    kind.eq_ignore_ascii_case("basic") && (key.is(user) || key.is(password))
}

/// Whether the body brings the key.
pub(crate) fn is_in_body<T: Tree>(body: &T, key: &Secret) -> bool {
    let in_object = |object: &T| {
        let direct = BODY
            .iter()
            .filter_map(|name| object.field(name))
            .chain(object.field("properties").and_then(|properties| properties.field("token")));
        direct.filter_map(T::text).any(|found| key.is(found.as_bytes()))
    };
    match body.list() {
        // A batch of PostHog's browser SDK is a bare list, each event with its token.
        Some(items) => !items.is_empty() && items.iter().all(in_object),
        None => in_object(body),
    }
}
