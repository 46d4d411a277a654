//! What every native is made of: the filters that mappings call, on the body as it stands, and a touchpoint made of what
//! they give, as the reader of canonical JSON would make it.

use std::borrow::Cow;
use std::sync::Arc;

use jaq_json::Num;
use musubi_core::decimal::Decimal;
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::Touchpoint;
use musubi_core::value::Value;
use musubi_schema::{MAX_DEPTH, Parser};

use crate::node::Node;
use crate::time::{self, Zone};
use crate::{json, mapping, spelling};

/// What a native sees beside its item: what `$source` and `$received_at` are to a mapping.
pub(crate) struct Maker<'s> {
    pub(crate) source: &'s Arc<str>,
    pub(crate) channel: &'s str,
    pub(crate) scope: Option<&'s str>,
    pub(crate) trusts_links: bool,
    pub(crate) zone: &'s Zone,
    pub(crate) received_at: Timestamp,
    pub(crate) parser: &'s mut Parser,
}

/// What a native says of an item.
pub(super) struct Said<'a> {
    pub(super) event_id: Cow<'a, str>,
    pub(super) kind: Cow<'a, str>,
    pub(super) channel: Option<&'static str>,
    pub(super) occurred_at: Timestamp,
    pub(super) identifiers: Identifiers<'a>,
    pub(super) traits: Fields<'a>,
    pub(super) properties: Fields<'a>,
    pub(super) consent: Vec<(Cow<'a, str>, bool)>,
    pub(super) account: Option<Cow<'a, str>>,
}

/// A namespace and a value each.
#[derive(Default)]
pub(super) struct Identifiers<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Identifiers<'a> {
    /// `id($namespace; $value)`.
    pub(super) fn id(&mut self, namespace: &'static str, value: &'a Node<'_>) {
        self.0.extend(as_value(value).map(|value| (namespace, value)));
    }

    /// The same of a text that is made and not found.
    pub(super) fn made(&mut self, namespace: &'static str, value: String) {
        if !value.is_empty() {
            self.0.push((namespace, value.into()));
        }
    }

    /// `scoped($namespace; $value)`.
    pub(super) fn scoped(&mut self, maker: &Maker<'_>, namespace: &'static str, value: &'a Node<'_>) {
        let value = as_value(value);
        self.0.extend(value.map(|value| match maker.scope {
            Some(scope) => (namespace, format!("{scope}:{value}").into()),
            None => (namespace, value),
        }));
    }

    /// `unique`.
    pub(super) fn unique(mut self) -> Self {
        self.0.sort_unstable();
        self.0.dedup();
        self
    }
}

/// Fields of an object, in the order in which they are put: of two with one name the later counts. At any depth of objects
/// what holds null, an empty text or an empty object is left out in the end (`compact`).
#[derive(Default)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, Field<'a>)>);

