//! Files that systems leave in a directory: rows of CSV, whatever wrote them, and lines of NDJSON.

mod decode;
mod rows;

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

pub use rows::Rows;

/// How the CSV files of a source are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// The encoding.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands between two fields: one character of ASCII.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// The names of the columns, where the file has no row of headings.
    pub headings: Option<Vec<String>>,
    /// What columns need to be what they were before a spreadsheet had them.
    #[serde(default)]
    pub columns: BTreeMap<String, Column>,
}

impl Default for Csv {
    fn default() -> Self {
        Self { encoding: Encoding::Auto, delimiter: ',', headings: None, columns: BTreeMap::new() }
    }
}

const fn comma() -> char {
    ','
}

/// The encoding of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// By its mark of byte order; without one, UTF-8 where the first bytes that are no ASCII are that, else CP932.
    #[default]
    Auto,
    /// UTF-8, with or without a mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// What Windows calls Shift_JIS: JIS X 0208 with the extensions of NEC and IBM.
    Cp932,
    /// EUC-JP, from older servers.
    EucJp,
}

/// What a column needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Digits alone are filled up to this length with zeros on their left, which spreadsheets take away.
    pub pad: Option<usize>,
    /// It is a date, of any of the forms of Japanese offices; it becomes ISO 8601.
    #[serde(default)]
    pub date: bool,
}

/// A row of a file, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1; a row of headings is not counted.
    pub number: u64,
    /// The row: an object of texts by column.
    pub json: Vec<u8>,
    /// Why the row cannot be believed, as a reason in kebab-case and a word for people.
    pub fault: Option<(&'static str, String)>,
}

impl Line {
    /// A line of NDJSON.
    pub const fn ndjson(number: u64, json: Vec<u8>) -> Self {
        Self { number, json, fault: None }
    }
}

/// The SHA-256 of a file in hexadecimal digits, read through once.
///
/// # Errors
/// What the reader says.
pub fn digest(mut file: impl Read) -> io::Result<String> {
    const AT_ONCE: usize = 64 * 1_024;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; AT_ONCE]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(crate::spelling::hex(&hasher.finalize())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
