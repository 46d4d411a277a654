//! What stands around the bytes of a payload: what a mapping sees beside the body, and what of it is kept with a payload
//! that is set aside whole, so that it can be taken again.
//!
//! Kept are the headers that the mapping names, whole or by what they begin with, and neither a key nor a signature: those
//! were checked, or were not, when the payload came.

use jaq_json::{Map, Num, Val};

use super::{Record, Row};
use crate::form;
use crate::json::{self, text};
use crate::request::Request;

/// The longest that is kept, in bytes. Strangers write this as well.
const LONGEST: usize = 16 * 1_024;

/// What is never kept, by a part of its name.
const SECRETS: [&str; 11] = [
    "authorization",
    "signature",
    "hmac",
    "secret",
    "token",
    "cookie",
    "password",
    "api-key",
    "api_key",
    "apikey",
    "auth",
];
/// Fields of a query in which keys come under a plain name.
const KEYS: [&str; 4] = ["key", "writekey", "write_key", "sig"];

/// What stands around the bytes of a payload.
#[derive(Clone, Copy)]
pub(super) enum Around<'a> {
    /// A request.
    Request(&'a Request<'a>),
    /// The place, key and headers of a record.
    Record(&'a Record<'a>),
    /// The file and the number of a row.
    Row(&'a Row<'a>),
    /// What was kept of one of these.
    Kept(&'a Val),
}

/// What of it a source keeps.
pub(super) struct Keeping {
    /// The mapping's text, in lower case.
    mapping: String,
    key_header: Option<String>,
}

impl<'a> Around<'a> {
    /// What a mapping sees.
    pub(super) fn payload(self, body: Val) -> Val {
        let mut fields = match self {
            Self::Request(request) => of_request(request, |_| true, |_| true),
            Self::Record(record) => of_record(record, |_| true),
            Self::Row(row) => vec![("file", of_row(row))],
            Self::Kept(Val::Obj(kept)) => {
                let mut payload = Map::clone(kept);
                payload.insert(text("body"), body);
                return Val::obj(payload);
            }
            Self::Kept(_) => Vec::new(),
        };
        fields.insert(0, ("body", body));
        json::object(fields)
    }

    /// What is kept of it: a JSON object as text. Nothing where it is too long, as nobody's that means well is.
    pub(super) fn kept(self, keeping: &Keeping) -> Option<String> {
        let header = |name: &str| keeping.keeps_header(name);
        let fields = match self {
            Self::Request(request) => of_request(request, header, |name| !is_secret(name)),
            Self::Record(record) => of_record(record, header),
            Self::Row(row) => vec![("file", of_row(row))],
            Self::Kept(_) => return None,
        };
        let mut out = Vec::with_capacity(256);
        json::write(&json::object(fields), &mut out).ok()?;
        String::from_utf8(out).ok().filter(|kept| kept.len() <= LONGEST)
    }
}

impl Keeping {
    pub(super) fn new(mapping: &str, key_header: Option<&str>) -> Self {
        Self { mapping: mapping.to_ascii_lowercase(), key_header: key_header.map(str::to_ascii_lowercase) }
    }

    /// Whether the mapping names the header, such as `x-shopify-topic`, or what it begins with, such as `"ce-"`.
    fn keeps_header(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        if is_secret(&name) || self.key_header.as_deref() == Some(&*name) {
            return false;
        }
        let begins = name.find(['-', '_']).map(|at| format!("\"{}\"", &name[..=at]));
        self.mapping.contains(&name) || begins.is_some_and(|begins| self.mapping.contains(&begins))
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|part| name.contains(part)) || KEYS.contains(&&*name)
}

fn of_request<'a>(
    request: &Request<'a>,
    keeps_header: impl Fn(&str) -> bool,
    keeps_field: impl Fn(&str) -> bool,
) -> Vec<(&'static str, Val)> {
    let headers = request.headers.iter().filter(|(name, _)| keeps_header(name));
    let query = form::pairs(request.query.as_bytes()).filter(|(name, _)| keeps_field(name));
    vec![
        ("headers", lower(headers.map(|(name, value)| (*name, text(value))))),
        ("query", Val::obj(query.map(|(name, value)| (text(&name), text(&value))).collect())),
        ("path", text(request.path)),
        ("method", text(request.method)),
    ]
}

