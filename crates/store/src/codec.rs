//! The bytes of stored values. Integers are varints, texts and bytes carry their length; a format never changes in
//! place: a new one gets a new version byte.

use std::cell::RefCell;
use std::hash::Hasher as _;
use std::sync::Arc;

use musubi_core::change::{Cause, Position};
use musubi_core::cluster::{Block, Decree, Member, Observation, Person, Signature, SignatureKey, Standing};
use musubi_core::decimal::{Decimal, Parts};
use musubi_core::forest::Root;
use musubi_core::identifier::{Identifier, IdentifierKey, NamespaceId};
use musubi_core::person::PersonId;
use musubi_core::profile::{
    Activity, ChannelFold, Computed, Consent, Fold, Membership, PerCurrency, Profile, Recent, Stamped, Trait,
    TraitState,
};
use musubi_core::time::Timestamp;
use musubi_core::touchpoint::{Effect, EventKey, EventRef};
use musubi_core::value::Value;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    TooShort,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A tag that no version of the format knows.
    #[error("unknown tag {0}")]
    UnknownTag(u8),
    /// A number is out of range.
    #[error("a number is out of range")]
    OutOfRange,
}

type Result<T> = std::result::Result<T, Malformed>;

/// Something that has bytes.
pub trait Encode {
    /// Appends the bytes.
    fn encode(&self, out: &mut Vec<u8>);
}

/// Something that can be read from bytes.
pub trait Decode: Sized {
    /// Reads it and leaves the rest.
    fn decode(input: &mut &[u8]) -> Result<Self>;
}

/// A field of which many records have the same: decoded, they share one copy.
macro_rules! decoded {
    ($input:ident) => {
        Decode::decode($input)?
    };
    ($input:ident name) => {
        take_name($input)?
    };
}

macro_rules! fields {
    ($($type:ident { $($field:ident $(: $how:ident)?),* $(,)? })*) => { $(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                $( self.$field.encode(out); )*
            }
        }
        impl Decode for $type {
            fn decode(input: &mut &[u8]) -> Result<Self> {
                $( let $field = decoded!(input $($how)?); )*
                Ok(Self { $($field),* })
            }
        }
    )* };
}

macro_rules! bytes {
    ($($type:ident)*) => { $(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }
        impl Decode for $type {
            fn decode(input: &mut &[u8]) -> Result<Self> {
                Ok(Self(take_array(input)?))
            }
        }
    )* };
}

bytes! { IdentifierKey SignatureKey EventKey PersonId }

fields! {
    Root { key, partition }
    EventRef { source: name, event_id }
    Position { topic: name, partition, offset }
    Cause { directive, event, position }
    Block { at, blocked }
    Standing { erased_at, block }
    Decree { pair, at, linked, cause }
    Person { anchor, profile }
    Observation { identifiers, effect, event, position }
    Effect { source: name, event_id, channel: name, kind: name, time, received, traits, properties, consent, household, account }
    Profile { traits, computed, recent, consent, households, accounts, channels }
    Trait { name: name, state }
    Stamped { time, event_id, source: name, value }
    Computed { name: name, overall, channels }
    ChannelFold { channel: name, fold }
    Consent { purpose: name, given, time }
    Membership { id, first_seen, last_seen }
    Activity { channel: name, first_seen, last_seen, touchpoints }
}

/// What is not usual of a member, one bit each; the usual member costs one byte.
mod member {
    pub(super) const SEEN: u8 = 1;
    pub(super) const STANDING: u8 = 2;
    pub(super) const FOREIGN: u8 = 4;
    pub(super) const SHARED: u8 = 8;
    pub(super) const TOLD: u8 = 16;
    pub(super) const PERSON: u8 = 32;
    pub(super) const VERSION: u8 = 64;
    pub(super) const REDIRECT: u8 = 128;
}

impl Encode for Member {
    fn encode(&self, out: &mut Vec<u8>) {
        self.identifier.encode(out);
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        out.push(
            bit(self.seen.is_some(), member::SEEN)
                | bit(self.standing != Standing::default(), member::STANDING)
                | bit(self.foreign, member::FOREIGN)
                | bit(self.shared, member::SHARED)
                | bit(self.told, member::TOLD)
                | bit(self.person.is_some(), member::PERSON)
                | bit(self.version > 0, member::VERSION)
                | bit(self.redirect.is_some(), member::REDIRECT),
        );
        if let Some((first, last)) = self.seen {
            encode_span(first, last, out);
        }
        if self.standing != Standing::default() {
            self.standing.encode(out);
        }
        if let Some(person) = self.person {
            person.encode(out);
        }
        if self.version > 0 {
            self.version.encode(out);
        }
        if let Some(redirect) = self.redirect {
            redirect.encode(out);
        }
    }
}

