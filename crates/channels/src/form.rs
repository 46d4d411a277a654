//! `application/x-www-form-urlencoded`: bodies of forms, and queries of addresses.

use jaq_json::{Map, Val};

use crate::json::text;

/// The fields of a form as an object. Of a name given twice the last one counts.
pub(crate) fn parse(form: &str) -> Val {
    let fields = pairs(form.as_bytes()).map(|(name, value)| (text(&name), text(&value)));
    Val::obj(fields.collect::<Map>())
}

/// Names and values, decoded, in their order.
pub(crate) fn pairs(form: &[u8]) -> impl Iterator<Item = (String, String)> + '_ {
    form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let value = pair.get(at + 1..).unwrap_or_default();
        (decode(&pair[..at]), decode(value))
    })
}

/// `%XX` and `+` resolved. What is no escape stands for itself, and what is no UTF-8 is replaced.
fn decode(part: &[u8]) -> String {
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, escaped(tail)) {
            (b'%', Some(escaped)) => {
                out.push(escaped);
                rest = &tail[2..];
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(*other),
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn escaped(tail: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(tail.first()?)? << 4 | digit(tail.get(1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_with_its_escapes() {
        let read: Vec<_> = pairs(b"From=%2B8190&Body=a+b%20%E7%B5%90&empty=&bare&&x=%zz%").collect();
        let wanted = [("From", "+8190"), ("Body", "a b 結"), ("empty", ""), ("bare", ""), ("x", "%zz%")]
            .map(|(a, b)| (a.into(), b.into()));
        assert_eq!(read, wanted);
    }
}
