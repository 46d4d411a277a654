//! A record batch as bytes: its header is read in place, and its records are walked where a rule needs them.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::compression::{Compressor, Decompressor, Gzip, Lz4, Snappy, Zstd};

/// Bytes of a batch's header, up to its first record (format 2).
const HEADER: usize = 61;
/// Bytes before those that the field `length` counts.
const PREFIX: usize = 12;
/// Where the checksummed part begins.
const SEALED: usize = 21;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// A batch in a log. Its base offset and leader epoch are the log's, and replace those in `raw` when it is written out;
/// the checksum covers neither.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    raw: Bytes,
    /// Offset of the first record that the batch was produced with.
    pub(crate) base: i64,
    pub(crate) epoch: i32,
    /// Its place in the broker's one order of writes; decides what a restart may lose.
    pub(crate) stamp: u64,
    /// When it was appended, in ms since 1970.
    pub(crate) appended: i64,
    /// When compaction first kept it, in ms since 1970: its tombstones live on from there.
    pub(crate) cleaned: Option<i64>,
}

/// One record inside an uncompressed payload.
pub(crate) struct Entry {
    /// All its bytes, its length first.
    pub(crate) raw: Bytes,
    pub(crate) offset_delta: i64,
    pub(crate) timestamp_delta: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) tombstone: bool,
}

impl Batch {
    /// Cuts what a producer or a file holds into batches, and checks length, format and checksum of each.
    pub(crate) fn split(mut bytes: Bytes) -> Result<Vec<Self>, ResponseError> {
        let mut batches = Vec::new();
        while bytes.has_remaining() {
            batches.push(Self::cut(&mut bytes)?);
        }
        Ok(batches)
    }

    /// Takes one batch off the front.
    pub(crate) fn cut(bytes: &mut Bytes) -> Result<Self, ResponseError> {
        if bytes.len() < HEADER {
            return Err(ResponseError::CorruptMessage);
        }
        if bytes[16] != 2 {
            return Err(ResponseError::UnsupportedForMessageFormat);
        }
        let length = (&bytes[8..]).get_i32();
        let whole = usize::try_from(length).ok().map(|length| length + PREFIX);
        let whole = whole.filter(|&whole| whole >= HEADER && whole <= bytes.len());
        let raw = bytes.split_to(whole.ok_or(ResponseError::CorruptMessage)?);
        let (base, epoch) = ((&raw[0..]).get_i64(), (&raw[12..]).get_i32());
        let batch = Self { raw, base, epoch, stamp: 0, appended: 0, cleaned: None };
        if (&batch.raw[17..]).get_u32() != crc32c::crc32c(&batch.raw[SEALED..]) {
            return Err(ResponseError::CorruptMessage);
        }
        Ok(batch)
    }

    /// The control batch that ends a transaction in a partition.
    pub(crate) fn marker(producer: i64, epoch: i16, commit: bool, now: i64) -> Self {
        // One record: 16 bytes long, no deltas, a key of 4 bytes and a value of 6, no headers.
        let mut record = BytesMut::from(&[32, 0, 0, 0, 8][..]);
        record.put_i16(0);
        record.put_i16(i16::from(commit));
        record.put_u8(12);
        record.put_i16(0);
        record.put_i32(0);
        record.put_u8(0);
        let mut header = BytesMut::zeroed(16);
        header.put_u8(2);
        header.put_u32(0);
        header.put_i16(TRANSACTIONAL | CONTROL);
        header.put_i32(0);
        header.put_i64(now);
        header.put_i64(now);
        header.put_i64(producer);
        header.put_i16(epoch);
        header.put_i32(-1);
        header.put_i32(1);
        let raw = seal(header, &record);
        Self { raw, base: 0, epoch: 0, stamp: 0, appended: now, cleaned: None }
    }

    /// The batch with only those of its records, in the same codec, at the same offsets. The records are `Entry::raw`.
    pub(crate) fn keeping(&self, records: &[Bytes]) -> Option<Self> {
        let payload = pack(self.codec(), &records.concat())?;
        let mut header = BytesMut::from(&self.raw[..HEADER]);
        let count = i32::try_from(records.len()).ok()?;
        header[57..61].copy_from_slice(&count.to_be_bytes());
        Some(Self { raw: seal(header, &payload), ..self.clone() })
    }

    pub(crate) fn size(&self) -> usize {
        self.raw.len()
    }
    fn attributes(&self) -> i16 {
        (&self.raw[21..]).get_i16()
    }
    fn codec(&self) -> i16 {
        self.attributes() & 7
    }
    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL != 0
    }
    pub(crate) fn is_control(&self) -> bool {
        self.attributes() & CONTROL != 0
    }
    pub(crate) fn last_delta(&self) -> i32 {
        (&self.raw[23..]).get_i32()
    }
    /// Offset of the last record that the batch was produced with.
    pub(crate) fn last(&self) -> i64 {
        self.base + i64::from(self.last_delta())
    }
    pub(crate) fn base_timestamp(&self) -> i64 {
        (&self.raw[27..]).get_i64()
    }
    pub(crate) fn max_timestamp(&self) -> i64 {
        (&self.raw[35..]).get_i64()
    }
    pub(crate) fn producer(&self) -> i64 {
        (&self.raw[43..]).get_i64()
    }
    pub(crate) fn producer_epoch(&self) -> i16 {
        (&self.raw[51..]).get_i16()
    }
    pub(crate) fn first_sequence(&self) -> i32 {
        (&self.raw[53..]).get_i32()
    }
    /// Sequences wrap from the greatest to 0.
    pub(crate) fn last_sequence(&self) -> i32 {
        let last = i64::from(self.first_sequence()) + i64::from(self.last_delta());
        i32::try_from(last % (i64::from(i32::MAX) + 1)).unwrap_or(0)
    }
    pub(crate) fn count(&self) -> i32 {
        (&self.raw[57..]).get_i32()
    }
    /// Whether a control batch says commit.
    pub(crate) fn commits(&self) -> bool {
        self.is_control() && self.raw.len() > HEADER + 8 && (&self.raw[HEADER + 7..]).get_i16() == 1
    }

    /// Appends the batch as a consumer reads it.
    pub(crate) fn write(&self, to: &mut BytesMut) {
        to.put_i64(self.base);
        to.put_slice(&self.raw[8..12]);
        to.put_i32(self.epoch);
        to.put_slice(&self.raw[16..]);
    }

    /// Its records, unpacked.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, ResponseError> {
        let mut payload = unpack(self.codec(), self.raw.slice(HEADER..))?;
        (0..self.count()).map(|_| Entry::read(&mut payload).ok_or(ResponseError::CorruptMessage)).collect()
    }
}

