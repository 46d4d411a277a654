//! The bytes of mesh messages. The tags are pinned: none is ever used for anything else.

use musubi_store::codec::{Decode, Encode, Malformed, take_byte};

use crate::message::{Entry, Message, Piece};

macro_rules! messages {
    ($($tag:literal $variant:ident { $($field:ident),* })*) => {
        impl Encode for Message {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$variant { $($field),* } => {
                        out.push($tag);
                        $( $field.encode(out); )*
                    } )*
                }
            }
        }

        impl Decode for Message {
            fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
                match take_byte(input)? {
                    $( $tag => {
                        $( let $field = Decode::decode(input)?; )*
                        Ok(Self::$variant { $($field),* })
                    } )*
                    tag => Err(Malformed::UnknownTag(tag)),
                }
            }
        }
    };
}

messages! {
    1 Enter { observation, entry, finally }
    2 Observe { root, entry, observation }
    3 Claim { identifier, root }
    4 Claimed { root, identifier, standing }
    5 Shared { root, identifier, standing }
    6 Union { senior, junior, claim }
    7 Absorb { root, from, pieces, piece }
    8 Reparent { identifier, root }
    9 Share { identifier, shared }
    10 Stand { root, identifier, standing, cause }
    12 Decree { root, decree }
    13 Resolve { root }
}

impl Encode for Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        self.signature.encode(out);
        self.event.encode(out);
        self.effect.encode(out);
    }
}

impl Decode for Entry {
    fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let (signature, event, effect) = Decode::decode(input)?;
        Ok(Self { signature, event, effect })
    }
}

impl Encode for Piece {
    fn encode(&self, out: &mut Vec<u8>) {
        self.cluster.encode(out);
        self.entries.encode(out);
    }
}

impl Decode for Piece {
    fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let (cluster, entries) = Decode::decode(input)?;
        Ok(Self { cluster, entries })
    }
}
