//! Pieces of JSON that we rendered ourselves, cut out as they stand.
//!
//! What a column holds as JSON text is thereby, byte for byte, what NDJSON holds under the same name. Nothing here
//! checks JSON: it is only ever given what a renderer of ours has just written.

/// The fields of an object, in their order, each with its value as it stands. Names are as they stand, too.
pub(super) fn fields(object: &str) -> impl Iterator<Item = (&str, &str)> {
    split(object).filter_map(|field| {
        let name = 1..1 + text_length(&field[1..]);
        Some((&field[name.clone()], field.get(name.end + 2..)?))
    })
}

/// The items of a list, as they stand.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    split(list)
}

/// What stands between the commas of a list or an object.
fn split(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = json.get(1..json.len().saturating_sub(1)).unwrap_or("");
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(length(rest));
        rest = after.get(1..).unwrap_or("");
        Some(piece)
    })
}

/// The bytes before the first comma that stands outside of every text, list and object.
fn length(json: &str) -> usize {
    let bytes = json.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at += 1 + text_length(&json[at + 1..]),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The bytes before the quotation mark that ends a text.
fn text_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or(b"")) {
        at += found;
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_items_come_as_they_stand() {
        let object = r#"{"a":1,"b":{"c":[1,2],"d":"x,y"},"名\"前":"\\","e":[],"f":null}"#;
        let found: Vec<_> = fields(object).collect();
        let expected =
            [("a", "1"), ("b", r#"{"c":[1,2],"d":"x,y"}"#), (r#"名\"前"#, r#""\\""#), ("e", "[]"), ("f", "null")];
        assert_eq!(found, expected);
        let list = r#"[{"a":"]"},[1,[2]],"\"","花",-1.5]"#;
        assert_eq!(items(list).collect::<Vec<_>>(), [r#"{"a":"]"}"#, "[1,[2]]", r#""\"""#, "\"花\"", "-1.5"]);
    }

    #[test]
    fn nothing_has_no_pieces_and_what_is_not_json_is_no_panic() {
        for json in ["", "{", "{}", "[]", "x", "\"", "{\"", "{\"a", "{\"a\\", "{\"a\"}", "[\"\\", "花"] {
            assert!(fields(json).count() + items(json).count() < 4, "{json}");
        }
        assert_eq!((fields("{}").count(), items("[]").count()), (0, 0));
    }
}