impl Decode for Member {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        let identifier = Identifier::decode(input)?;
        let flags = take_byte(input)?;
        let is = |bit: u8| flags & bit != 0;
        Ok(Self {
            identifier,
            seen: if is(member::SEEN) { Some(decode_span(input)?) } else { None },
            standing: if is(member::STANDING) { Decode::decode(input)? } else { Standing::default() },
            foreign: is(member::FOREIGN),
            shared: is(member::SHARED),
            told: is(member::TOLD),
            person: if is(member::PERSON) { Some(Decode::decode(input)?) } else { None },
            version: if is(member::VERSION) { Decode::decode(input)? } else { 0 },
            redirect: if is(member::REDIRECT) { Some(Decode::decode(input)?) } else { None },
        })
    }
}

/// Two instants, the second not before the first but for corruption: as the first and what is between them.
fn encode_span(first: Timestamp, last: Timestamp, out: &mut Vec<u8>) {
    first.encode(out);
    last.as_micros().wrapping_sub(first.as_micros()).encode(out);
}

fn decode_span(input: &mut &[u8]) -> Result<(Timestamp, Timestamp)> {
    let first = Timestamp::decode(input)?;
    let between = i64::decode(input)?;
    Ok((first, Timestamp::from_micros(first.as_micros().wrapping_add(between))))
}

/// Most signatures have one touchpoint, or all from one source.
impl Encode for Signature {
    fn encode(&self, out: &mut Vec<u8>) {
        let alone = self.first == self.last;
        let one_source = self.sources.len() == 1 && self.sources[0] == self.first.1.source;
        self.key.encode(out);
        self.members.encode(out);
        self.count.encode(out);
        self.first.encode(out);
        out.push(u8::from(alone) | u8::from(one_source) << 1);
        if !alone {
            self.last.encode(out);
        }
        self.received.encode(out);
        if !one_source {
            self.sources.encode(out);
        }
    }
}

impl Decode for Signature {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        let (key, members, count) = (Decode::decode(input)?, Decode::decode(input)?, Decode::decode(input)?);
        let first: (Timestamp, EventRef) = Decode::decode(input)?;
        let flags = take_byte(input)?;
        let last = if flags & 1 != 0 { first.clone() } else { Decode::decode(input)? };
        let received = Decode::decode(input)?;
        let sources = if flags & 2 != 0 { vec![Arc::clone(&first.1.source)] } else { Decode::decode(input)? };
        Ok(Self { key, members, count, first, last, received, sources })
    }
}

/// Takes one byte.
pub fn take_byte(input: &mut &[u8]) -> Result<u8> {
    let (byte, rest) = input.split_first().ok_or(Malformed::TooShort)?;
    *input = rest;
    Ok(*byte)
}

/// Takes a fixed number of bytes.
pub fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, rest) = input.split_first_chunk().ok_or(Malformed::TooShort)?;
    *input = rest;
    Ok(*bytes)
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (bytes, rest) = input.split_at_checked(length).ok_or(Malformed::TooShort)?;
    *input = rest;
    Ok(bytes)
}

fn take_length(input: &mut &[u8]) -> Result<usize> {
    usize::try_from(u64::decode(input)?).map_err(|_| Malformed::OutOfRange)
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    (length as u64).encode(out);
}

impl Encode for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push((rest as u8) | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
}

impl Decode for u64 {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = take_byte(input)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::OutOfRange)
    }
}

macro_rules! narrow {
    ($($type:ty)*) => { $(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                u64::from(*self).encode(out);
            }
        }
        impl Decode for $type {
            fn decode(input: &mut &[u8]) -> Result<Self> {
                u64::decode(input)?.try_into().map_err(|_| Malformed::OutOfRange)
            }
        }
    )* };
}

narrow! { u32 u16 }

impl Encode for u8 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
}

impl Decode for u8 {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        take_byte(input)
    }
}

/// Zigzag: small numbers of either sign are short.
impl Encode for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().encode(out);
    }
}

impl Decode for i64 {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        let zigzag = u64::decode(input)?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        match take_byte(input)? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(Malformed::UnknownTag(tag)),
        }
    }
}

impl Encode for Timestamp {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_micros().encode(out);
    }
}

