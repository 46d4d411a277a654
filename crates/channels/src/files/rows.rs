//! Rows of CSV as objects of texts, in bounded memory, with what spreadsheets did to them undone where that can be.

use std::io::{self, Read};

use csv::{ByteRecord, ReaderBuilder};
use unicode_normalization::UnicodeNormalization as _;

use super::decode::Decoding;
use super::{Column, Csv, Line};
use crate::json::write_text;
use crate::time;

/// The longest row, in bytes of UTF-8: what a line of canonical JSON may have.
const LONGEST_ROW: usize = musubi_schema::MAX_LINE;

/// The rows of a CSV file.
pub struct Rows<R> {
    reader: csv::Reader<Decoding<R>>,
    columns: Vec<(String, Column)>,
    record: ByteRecord,
    number: u64,
    ended: bool,
}

impl<R: Read> Rows<R> {
    /// The rows of a file. Its headings are read now.
    ///
    /// # Errors
    /// What the file says; [`io::ErrorKind::InvalidData`] where the delimiter is no ASCII, or there is no end of a row
    /// for a mebibyte.
    pub fn new(file: R, settings: &Csv) -> io::Result<Self> {
        let delimiter = u8::try_from(settings.delimiter)
            .ok()
            .filter(u8::is_ascii)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "wanted a delimiter of ASCII"))?;
        // What the reader of CSV reads ahead is not the row's.
        const AHEAD: usize = 64 * 1_024;
        let decoding = Decoding::new(file, settings.encoding, LONGEST_ROW + AHEAD);
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(decoding);
        let mut record = ByteRecord::new();
        let headings = match &settings.headings {
            Some(headings) => headings.clone(),
            None => {
                reader.read_byte_record(&mut record).map_err(io::Error::from)?;
                record.iter().map(|heading| String::from_utf8_lossy(heading).trim().to_owned()).collect()
            }
        };
        let headings = headings.into_iter().map(|heading| heading.trim_start_matches('\u{feff}').to_owned());
        let rule = |heading: &String| settings.columns.get(heading).copied().unwrap_or_default();
        let columns = headings.map(|heading| (heading.clone(), rule(&heading))).collect();
        Ok(Self { reader, columns, record, number: 0, ended: false })
    }

    /// The names of the columns.
    pub fn headings(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(heading, _)| heading.as_str())
    }

    fn line(&self) -> Line {
        let mut fault = None;
        let mut json = Vec::with_capacity(self.record.len() * 32);
        json.push(b'{');
        let mut first = true;
        for (place, field) in self.record.iter().enumerate() {
            let Some((heading, rule)) = self.columns.get(place) else {
                if !field.is_empty() {
                    let detail = format!("wanted {} columns, found {}", self.columns.len(), self.record.len());
                    fault.get_or_insert(("extra-columns", detail));
                }
                break;
            };
            if heading.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(field);
            let (value, wrong) = settle(text.trim(), *rule);
            if let Some((reason, wanted)) = wrong {
                fault.get_or_insert_with(|| (reason, format!("wanted {wanted} in `{heading}`, found `{text}`")));
            }
            if !std::mem::replace(&mut first, false) {
                json.push(b',');
            }
            write_text(heading, &mut json);
            json.push(b':');
            write_text(&value, &mut json);
        }
        json.push(b'}');
        Line { number: self.number, json, fault }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.reader.get_mut().since_row = 0;
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {
                self.number += 1;
                Some(Ok(self.line()))
            }
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error.into()))
            }
        }
    }
}

type Wrong = Option<(&'static str, &'static str)>;

/// A field as it was meant, and what cannot be undone.
fn settle(text: &str, rule: Column) -> (String, Wrong) {
    if text.contains('\u{fffd}') {
        return (text.to_owned(), Some(("invalid-encoding", "text in the file's encoding")));
    }
    let text = if is_wide_number(text) { text.nfkc().collect() } else { unquoted(text).to_owned() };
    if rule.date && !text.is_empty() {
        return match time::iso_date(&text) {
            Some(date) => (date, None),
            None => (text, Some(("invalid-date", "a date"))),
        };
    }
    match rule.pad {
        Some(length) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            (format!("{text:0>length$}"), None)
        }
        Some(_) if is_rounded(&text) => (text, Some(("lost-digits", "digits that no spreadsheet has rounded"))),
        Some(_) | None => (text, None),
    }
}

/// A number in full-width characters, with whatever signs.
fn is_wide_number(text: &str) -> bool {
    let wide = |c: char| matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{3000}');
    text.chars().any(|c| matches!(c, '０'..='９'))
        && text.chars().all(|c| wide(c) || c.is_ascii() || matches!(c, '−' | '‐' | 'ー' | '年' | '月' | '日'))
}

/// `="0901"` is how people keep a spreadsheet from taking zeros away.
fn unquoted(text: &str) -> &str {
    text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// `4.90123E+12`: the digits are gone.
fn is_rounded(text: &str) -> bool {
    let Some((digits, exponent)) = text.split_once(['E', 'e']) else { return false };
    let exponent = exponent.trim_start_matches('+');
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number(digits) && is_number(exponent)
}
