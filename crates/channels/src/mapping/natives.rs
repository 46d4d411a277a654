//! Filters that jq lacks and channels need, and two of jq's own with bounds: each documented where it is coded.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Exn, ValXs};
use jaq_json::{Num, Val};
use sha2::{Digest as _, Sha256};

use super::{Kind, check, shape};
use crate::json::{self, as_text, text};
use crate::{form, spelling, time};

type Outcome = Result<Val, jaq_json::Error>;

/// Everything a mapping can call that is not written in jq.
pub(super) fn functions() -> impl Iterator<Item = Fun<Kind>> {
    let jq = jaq_core::funs::<Kind>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let bounded = |name: &str| matches!(name, "range" | "fromjson");
    jq.filter(move |(name, ..)| !check::is_left_out(name) && !bounded(name)).chain(ours()).chain(shape::functions())
}

fn ours() -> impl Iterator<Item = Fun<Kind>> {
    let of_input = [
        run(("fromjson", v(0), |cv| bome(from_json(&cv.1)))),
        run(("snake", v(0), |cv| bome(of_text(&cv.1, spelling::snake)))),
        run(("sha256", v(0), |cv| bome(of_text(&cv.1, sha256)))),
        run(("base64url", v(0), |cv| bome(base64url(&cv.1)))),
        run(("form", v(0), |cv| bome(of_text_value(&cv.1, form::parse)))),
        run(("card", v(0), |cv| bome(of_text_option(&cv.1, spelling::card)))),
        run(("is_hash", v(0), |cv| bome(Ok(Val::Bool(as_text(&cv.1).is_some_and(|text| spelling::is_sha256(&text))))))),
        run(("jan", v(0), |cv| bome(of_text_value(&cv.1, |text| Val::Bool(spelling::is_jan(text)))))),
        run(("luhn", v(0), |cv| bome(of_text_value(&cv.1, |text| Val::Bool(spelling::is_luhn(text)))))),
        run(("digest", v(0), |cv| bome(digest(&cv.1)))),
    ];
    let of_more = [
        run(("instant", v(1), |mut cv| {
            let zone = cv.0.pop_var();
            bome(instant(&cv.1, &zone))
        })),
        run(("dig", v(1), |mut cv| {
            let path = cv.0.pop_var();
            bome(dig(&cv.1, &path))
        })),
        run(("range", v(3), |mut cv| {
            let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
            range(&from, &to, &by)
        })),
    ];
    of_input.into_iter().chain(of_more)
}

pub(super) fn wrong(wanted: &str, found: &Val) -> jaq_json::Error {
    const SHOWN: usize = 60;
    let shown = match found {
        Val::Arr(_) | Val::Obj(_) => json::kind(found).to_owned(),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::TStr(_) => found.to_string(),
    };
    let shown: String = shown.chars().take(SHOWN).collect();
    jaq_json::Error::str(format_args!("wanted {wanted}, found `{shown}`"))
}

fn of_text_value(value: &Val, make: impl FnOnce(&str) -> Val) -> Outcome {
    as_text(value).map(|text| make(&text)).ok_or_else(|| wrong("a text", value))
}

fn of_text(value: &Val, make: impl FnOnce(&str) -> String) -> Outcome {
    of_text_value(value, |from| Val::from(make(from)))
}

fn of_text_option(value: &Val, make: impl FnOnce(&str) -> Option<String>) -> Outcome {
    of_text_value(value, |from| make(from).map_or(Val::Null, Val::from))
}

/// `fromjson`: the value of a text that is one JSON value; jq's own takes more than JSON, and nests without bounds.
fn from_json(value: &Val) -> Outcome {
    let from = as_text(value).ok_or_else(|| wrong("a text", value))?;
    json::read(from.as_bytes()).map_err(|error| jaq_json::Error::str(format_args!("wanted JSON in a text: {error}")))
}

/// `sha256`: the digest of a text in lower-case hexadecimal digits.
fn sha256(from: &str) -> String {
    spelling::hex(&Sha256::digest(from.as_bytes()))
}

