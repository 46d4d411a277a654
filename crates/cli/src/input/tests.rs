//! Inputs of every kind, read to the byte.

use std::io::Write as _;

use super::lines::Line;
use super::*;

/// A reader that gives a few bytes at a time, as pipes do.
struct Drip(Vec<u8>, usize);

impl Read for Drip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(into.len()).min(self.0.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0.drain(..count);
        Ok(count)
    }
}

fn all(mut lines: Lines) -> Vec<(u64, String, bool)> {
    let mut found = Vec::new();
    while let Some(Line { number, bytes, cut }) = lines.next().expect("lines") {
        found.push((number, String::from_utf8_lossy(bytes).into_owned(), cut));
    }
    found
}

fn cut_out(text: &str, drip: usize, buffer: usize, longest: usize) -> Vec<(u64, String, bool)> {
    all(Lines::with_sizes("test".into(), Box::new(Drip(text.into(), drip)), buffer, longest))
}

fn expected(lines: &[(u64, &str, bool)]) -> Vec<(u64, String, bool)> {
    lines.iter().map(|(number, text, cut)| (*number, (*text).to_owned(), *cut)).collect()
}

#[test]
fn lines_are_the_same_whatever_the_buffer_and_however_the_bytes_come() {
    let text = "\u{feff}{\"a\":1}\r\n\n\r\nlonger than any buffer here\nlast";
    let lines = expected(&[(1, "{\"a\":1}", false), (4, "longer than any buffer here", false), (5, "last", false)]);
    for drip in 1..40 {
        for buffer in 1..40 {
            assert_eq!(cut_out(text, drip, buffer, 1_000), lines, "{drip} bytes at a time into {buffer}");
        }
    }
}

#[test]
fn a_line_beyond_the_longest_is_cut_and_the_next_one_is_whole() {
    let text = "12345678\nabcdefghijklmnopqrstuvwxyz0123456789\nnext\nABCDEFGHI";
    let lines = expected(&[(1, "12345678", false), (2, "abcdefgh", true), (3, "next", false), (4, "ABCDEFGH", true)]);
    for drip in 1..50 {
        for buffer in 1..50 {
            assert_eq!(cut_out(text, drip, buffer, 8), lines, "{drip} bytes at a time into {buffer}");
        }
    }
}

#[test]
fn a_byte_order_mark_inside_a_file_is_content() {
    assert_eq!(cut_out("a\n\u{feff}b\n", 100, 100, 100), expected(&[(1, "a", false), (2, "\u{feff}b", false)]));
}

#[test]
fn nothing_but_line_ends_is_nothing() {
    for text in ["", "\n", "\r\n\r\n", "\u{feff}", "\u{feff}\n"] {
        assert_eq!(cut_out(text, 3, 2, 100), [], "{text:?}");
    }
}

#[test]
fn a_line_of_many_megabytes_comes_whole() {
    let long = "x".repeat(10 << 20);
    let lines = all(Lines::new("test".into(), Box::new(Cursor::new(format!("{long}\nshort\n")))));
    assert_eq!(
        lines.iter().map(|(number, text, cut)| (*number, text.len(), *cut)).collect::<Vec<_>>(),
        [(1, 10 << 20, false), (2, 5, false)]
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("gzip in memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("zstd in memory")
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

#[test]
fn compression_is_told_by_the_first_bytes_and_parts_put_together_are_read_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, pack) in [("plain", plain as fn(&[u8]) -> Vec<u8>), ("gzip", gzip), ("zstd", zstd)] {
        let path = folder.path().join(name);
        fs::write(&path, [pack(b"a\nb"), pack(b"c\nd\n")].concat())?;
        let mut inputs = Inputs::new(vec![path.clone(), path])?;
        let lines = inputs.next()?.map(all);
        assert_eq!(lines, Some(expected(&[(1, "a", false), (2, "bc", false), (3, "d", false)])), "{name}");
        assert_eq!(Some(inputs.meter().bytes() * 2), inputs.total_bytes(), "half of `{name}` given twice");
        assert!(inputs.next()?.is_some() && inputs.next()?.is_none());
    }
    Ok(())
}

#[test]
fn a_broken_file_says_its_name_and_the_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("broken");
    let packed = gzip(b"a\nb\n");
    fs::write(&path, &packed[..packed.len() - 4])?;
    let mut lines = Inputs::new(vec![path])?.next()?.context("one input")?;
    let error = std::iter::repeat_with(|| lines.next().map(drop)).find_map(Result::err).context("it is broken")?;
    assert!(error.to_string().contains("broken`, line "), "{error:#}");
    Ok(())
}

#[test]
fn what_cannot_be_read_is_known_before_anything_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let refused = |paths: &[&Path]| {
        let refused = Inputs::new(paths.iter().map(|path| path.to_path_buf()).collect());
        refused.err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    assert!(refused(&[&folder.path().join("nowhere")]).starts_with("cannot read `"));
    assert!(refused(&[folder.path()]).ends_with("wanted a file, found a folder"));
    assert!(refused(&[Path::new("-"), Path::new("-")]).contains("at most once"));
    assert_eq!(Inputs::new(vec!["-".into()])?.total_bytes(), None);
    Ok(())
}
