//! What goes wrong with what people and systems type: values that stand for nobody, wrong letters, broken lines.

use crate::dice::Dice;
use crate::draft::Draft;
use crate::json;
use crate::people::Facet;

/// Mail addresses that staff and customers type to get past a mandatory field.
const EMAILS: [&str; 7] = [
    "test@example.com",
    "noreply@example.com",
    "aaa@aaa.aaa",
    "null",
    "shop@musubi-store.example",
    "guest",
    "none@none",
];
/// Telephone numbers of nobody; the last two are the shop's own, typed by its staff.
const PHONES: [&str; 7] =
    ["0000000000", "000-0000-0000", "090-0000-0000", "1234567890", "null", "03-3571-0001", "0120-000-111"];
/// What stands in for a withheld caller id.
const WITHHELD: [&str; 5] = ["anonymous", "非通知", "公衆電話", "+266696687", "表示圏外"];
/// What stands in for an id that was never set.
const IDS: [&str; 8] =
    ["null", "guest", "undefined", "0", "-1", "[object Object]", "00000000-0000-0000-0000-000000000000", " "];
/// Namespaces that no policy names.
const UNKNOWN: [&str; 3] = ["fax_number", "legacy_member_no", "beacon_major"];
/// Few enough that each hub meets thousands.
const HUBS: u64 = 4;

/// A value of this kind that stands for nobody.
pub(crate) fn value(facet: Facet, dice: &mut Dice) -> &'static str {
    match facet {
        Facet::Email => dice.pick(&EMAILS),
        Facet::Phone => dice.pick(&PHONES),
        _ => dice.pick(&IDS),
    }
}

/// What a call shows when the caller withholds the number.
pub(crate) fn withheld(dice: &mut Dice) -> &'static str {
    dice.pick(&WITHHELD)
}

/// Changes one letter of the mailbox that `out` ends in, from `start` on, into its neighbour in the alphabet.
pub(crate) fn mistype(out: &mut [u8], dice: &mut Dice) {
    let mailbox = out.iter().position(|&byte| byte == b'@').unwrap_or(out.len());
    let at = dice.index(mailbox);
    if let Some(letter) = out.get_mut(at).filter(|letter| letter.is_ascii_lowercase()) {
        *letter = if *letter == b'z' { b'y' } else { *letter + 1 };
    }
}

/// Adds an identifier in a namespace that no policy names.
pub(crate) fn add_unknown(draft: &mut Draft, dice: &mut Dice) {
    let namespace = dice.pick(&UNKNOWN);
    let value = dice.below(10_000);
    draft.identify(namespace, |out| json::number(out, value));
}

/// Adds one of the few cookies that everybody seems to have.
pub(crate) fn add_hub(draft: &mut Draft, dice: &mut Dice) {
    let hub = dice.below(HUBS);
    draft.identify("cookie", |out| {
        out.extend_from_slice(b"mb1.hub");
        json::number(out, hub);
    });
}

/// Adds more identifiers than any touchpoint honestly has.
pub(crate) fn overfill(draft: &mut Draft, dice: &mut Dice) {
    for _ in 0..33 + dice.below(8) {
        let value = dice.below(u64::MAX);
        draft.identify("cookie", |out| json::hexadecimal(out, value, 16));
    }
}

/// Breaks a good line, in one of the ways in which lines arrive broken. The result never holds a line's end.
pub(crate) fn break_line(line: &mut Vec<u8>, dice: &mut Dice) {
    match dice.below(8) {
        0 => line.truncate(1 + dice.index(line.len() - 1)),
        1 => replace(line, br#""identifiers":["#, br#""identifiers":"none","was":["#),
        2 => replace(line, br#""properties":{"#, br#""properties":{"score":NaN,"#),
        3 => replace(line, br#""channel":""#, b"\"channel\":\"\xff\xfe\xc3"),
        4 => replace(line, br#""occurred_at":"2026"#, br#""occurred_at":"0000"#),
        5 => replace(line, br#""occurred_at":"2026"#, br#""occurred_at":"9999"#),
        6 => replace(line, br#""event_id":""#, br#""event_id":17,"event":""#),
        _ => {
            line.clear();
            line.extend_from_slice(
                dice.pick(&["null", "[]", "{}", "42", "source,event_id,channel", "{\"source\":\"\"}"]).as_bytes(),
            );
        }
    }
}

/// Puts `new` in the place of the first `old`; a line without it loses its last byte, so that it is broken either way.
fn replace(line: &mut Vec<u8>, old: &[u8], new: &[u8]) {
    match line.windows(old.len()).position(|window| window == old) {
        Some(at) => drop(line.splice(at..at + old.len(), new.iter().copied())),
        None => drop(line.pop()),
    }
}