fn of_record(record: &Record<'_>, keeps_header: impl Fn(&str) -> bool) -> Vec<(&'static str, Val)> {
    let headers = record.headers.iter().filter(|(name, _)| keeps_header(name));
    let headers = headers.map(|(name, value)| (*name, text(&String::from_utf8_lossy(value))));
    let key = |key| json::read(key).unwrap_or_else(|_| text(&String::from_utf8_lossy(key)));
    let (topic, partition, offset) = record.position;
    let position = json::object([
        ("topic", text(topic)),
        ("partition", Val::Num(Num::from_integral(partition))),
        ("offset", Val::Num(Num::from_integral(offset))),
    ]);
    vec![
        ("key", record.key.map_or(Val::Null, key)),
        ("headers", lower(headers)),
        ("query", Val::obj(Map::default())),
        ("path", text("")),
        ("record", position),
    ]
}

fn of_row(row: &Row<'_>) -> Val {
    json::object([
        ("name", text(row.file)),
        ("sha256", text(row.sha256)),
        ("row", Val::Num(Num::from_integral(row.line.number))),
    ])
}

/// Headers as an object, their names in lower case.
fn lower<'a>(headers: impl Iterator<Item = (&'a str, Val)>) -> Val {
    Val::obj(headers.map(|(name, value)| (text(&name.to_ascii_lowercase()), value)).collect())
}

#[cfg(test)]
mod tests {
    use musubi_core::time::Timestamp;

    use super::*;

    const MAPPING: &str =
        r#"def items: .headers["x-shopify-topic"], (.headers | with_entries(select(.key | startswith("ce-"))));"#;

    #[test]
    fn what_the_mapping_names_is_kept_and_what_proves_a_sender_is_not() {
        let headers = [
            ("X-Shopify-Topic", "orders/create"),
            ("X-Shopify-Hmac-SHA256", "aa"),
            ("Ce-Type", "t"),
            ("Ce-Authtoken", "hush"),
            ("Authorization", "Bearer hush"),
            ("Cookie", "session=hush"),
            ("X-Shop-Key", "hush"),
            ("User-Agent", "curl"),
        ];
        let received_at = Timestamp::from_micros(0);
        let query = "writeKey=hush&key=hush&access_token=hush&e=pv";
        let request = Request { method: "GET", path: "/i", query, headers: &headers, body: b"", received_at };
        let keeping = Keeping::new(&format!("{MAPPING} # x-shop-key, authorization"), Some("x-shop-key"));
        let kept = Around::Request(&request).kept(&keeping).expect("it is short");
        let wanted = r#"{"headers":{"ce-type":"t","x-shopify-topic":"orders/create"},"query":{"e":"pv"},"path":"/i","method":"GET"}"#;
        assert_eq!(json::read(kept.as_bytes()).expect("JSON"), json::read(wanted.as_bytes()).expect("JSON"));
        let value = "x".repeat(LONGEST);
        let long = [("x-shopify-topic", value.as_str())];
        assert_eq!(Around::Request(&Request { headers: &long, ..request }).kept(&keeping), None);
    }

    #[test]
    fn what_was_kept_of_a_record_or_a_row_is_seen_again_as_it_was() {
        let keeping = Keeping::new(r#"attributes("ce_")"#, None);
        let headers: [(&str, &[u8]); 2] = [("ce_id", b"1"), ("trace", b"x")];
        let record = Record {
            position: ("db.members", 3, 42),
            key: Some(b"{\"id\":7}"),
            value: Some(b"{}"),
            headers: &headers,
            received_at: Timestamp::from_micros(0),
        };
        let kept = Around::Record(&record).kept(&keeping).expect("it is short");
        let seen = Around::Kept(&json::read(kept.as_bytes()).expect("JSON")).payload(Val::Null);
        let wanted = r#"{"key":{"id":7},"headers":{"ce_id":"1"},"query":{},"path":"","record":{"topic":"db.members","partition":3,"offset":42},"body":null}"#;
        assert_eq!(seen, json::read(wanted.as_bytes()).expect("JSON"));
    }
}