/// `digest`: a name for an event that has none of its own: equal content is the same event.
pub(crate) fn digest(value: &Val) -> Outcome {
    let mut bytes = Vec::with_capacity(512);
    json::write(value, &mut bytes).map_err(jaq_json::Error::str)?;
    Ok(Val::from(format!("sha256:{}", spelling::hex(&Sha256::digest(&bytes)))))
}

/// `base64url`: the text behind base64 of either alphabet, padded or not.
fn base64url(value: &Val) -> Outcome {
    let from = as_text(value).ok_or_else(|| wrong("a text", value))?;
    behind_base64(&from).map(Val::from).map_err(|wanted| wrong(wanted, value))
}

/// The same of a text; else what was wanted.
pub(crate) fn behind_base64(from: &str) -> Result<String, &'static str> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
    let of_url: Vec<u8> = from
        .bytes()
        .map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        })
        .collect();
    let bytes = ENGINE.decode(of_url).map_err(|_| "base64")?;
    String::from_utf8(bytes).map_err(|_| "base64 of a text in UTF-8")
}

/// `instant($zone)`: the instant that a number or a text names, in RFC 3339 and UTC.
///
/// A number is in seconds, milliseconds, microseconds or nanoseconds since 1970, by its size. A text is such a number,
/// RFC 3339, RFC 2822, or one of the forms of [`crate::time`], read in the zone where it names no offset.
fn instant(value: &Val, zone: &Val) -> Outcome {
    let zone_name = as_text(zone).ok_or_else(|| wrong("a time zone", zone))?;
    let zone = time::Zone::named(&zone_name).ok_or_else(|| wrong("a time zone", zone))?;
    let found = match value {
        Val::Num(number) => time::of_number(&number.to_string()),
        Val::BStr(_) | Val::TStr(_) => time::of_text(&as_text(value).unwrap_or_default(), &zone),
        Val::Null | Val::Bool(_) | Val::Arr(_) | Val::Obj(_) => None,
    };
    found.map(|instant| Val::from(time::render(instant))).ok_or_else(|| wrong("an instant", value))
}

/// `dig($path)`: what stands at a dotted path into objects and lists, such as `customer.emails.0`; null where nothing.
pub(super) fn dig(value: &Val, path: &Val) -> Outcome {
    let path = as_text(path).ok_or_else(|| wrong("a path", path))?;
    Ok(dig_text(value, &path))
}

/// The same for a path that is a text already.
pub(super) fn dig_text(value: &Val, path: &str) -> Val {
    let step = |value: &Val, name: &str| match value {
        Val::Obj(fields) => fields.get(&text(name)).cloned(),
        Val::Arr(items) => name.parse::<usize>().ok().and_then(|place| items.get(place).cloned()),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::BStr(_) | Val::TStr(_) => None,
    };
    // A name with dots in it, as columns have, stands before the path that it could be.
    let whole = step(value, path);
    let found = whole.or_else(|| path.split('.').try_fold(value.clone(), |value, name| step(&value, name)));
    found.unwrap_or_default()
}

/// `range`: jq's, for whole numbers and at most so many of them.
fn range<'a>(from: &Val, to: &Val, by: &Val) -> ValXs<'a, Val> {
    const MOST: isize = 65_536;
    let whole = |value: &Val| match value {
        Val::Num(number) => number.as_isize(),
        Val::Null | Val::Bool(_) | Val::BStr(_) | Val::TStr(_) | Val::Arr(_) | Val::Obj(_) => None,
    };
    let bounds = (whole(from), whole(to), whole(by));
    let (Some(from), Some(to), Some(by @ 1..)) = bounds else {
        return refused("`range` wants whole numbers and a step above 0");
    };
    if to.saturating_sub(from) / by >= MOST {
        return refused("`range` gives at most 65536 numbers in a mapping");
    }
    let by = by.unsigned_abs();
    Box::new((from..to).step_by(by).map(|number| Ok(Val::Num(Num::Int(number)))))
}

fn refused<'a>(detail: &str) -> ValXs<'a, Val> {
    Box::new(std::iter::once(Err(Exn::from(jaq_json::Error::str(detail)))))
}