impl Entry {
    fn read(payload: &mut Bytes) -> Option<Self> {
        let mut ahead = payload.clone();
        let length = usize::try_from(varint(&mut ahead)?).ok()?;
        let whole = payload.len() - ahead.len() + length;
        let raw = (whole <= payload.len()).then(|| payload.split_to(whole))?;
        let mut body = raw.slice(whole - length..);
        body.try_get_i8().ok()?;
        let timestamp_delta = varint(&mut body)?;
        let offset_delta = varint(&mut body)?;
        let key = blob(&mut body)?;
        let tombstone = varint(&mut body)? < 0;
        Some(Self { raw, offset_delta, timestamp_delta, key, tombstone })
    }
}

/// A field with its length before it; a length below 0 is null.
fn blob(bytes: &mut Bytes) -> Option<Option<Bytes>> {
    let Ok(length) = usize::try_from(varint(bytes)?) else { return Some(None) };
    (length <= bytes.len()).then(|| Some(bytes.split_to(length)))
}

/// A signed number in zigzag, seven bits a byte.
fn varint(bytes: &mut Bytes) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

/// Puts header and payload together, with length and checksum.
fn seal(mut header: BytesMut, payload: &[u8]) -> Bytes {
    header.put_slice(payload);
    let length = i32::try_from(header.len() - PREFIX).unwrap_or(i32::MAX);
    header[8..12].copy_from_slice(&length.to_be_bytes());
    let sum = crc32c::crc32c(&header[SEALED..]);
    header[17..21].copy_from_slice(&sum.to_be_bytes());
    header.freeze()
}

fn unpack(codec: i16, mut packed: Bytes) -> Result<Bytes, ResponseError> {
    let plain = match codec {
        0 => return Ok(packed),
        1 => Gzip::decompress(&mut packed, |plain| Ok(plain.clone())),
        2 => Snappy::decompress(&mut packed, |plain| Ok(plain.clone())),
        3 => Lz4::decompress(&mut packed, |plain| Ok(plain.clone())),
        4 => Zstd::decompress(&mut packed, |plain| Ok(plain.clone())),
        _ => return Err(ResponseError::UnsupportedCompressionType),
    };
    plain.map_err(|_| ResponseError::CorruptMessage)
}

fn pack(codec: i16, plain: &[u8]) -> Option<Bytes> {
    /// Hands the plain bytes to a codec.
    macro_rules! packed {
        ($codec:ty) => {{
            let mut packed = BytesMut::new();
            let done = <$codec>::compress(&mut packed, |to| {
                to.put_slice(plain);
                Ok(())
            });
            done.ok().map(|()| packed.freeze())
        }};
    }
    match codec {
        1 => packed!(Gzip),
        2 => packed!(Snappy),
        3 => packed!(Lz4),
        4 => packed!(Zstd),
        _ => Some(Bytes::copy_from_slice(plain)),
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::RecordBatchDecoder;

    use super::*;

    #[test]
    fn a_marker_is_a_batch_that_the_codec_reads() {
        let mut bytes = BytesMut::new();
        let marker = Batch { base: 41, epoch: 3, ..Batch::marker(7, 2, true, 1000) };
        marker.write(&mut bytes);
        let set = RecordBatchDecoder::decode(&mut bytes.freeze()).expect("a batch");
        let record = &set.records[0];
        assert_eq!((set.records.len(), record.offset, record.timestamp), (1, 41, 1000));
        assert_eq!((record.control, record.transactional, record.producer_id), (true, true, 7));
        assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, 1][..]));
        assert!(marker.commits() && !Batch::marker(7, 2, false, 0).commits());
    }

    #[test]
    fn sequences_wrap_after_the_greatest() {
        let mut header = BytesMut::from(&Batch::marker(1, 1, true, 0).raw[..]);
        header[23..27].copy_from_slice(&1_i32.to_be_bytes());
        header[53..57].copy_from_slice(&i32::MAX.to_be_bytes());
        let batch = Batch { raw: header.freeze(), ..Batch::marker(1, 1, true, 0) };
        assert_eq!(batch.last_sequence(), 0);
    }

    #[test]
    fn what_is_no_batch_is_refused_and_never_a_panic() {
        let mut whole = BytesMut::new();
        Batch::marker(1, 1, true, 0).write(&mut whole);
        for cut in 0..whole.len() {
            assert_eq!(Batch::split(whole.clone().freeze().slice(..cut)).is_ok(), cut == 0, "cut at {cut}");
        }
        for byte in 0..whole.len() {
            let mut torn = whole.clone();
            torn[byte] ^= 0x80;
            // The offset and the epoch are the log's, and not under the checksum.
            let free = byte < 8 || (12..16).contains(&byte);
            assert_eq!(Batch::split(torn.freeze()).is_ok(), free, "byte {byte}");
        }
    }
}