impl Decode for Timestamp {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        i64::decode(input).map(Self::from_micros)
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Encode for Arc<str> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_ref().encode(out);
    }
}

fn take_text<'a>(input: &mut &'a [u8]) -> Result<&'a str> {
    let length = take_length(input)?;
    std::str::from_utf8(take(input, length)?).map_err(|_| Malformed::NotUtf8)
}

/// Takes a text that many records have in common; those decoded by one thread share copies.
fn take_name(input: &mut &[u8]) -> Result<Arc<str>> {
    thread_local! {
        static NAMES: RefCell<Names> = RefCell::new(Names(vec![None; NAMES_KEPT].into()));
    }
    let name = take_text(input)?;
    Ok(NAMES.with_borrow_mut(|names| names.share(name)))
}

/// Takes the fields of an object, whose names are many objects' names.
fn take_fields(input: &mut &[u8]) -> Result<Vec<(Arc<str>, Value)>> {
    let length = take_length(input)?;
    let mut fields = Vec::with_capacity(length.min(input.len()));
    for _ in 0..length {
        fields.push((take_name(input)?, Value::decode(input)?));
    }
    Ok(fields)
}

/// How many names are kept: a deployment has some hundreds.
const NAMES_KEPT: usize = 2_048;

/// The names decoded last, each at its one place: the table never grows, and nothing but the address of what comes out
/// depends on it.
struct Names(Box<[Option<Arc<str>>]>);

impl Names {
    fn share(&mut self, name: &str) -> Arc<str> {
        let mut hasher = rustc_hash::FxHasher::default();
        hasher.write(name.as_bytes());
        let place = &mut self.0[hasher.finish() as usize % NAMES_KEPT];
        match place {
            Some(held) if held.as_ref() == name => Arc::clone(held),
            Some(_) | None => Arc::clone(place.insert(name.into())),
        }
    }
}

impl Decode for Arc<str> {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        take_text(input).map(Self::from)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        if bool::decode(input)? { T::decode(input).map(Some) } else { Ok(None) }
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode(out);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        let length = take_length(input)?;
        // A length is believed only as far as there are bytes for it.
        let mut items = Self::with_capacity(length.min(input.len()));
        for _ in 0..length {
            items.push(T::decode(input)?);
        }
        Ok(items)
    }
}

impl<T: Encode> Encode for Box<[T]> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_ref().encode(out);
    }
}

impl<T: Decode> Decode for Box<[T]> {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Vec::decode(input).map(Into::into)
    }
}

impl<T: Encode> Encode for Arc<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_ref().encode(out);
    }
}

impl Encode for Recent {
    fn encode(&self, out: &mut Vec<u8>) {
        put_length(self.bytes().len(), out);
        out.extend_from_slice(self.bytes());
    }
}

impl Decode for Recent {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        let length = take_length(input)?;
        Self::from_bytes(take(input, length)?).ok_or(Malformed::OutOfRange)
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_ref().encode(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        T::decode(input).map(Self::new)
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

impl<A: Encode, B: Encode, C: Encode> Encode for (A, B, C) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
        self.2.encode(out);
    }
}

impl<A: Decode, B: Decode, C: Decode> Decode for (A, B, C) {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Ok((A::decode(input)?, B::decode(input)?, C::decode(input)?))
    }
}

impl<T: Encode> Encode for [T; 2] {
    fn encode(&self, out: &mut Vec<u8>) {
        self[0].encode(out);
        self[1].encode(out);
    }
}

impl<T: Decode> Decode for [T; 2] {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Ok([T::decode(input)?, T::decode(input)?])
    }
}

impl Encode for Identifier {
    fn encode(&self, out: &mut Vec<u8>) {
        self.namespace().0.encode(out);
        put_length(self.namespace_name().len(), out);
        self.text().encode(out);
        self.key().encode(out);
    }
}

impl Decode for Identifier {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        let namespace = NamespaceId(u16::decode(input)?);
        let colon = u16::decode(input)?;
        let text = take_text(input)?;
        if text.as_bytes().get(usize::from(colon)) != Some(&b':') {
            return Err(Malformed::OutOfRange);
        }
        Ok(Self::from_parts(namespace, text, colon, IdentifierKey::decode(input)?))
    }
}

impl Encode for Decimal {
    fn encode(&self, out: &mut Vec<u8>) {
        match self.to_parts() {
            Parts::Small { mantissa, scale } => {
                out.push(scale);
                mantissa.encode(out);
            }
            Parts::Large { mantissa, scale } => {
                out.push(u8::MAX);
                mantissa.encode(out);
                scale.encode(out);
            }
        }
    }
}