/// What a field holds.
pub(super) enum Field<'a> {
    /// What stands in the body.
    Node(&'a Node<'a>),
    Text(Cow<'a, str>),
    Map(Fields<'a>),
    /// Objects, each compact, and none left out.
    Maps(Vec<Fields<'a>>),
}

impl<'a> From<&'a Node<'a>> for Field<'a> {
    fn from(node: &'a Node<'a>) -> Self {
        Self::Node(node)
    }
}

impl<'a> Fields<'a> {
    pub(super) fn with_room(room: usize) -> Self {
        Self(Vec::with_capacity(room))
    }

    pub(super) fn put(&mut self, name: &'static str, value: impl Into<Field<'a>>) {
        self.0.push((Cow::Borrowed(name), value.into()));
    }

    /// The fields of an object under their names in the vocabulary (`names`), but for those that `drop` names.
    pub(super) fn names(
        &mut self,
        fields: impl IntoIterator<Item = (&'a str, &'a Node<'a>)>,
        drop: impl Fn(&str) -> bool,
    ) {
        let kept = fields.into_iter().filter(|(name, _)| !drop(name));
        self.0.extend(kept.map(|(name, value)| (snake(name), Field::Node(value))));
    }

    /// `fetch`, of paths with their names.
    pub(super) fn fetch(&mut self, from: &'a Node<'a>, paths: &[(&'static str, &str)]) {
        for (name, path) in paths {
            self.put(name, from.dig(path));
        }
    }

    /// `first(money($amount; $currency))` as the field `total`; nothing where there is no amount.
    pub(super) fn total(&mut self, amount: &'a Node<'a>, currency: &'a Node<'a>) -> Option<()> {
        let amount = match amount {
            Node::Num(number) => number.to_string().into(),
            other if !other.is_given() => return Some(()),
            other => Cow::Borrowed(other.text()?),
        };
        let mut total = Self::with_room(2);
        total.put("amount", Field::Text(amount));
        total.put("currency", currency);
        self.put("total", Field::Map(total));
        Some(())
    }
}

/// The names and values of an object; none of anything else.
pub(super) fn entries<'a>(value: &'a Node<'a>) -> impl Iterator<Item = (&'a str, &'a Node<'a>)> {
    value.fields().iter().map(|(name, value)| (name.as_ref(), value))
}

/// The sum of objects, of which the later cover the earlier (jq's `+`). The mapping is asked where they have very many
/// fields.
pub(super) fn sum<'a, const N: usize>(objects: [&'a Node<'a>; N]) -> Option<Vec<(&'a str, &'a Node<'a>)>> {
    const MANY: usize = 256;
    let mut all: Vec<(&'a str, &'a Node<'a>)> = Vec::new();
    for object in objects {
        if all.is_empty() {
            all.extend(entries(object));
            continue;
        }
        if all.len() + object.fields().len() > MANY {
            return None;
        }
        for (name, value) in entries(object) {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => all.push((name, value)),
            }
        }
    }
    Some(all)
}

/// The first that is given; null where none is.
pub(super) fn either<'s, 'a, const N: usize>(values: [&'s Node<'a>; N]) -> &'s Node<'a> {
    values.into_iter().find(|value| value.is_given()).unwrap_or(Node::nothing())
}

/// `==` of what may be an identifier. Lists and objects are none, so nobody asks it of two of them.
pub(super) fn same(one: &Node<'_>, other: &Node<'_>) -> bool {
    match (one, other) {
        (Node::Null, Node::Null) => true,
        (Node::Bool(one), Node::Bool(other)) => one == other,
        (Node::Num(one), Node::Num(other)) => one == other,
        (Node::Text(one), Node::Text(other)) => one == other,
        (
            Node::Null | Node::Bool(_) | Node::Num(_) | Node::Text(_) | Node::List(_) | Node::Map(_),
            Node::Null | Node::Bool(_) | Node::Num(_) | Node::Text(_) | Node::List(_) | Node::Map(_),
        ) => false,
    }
}

/// `snake`, of which most names are already.
pub(super) fn snake(name: &str) -> Cow<'_, str> {
    let is_word = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    let is_snake = is_word && !name.starts_with('_') && !name.ends_with('_') && !name.contains("__");
    if is_snake { name.into() } else { spelling::snake(name).into() }
}

/// The name of an event: what is given, else its digest. What is rare is left to the mapping.
pub(super) fn event_id<'a>(given: &'a Node<'_>, event: impl FnOnce() -> jaq_json::Val) -> Option<Cow<'a, str>> {
    match given {
        Node::Text(id) => Some(Cow::Borrowed(id)),
        Node::Num(Num::Int(id)) => Some(id.to_string().into()),
        Node::Null => json::as_text(&mapping::filters::digest(&event()).ok()?).map(|id| id.into_owned().into()),
        Node::Bool(_) | Node::Num(_) | Node::List(_) | Node::Map(_) => None,
    }
}

/// What names somebody's account; the mapping is asked where it is neither a text nor a whole number.
pub(super) fn account<'a>(given: &'a Node<'_>) -> Option<Option<Cow<'a, str>>> {
    match given {
        Node::Null => Some(None),
        Node::Text(text) => Some((!text.is_empty()).then_some(Cow::Borrowed(text))),
        Node::Num(Num::Int(number)) => Some(Some(number.to_string().into())),
        Node::Bool(_) | Node::Num(_) | Node::List(_) | Node::Map(_) => None,
    }
}

/// The value of an identifier: a text that is not empty, or a number.
fn as_value<'a>(value: &'a Node<'_>) -> Option<Cow<'a, str>> {
    match value {
        Node::Text(text) => (!text.is_empty()).then_some(Cow::Borrowed(text)),
        Node::Num(number) => Some(number.to_string().into()),
        Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => None,
    }
}

impl Maker<'_> {
    /// `at($value)`.
    pub(super) fn at(&self, value: &Node<'_>) -> Option<Timestamp> {
        match value {
            Node::Null => Some(self.received_at),
            Node::Text(text) => time::of_text(text, self.zone),
            Node::Num(number) => time::of_number(&number.to_string()),
            Node::Bool(_) | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// The touchpoint that canonical JSON of this would be; none where that would be refused.
    pub(super) fn make(&mut self, said: Said<'_>) -> Option<Touchpoint> {
        if said.event_id.is_empty() || said.kind.is_empty() {
            return None;
        }
        let traits = self.fields(said.traits)?;
        let properties = self.fields(said.properties)?;
        let identifiers = said.identifiers.0.into_iter();
        let mut consent: Vec<_> =
            said.consent.into_iter().map(|(purpose, given)| (self.parser.share(&purpose), given)).collect();
        consent.sort_unstable();
        Some(Touchpoint {
            source: Arc::clone(self.source),
            event_id: said.event_id.into(),
            channel: self.parser.share(said.channel.unwrap_or(self.channel)),
            kind: self.parser.share(&said.kind),
            occurred_at: said.occurred_at,
            received_at: Some(self.received_at),
            identifiers: identifiers.map(|(namespace, value)| (self.parser.share(namespace), value.into())).collect(),
            traits,
            properties,
            consent,
            household: None,
            account: said.account.map(Into::into),
        })
    }

    fn fields(&mut self, fields: Fields<'_>) -> Option<Vec<(Arc<str>, Value)>> {
        self.fields_at(fields, 1)
    }

    /// Fields whose values stand at that depth: sorted, the last of each name, without what is empty.
    fn fields_at(&mut self, Fields(mut fields): Fields<'_>, depth: usize) -> Option<Vec<(Arc<str>, Value)>> {
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut made = Vec::with_capacity(fields.len());
        let mut fields = fields.into_iter().peekable();
        while let Some((name, field)) = fields.next() {
            if fields.peek().is_some_and(|(next, _)| *next == name) {
                continue;
            }
            if let Some(value) = self.field(field, depth)? {
                made.push((self.parser.share(&name), value));
            }
        }
        Some(made)
    }

    fn field(&mut self, field: Field<'_>, depth: usize) -> Option<Option<Value>> {
        match field {
            Field::Node(node) => self.compact(node, depth),
            Field::Text(text) => Some((!text.is_empty()).then(|| Value::Text(text.into()))),
            Field::Map(fields) => {
                let fields = self.fields_at(fields, depth + 1)?;
                Some((!fields.is_empty()).then(|| Value::Map(fields.into())))
            }
            Field::Maps(maps) => {
                let maps = maps.into_iter().map(|map| Some(Value::Map(self.fields_at(map, depth + 2)?.into())));
                Some(Some(Value::List(maps.collect::<Option<Vec<_>>>()?.into())))
            }
        }
    }

    /// `compact` of what stands at that depth; nothing where that leaves nothing.
    fn compact(&mut self, node: &Node<'_>, depth: usize) -> Option<Option<Value>> {
        if !node.is_given() {
            return Some(None);
        }
        let Node::Map(fields) = node else { return self.value(node, depth).map(Some) };
        if depth > MAX_DEPTH {
            return None;
        }
        let mut made = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            if let Some(value) = self.compact(value, depth + 1)? {
                made.push((self.parser.share(name), value));
            }
        }
        made.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Some((!made.is_empty()).then(|| Value::Map(made.into())))
    }

    /// The value as it stands; none where it is deeper, or a number with more digits, than we take.
    fn value(&mut self, node: &Node<'_>, depth: usize) -> Option<Value> {
        Some(match node {
            Node::Null => Value::Null,
            Node::Bool(truth) => Value::Bool(*truth),
            Node::Num(Num::Int(number)) => Value::Number(Decimal::from(i64::try_from(*number).ok()?)),
            Node::Num(number) => Value::Number(number.to_string().parse().ok()?),
            Node::Text(text) => Value::text(text),
            Node::List(_) | Node::Map(_) if depth > MAX_DEPTH => return None,
            Node::List(items) => {
                let items = items.iter().map(|item| self.value(item, depth + 1));
                Value::List(items.collect::<Option<Vec<_>>>()?.into())
            }
            Node::Map(fields) => {
                let fields =
                    fields.iter().map(|(name, value)| Some((self.parser.share(name), self.value(value, depth + 1)?)));
                let mut fields = fields.collect::<Option<Vec<_>>>()?;
                fields.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
                Value::Map(fields.into())
            }
        })
    }
}
