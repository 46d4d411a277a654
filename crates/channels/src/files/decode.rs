//! Bytes of a file to UTF-8 as they are read, with the encoding found out where nobody said it, and a bound on how much
//! is read for one row.

use std::io::{self, Read};

use encoding_rs::{Decoder, EUC_JP, SHIFT_JIS, UTF_8};

use super::Encoding;

/// Bytes that are read at once.
const AT_ONCE: usize = 16 * 1_024;

/// Reads UTF-8 from a file of another encoding. What is no character of it becomes U+FFFD.
pub(super) struct Decoding<R> {
    file: R,
    encoding: Encoding,
    /// None until a byte that is no ASCII has come: until then all encodings say the same.
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    ready: Vec<u8>,
    given: usize,
    ended: bool,
    /// Bytes given since the last row; the reader of rows resets it.
    pub(super) since_row: usize,
    most: usize,
}

impl<R: Read> Decoding<R> {
    pub(super) fn new(file: R, encoding: Encoding, most: usize) -> Self {
        let (raw, ready) = (Vec::with_capacity(AT_ONCE), Vec::with_capacity(2 * AT_ONCE));
        Self { file, encoding, decoder: None, raw, ready, given: 0, ended: false, since_row: 0, most }
    }

    /// Reads and decodes until there is something to give, or the file ends.
    fn fill(&mut self) -> io::Result<()> {
        while self.given == self.ready.len() && !self.ended {
            let before = self.raw.len();
            self.raw.resize(before + AT_ONCE, 0);
            let count = self.file.read(&mut self.raw[before..]);
            self.raw.truncate(before + *count.as_ref().unwrap_or(&0));
            self.ended = match count {
                Ok(count) => count == 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.ready.clear();
            self.given = 0;
            self.decode();
        }
        Ok(())
    }

    fn decode(&mut self) {
        if self.decoder.is_none() && !self.raw.is_ascii() {
            // Enough behind the first of them to tell, unless there is no more.
            const ENOUGH: usize = 512;
            let first = self.raw.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
            if !self.ended && self.raw.len() - first < ENOUGH {
                return;
            }
            self.decoder = Some(decoder(self.encoding, &self.raw[first..], self.ended));
        }
        let Some(decoder) = &mut self.decoder else {
            self.ready.append(&mut self.raw);
            return;
        };
        let room = decoder.max_utf8_buffer_length(self.raw.len()).unwrap_or(self.raw.len().saturating_mul(3) + 16);
        self.ready.resize(room, 0);
        let (_, _, written, _) = decoder.decode_to_utf8(&self.raw, &mut self.ready, self.ended);
        self.ready.truncate(written);
        self.raw.clear();
    }
}

/// The decoder for a file, by its settings or by its first bytes that are no ASCII.
fn decoder(encoding: Encoding, bytes: &[u8], whole: bool) -> Decoder {
    let is_utf8 = || match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // A character that is cut off by the end of what was read is none that is wrong.
        Err(error) => error.error_len().is_none() && !whole,
    };
    match encoding {
        Encoding::Utf8 => UTF_8.new_decoder(),
        Encoding::Cp932 => SHIFT_JIS.new_decoder_with_bom_removal(),
        Encoding::EucJp => EUC_JP.new_decoder_with_bom_removal(),
        // Marks of UTF-16 are known as well: it is what Excel calls "Unicode text".
        Encoding::Auto if is_utf8() => UTF_8.new_decoder(),
        Encoding::Auto => SHIFT_JIS.new_decoder(),
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let rest = &self.ready[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        self.since_row += count;
        if self.since_row > self.most {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "wanted the end of a row: a quote may not be closed",
            ));
        }
        Ok(count)
    }
}
