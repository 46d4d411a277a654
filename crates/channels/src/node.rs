//! JSON as it stands in a body: texts borrowed from it and fields in their order. Reading it so costs a fifth of reading
//! the values that mappings work on ([`crate::json`]), and it becomes one of those where a mapping is asked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use jaq_json::{Num, Val};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::json::{self, NUMBER};

/// A JSON value.
#[derive(Clone, Debug)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Num(Num),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    /// Each name once: the place of the first that was given, and the value of the last.
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The value of one JSON text, as [`json::read`] takes it; none where that has to be asked, for it knows what to say.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)).ok()?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Seed.deserialize(&mut reader).ok()?;
        reader.end().ok().map(|()| value)
    }

    /// The field of an object, null among them; none where there is none, or no object.
    pub(crate) fn find(&self, name: &str) -> Option<&Self> {
        self.fields().iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The field of an object; null where there is none, or no object.
    pub(crate) fn of(&self, name: &str) -> &Self {
        self.find(name).unwrap_or(Self::nothing())
    }

    /// Null, for as long as anybody wants.
    pub(crate) const fn nothing<'s>() -> &'s Self {
        &Self::Null
    }

    /// The fields of an object; none of anything else.
    pub(crate) fn fields(&self) -> &[(Cow<'a, str>, Self)] {
        match self {
            Self::Map(fields) => fields,
            Self::Null | Self::Bool(_) | Self::Num(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Null | Self::Bool(_) | Self::Num(_) | Self::Text(_) | Self::Map(_) => &[],
        }
    }

    /// The text that it is, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Num(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) const fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// Whether it is there: null and the empty text are absent, never values.
    pub(crate) fn is_given(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Text(text) => !text.is_empty(),
            Self::Bool(_) | Self::Num(_) | Self::List(_) | Self::Map(_) => true,
        }
    }

    /// What stands at a dotted path, as the filter `dig` finds it; null where nothing.
    pub(crate) fn dig(&self, path: &str) -> &Self {
        // A name with dots in it, as columns have, stands before the path that it could be.
        self.step(path).unwrap_or_else(|| self.path(path))
    }

    /// The same, but that no name has dots in it.
    pub(crate) fn path(&self, path: &str) -> &Self {
        let found = path.split('.').try_fold(self, |value, name| value.step(name));
        found.unwrap_or(Self::nothing())
    }

    fn step(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(_) => self.find(name),
            Self::List(items) => name.parse::<usize>().ok().and_then(|place| items.get(place)),
            Self::Null | Self::Bool(_) | Self::Num(_) | Self::Text(_) => None,
        }
    }

    /// The value that a mapping works on.
    pub(crate) fn to_val(&self) -> Val {
        match self {
            Self::Null => Val::Null,
            Self::Bool(truth) => Val::Bool(*truth),
            Self::Num(number) => Val::Num(number.clone()),
            Self::Text(text) => json::text(text),
            Self::List(items) => Val::Arr(items.iter().map(Self::to_val).collect::<Vec<_>>().into()),
            Self::Map(fields) => {
                Val::obj(fields.iter().map(|(name, value)| (json::text(name), value.to_val())).collect())
            }
        }
    }

    /// How many bytes there are in its names, texts and numbers.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Num(Num::Int(_) | Num::Float(_)) => 0,
            Self::Num(number) => number.to_string().len(),
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().map(Self::weight).sum(),
            Self::Map(fields) => fields.iter().map(|(name, value)| name.len() + value.weight()).sum(),
        }
    }
}

impl json::Tree for Node<'_> {
    fn field(&self, name: &str) -> Option<&Self> {
        self.find(name)
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Node::text(self).map(Cow::Borrowed)
    }

    fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            Self::Null | Self::Bool(_) | Self::Num(_) | Self::Text(_) | Self::Map(_) => None,
        }
    }
}

struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(Node::Num(Num::from_integral(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Num(Num::from_integral(number)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node<'de>, A::Error> {
        let mut map = Vec::new();
        while let Some(name) = fields.next_key_seed(Name)? {
            if name == NUMBER {
                // What bears this name behind another is left to those who know what to say of it.
                let text = fields.next_value::<Cow<'de, str>>()?;
                let number = map.is_empty().then(|| json::number(&text)).flatten();
                return number.map(Node::Num).ok_or_else(|| A::Error::custom("no number"));
            }
            map.push((name, fields.next_value_seed(Self)?));
        }
        settle(&mut map);
        Ok(Node::Map(map))
    }
}

/// Leaves of each name one: at the place of the first, with the value of the last.
fn settle<'a>(fields: &mut Vec<(Cow<'a, str>, Node<'a>)>) {
    const FEW: usize = 16;
    let twice = if fields.len() <= FEW {
        fields.iter().enumerate().any(|(place, (name, _))| fields[..place].iter().any(|(other, _)| other == name))
    } else {
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    };
    if !twice {
        return;
    }
    let (mut places, mut kept) = (HashMap::new(), Vec::<(Cow<'a, str>, Node<'a>)>::with_capacity(fields.len()));
    for (name, value) in fields.drain(..) {
        match places.get(&name) {
            Some(place) => {
                let at: &mut (Cow<'a, str>, Node<'a>) = &mut kept[*place];
                at.1 = value;
            }
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, value));
            }
        }
    }
    *fields = kept;
}

/// A name, borrowed where it can be.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text is as a node, and as a value.
    fn both(text: &str) -> [Option<Val>; 2] {
        [Node::read(text.as_bytes()).map(|node| node.to_val()), json::read(text.as_bytes()).ok()]
    }

    #[test]
    fn a_node_is_what_the_value_is() {
        let many: Vec<String> = (0..40).map(|number| format!("\"{}\":{number}", number % 30)).collect();
        let many = format!("{{{}}}", many.join(","));
        for text in [
            r#"{"a":[1,-2,null,true,"x\n結び"],"b":{},"a":7,"c":{"d":1,"d":{"e":2}}}"#,
            "12800.10",
            "18446744073709551616",
            "\u{feff}\"x\"",
            &many,
        ] {
            let [node, value] = both(text);
            let written = |value: Option<Val>| {
                let mut out = Vec::new();
                json::write(&value.expect("JSON"), &mut out).expect("not deep");
                out
            };
            assert_eq!(written(node), written(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_no_node() {
        for text in ["", "{", "[1] 2", "NaN", "\"\u{1}\"", r#"{"a":1,"$serde_json::private::Number":"2"}"#] {
            assert!(Node::read(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Node::read(b"\"\xff\"").is_none());
        assert!(Node::read(&b"[".repeat(10_000)).is_none());
    }

    #[test]
    fn a_path_leads_into_objects_and_lists() {
        let node = Node::read(br#"{"a":{"b":[{"c":"x"}]},"d.e":1,"d":{"e":2}}"#).expect("JSON");
        assert_eq!(node.dig("a.b.0.c").text(), Some("x"));
        assert!(matches!(node.dig("d.e"), Node::Num(Num::Int(1))));
        assert!(node.dig("a.b.1.c").is_null() && node.dig("a.c").is_null());
        assert_eq!(node.weight(), "abcxd.ede".len());
    }
}
