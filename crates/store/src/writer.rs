//! Writing: which bytes go where. The batch that they go into is the caller's.

use musubi_core::cluster::SignatureKey;
use musubi_core::forest::{Home, Parent, Root};
use musubi_core::identifier::IdentifierKey;
use musubi_core::touchpoint::{Effect, EventKey, Seen};

use crate::codec::{Decode, Encode, Malformed};
use crate::keys;
use crate::pages::{self, Pages};

/// A batch of writes.
pub trait Writer {
    /// Sets a key.
    fn put(&mut self, table: &'static str, key: &[u8], value: &[u8]);
    /// Drops a key.
    fn delete(&mut self, table: &'static str, key: &[u8]);
    /// Drops the keys from `from` up to, and not with, `to`.
    fn delete_range(&mut self, table: &'static str, from: &[u8], to: &[u8]);
}

/// Writes the parent of an identifier.
pub fn put_parent(writer: &mut impl Writer, partition: u32, identifier: IdentifierKey, parent: &Parent) {
    with_room(|bytes| {
        parent.encode(bytes);
        writer.put(keys::PARENTS, &keys::parent(partition, identifier), bytes);
    });
}

/// Writes those pages of a home that changed, and notes in `pages` what is stored then.
pub fn put_home(writer: &mut impl Writer, root: Root, home: &Home, pages: &mut Pages) {
    let writer = std::cell::RefCell::new(writer);
    with_room(|bytes| {
        pages::write(
            root,
            home,
            pages,
            bytes,
            &mut |key, value| writer.borrow_mut().put(keys::CLUSTERS, key, value),
            |key| writer.borrow_mut().delete(keys::CLUSTERS, key),
        );
    });
}

/// Room to write a value in, which is kept for the next one.
fn with_room(write: impl FnOnce(&mut Vec<u8>)) {
    thread_local! {
        static ROOM: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
    }
    let mut bytes = ROOM.take();
    bytes.clear();
    write(&mut bytes);
    ROOM.set(bytes);
}

/// Writes an effect.
pub fn put_effect(writer: &mut impl Writer, partition: u32, signature: SignatureKey, event: EventKey, effect: &Effect) {
    with_room(|bytes| {
        effect.encode(bytes);
        writer.put(keys::EFFECTS, &keys::effect(partition, signature, event), bytes);
    });
}

/// Drops an effect.
pub fn drop_effect(writer: &mut impl Writer, partition: u32, signature: SignatureKey, event: EventKey) {
    writer.delete(keys::EFFECTS, &keys::effect(partition, signature, event));
}

/// Remembers an event.
pub fn put_seen(writer: &mut impl Writer, partition: u32, event: EventKey, seen: Seen) {
    with_room(|bytes| {
        bytes.extend_from_slice(&seen.content.to_le_bytes());
        seen.time.encode(bytes);
        writer.put(keys::SEEN, &keys::seen(partition, event), bytes);
    });
}

/// Reads what [`put_seen`] wrote.
pub(crate) fn read_seen(mut bytes: &[u8]) -> Result<Seen, Malformed> {
    let input = &mut bytes;
    Ok(Seen { content: u64::from_le_bytes(crate::codec::take_array(input)?), time: Decode::decode(input)? })
}

impl Encode for Parent {
    fn encode(&self, out: &mut Vec<u8>) {
        let plain = self.standing == Default::default() && !self.shared && self.askers.is_empty();
        out.push(u8::from(self.root.is_some()) | u8::from(plain) << 1 | u8::from(self.shared) << 2);
        if let Some(root) = self.root {
            root.encode(out);
        }
        if !plain {
            self.standing.encode(out);
            self.askers.encode(out);
        }
    }
}

impl Decode for Parent {
    fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let flags = crate::codec::take_byte(input)?;
        let root = if flags & 1 != 0 { Some(Root::decode(input)?) } else { None };
        let mut parent = Self { root, shared: flags & 4 != 0, ..Self::default() };
        if flags & 2 == 0 {
            parent.standing = Decode::decode(input)?;
            parent.askers = Decode::decode(input)?;
        }
        Ok(parent)
    }
}