impl Decode for Decimal {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        let parts = match take_byte(input)? {
            u8::MAX => Parts::Large { mantissa: Decode::decode(input)?, scale: Decode::decode(input)? },
            scale => Parts::Small { scale, mantissa: Decode::decode(input)? },
        };
        Self::from_parts(&parts).map_err(|_| Malformed::OutOfRange)
    }
}

impl Encode for Value {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0),
            Self::Bool(false) => out.push(1),
            Self::Bool(true) => out.push(2),
            Self::Number(number) => {
                out.push(3);
                number.encode(out);
            }
            Self::Text(text) => {
                out.push(4);
                text.encode(out);
            }
            Self::List(items) => {
                out.push(5);
                items.as_ref().encode(out);
            }
            Self::Map(fields) => {
                out.push(6);
                fields.as_ref().encode(out);
            }
        }
    }
}

impl Decode for Value {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Ok(match take_byte(input)? {
            0 => Self::Null,
            1 => Self::Bool(false),
            2 => Self::Bool(true),
            3 => Self::Number(Decode::decode(input)?),
            4 => Self::Text(Decode::decode(input)?),
            5 => Self::List(Vec::decode(input)?.into()),
            6 => Self::Map(take_fields(input)?.into()),
            tag => return Err(Malformed::UnknownTag(tag)),
        })
    }
}

impl Encode for TraitState {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Chosen(stamped) => {
                out.push(0);
                stamped.encode(out);
            }
            Self::Extreme(value) => {
                out.push(1);
                value.encode(out);
            }
            Self::Union(values) => {
                out.push(2);
                values.encode(out);
            }
        }
    }
}

impl Decode for TraitState {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Ok(match take_byte(input)? {
            0 => Self::Chosen(Decode::decode(input)?),
            1 => Self::Extreme(Decode::decode(input)?),
            2 => Self::Union(Decode::decode(input)?),
            tag => return Err(Malformed::UnknownTag(tag)),
        })
    }
}

impl<T: Encode> Encode for PerCurrency<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.currency.encode(out);
        self.amount.encode(out);
    }
}

impl<T: Decode> Decode for PerCurrency<T> {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Ok(Self { currency: Decode::decode(input)?, amount: Decode::decode(input)? })
    }
}

impl Encode for Fold {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Count(count) => {
                out.push(0);
                count.encode(out);
            }
            Self::Sum(sums) => {
                out.push(1);
                sums.encode(out);
            }
            Self::Min(values) => {
                out.push(2);
                values.encode(out);
            }
            Self::Max(values) => {
                out.push(3);
                values.encode(out);
            }
            Self::First(stamped) => {
                out.push(4);
                stamped.encode(out);
            }
            Self::Last(stamped) => {
                out.push(5);
                stamped.encode(out);
            }
            Self::Distinct(values) => {
                out.push(6);
                values.encode(out);
            }
            Self::LastN(values) => {
                out.push(7);
                values.encode(out);
            }
        }
    }
}

impl Decode for Fold {
    fn decode(input: &mut &[u8]) -> Result<Self> {
        Ok(match take_byte(input)? {
            0 => Self::Count(Decode::decode(input)?),
            1 => Self::Sum(Decode::decode(input)?),
            2 => Self::Min(Decode::decode(input)?),
            3 => Self::Max(Decode::decode(input)?),
            4 => Self::First(Decode::decode(input)?),
            5 => Self::Last(Decode::decode(input)?),
            6 => Self::Distinct(Decode::decode(input)?),
            7 => Self::LastN(Decode::decode(input)?),
            tag => return Err(Malformed::UnknownTag(tag)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        for number in [0, 1, 127, 128, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            number.encode(&mut bytes);
            assert_eq!(u64::decode(&mut bytes.as_slice()), Ok(number));
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut bytes = Vec::new();
            number.encode(&mut bytes);
            assert_eq!(i64::decode(&mut bytes.as_slice()), Ok(number));
        }
    }

    #[test]
    fn bytes_that_end_too_early_are_an_answer_and_no_panic() {
        let mut bytes = Vec::new();
        vec![Value::text("tea"), Value::Number(Decimal::ZERO)].encode(&mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(Vec::<Value>::decode(&mut &bytes[..length]), Err(Malformed::TooShort), "{length} bytes");
        }
    }
}
