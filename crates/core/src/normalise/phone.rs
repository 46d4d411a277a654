//! Telephone numbers, by the metadata of the `phonenumber` crate.
//!
//! The crate keeps its patterns in one cache of a hundred behind a lock, and a stream with numbers of twenty countries
//! compiles patterns without end: 2.6 ms a number were measured. So the patterns are taken from its metadata and each
//! country's are compiled once; the crate's own parser reads only numbers written without a country code.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use phonenumber::country;
use phonenumber::metadata::{DATABASE, Descriptor, Metadata};
use regex::Regex;

use super::text::{is_grouping, is_zero_width, text};

/// The most digits that are looked at: 15 of E.164, an international prefix and a trunk zero.
const MOST_DIGITS: usize = 22;

/// A country or territory with a numbering plan of its own, by its ISO 3166 code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Region(country::Id);

impl Region {
    /// Japan, the region where none is named.
    pub const JAPAN: Self = Self(country::Id::JP);
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(code: &str) -> Result<Self, UnknownRegion> {
        let id: country::Id = code.parse().map_err(|_| UnknownRegion)?;
        DATABASE.by_id(id.as_ref()).map(|_| Self(id)).ok_or(UnknownRegion)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

/// A code that names no region with telephone numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no region of that code has telephone numbers")]
pub struct UnknownRegion;

/// The number in E.164, or none where it is no number; the rule is at [`super::Normaliser::Phone`].
pub(super) fn phone(value: &str, region: Region) -> Option<Cow<'_, str>> {
    let dialled = dialled(value)?;
    if region == Region::JAPAN {
        if is_plain_japanese(&dialled) {
            return Some(dialled);
        }
        if let Some(number) = domestic_japanese(&dialled) {
            return Some(Cow::Owned(number));
        }
    }
    let number = the_long_way(&dialled, region)?;
    Some(if number == dialled { dialled } else { Cow::Owned(number) })
}

/// What was dialled, in E.164, by the patterns of the metadata.
pub(super) fn the_long_way(dialled: &str, region: Region) -> Option<String> {
    match dialled.strip_prefix('+') {
        Some(digits) => international(digits, region),
        None => domestic(dialled, region),
    }
}

/// What one would dial: digits with at most a plus before them. None where anything else is in the value.
fn dialled(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim();
    let is_plain = |value: &str| value.strip_prefix('+').unwrap_or(value).bytes().all(|byte| byte.is_ascii_digit());
    if is_plain(value) {
        return (2..=MOST_DIGITS).contains(&value.len()).then_some(Cow::Borrowed(value));
    }
    let normal = text(value);
    let number = normal.strip_prefix("tel:").unwrap_or(&normal);
    let groups = |c: &char| !(is_grouping(*c) || is_zero_width(*c) || matches!(c, '(' | ')' | '.' | '/'));
    let kept: String = number.chars().filter(groups).take(MOST_DIGITS + 1).collect();
    (is_plain(&kept) && (2..=MOST_DIGITS).contains(&kept.len())).then_some(Cow::Owned(kept))
}

/// Whether this is a Japanese number in E.164 that the rule keeps, decided without patterns: the plan has nine digits
/// that do not start with zero, or ten that start with 2 or 5 to 9. A test holds it against the long way.
fn is_plain_japanese(dialled: &str) -> bool {
    dialled.strip_prefix("+81").is_some_and(is_japanese_national)
}

/// A number dialled inside Japan, with its trunk zero, in E.164; none where the long way has to look.
fn domestic_japanese(dialled: &str) -> Option<String> {
    let national = dialled.strip_prefix('0')?;
    // 010 is the prefix of calls abroad.
    (!national.starts_with("10") && is_japanese_national(national)).then(|| format!("+81{national}"))
}

fn is_japanese_national(national: &str) -> bool {
    let fits = match (national.len(), national.as_bytes().first()) {
        (9, Some(b'1'..=b'9')) | (10, Some(b'2' | b'5'..=b'9')) => true,
        (_, _) => false,
    };
    fits && !is_filler(national) && national.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the last six digits are all zero.
fn is_filler(national: &str) -> bool {
    national.ends_with("000000")
}

/// A number dialled from inside the region, in E.164.
fn domestic(digits: &str, region: Region) -> Option<String> {
    let number = phonenumber::parse(Some(region.0), digits).ok()?;
    let read = format!("{}{}", number.code().value(), number.national());
    international(&read, region).filter(|settled| settled[1..] == read)
}

/// A number with its country code, in E.164: as it stands where that is kept, else without the trunk prefix that
/// people leave in (`+81(0)90…`).
fn international(digits: &str, region: Region) -> Option<String> {
    let (plan, national) = Plan::of(digits)?;
    let trunkless = plan.trunk.as_deref().and_then(|trunk| national.strip_prefix(trunk));
    let kept = [Some(national), trunkless].into_iter().flatten().find(|national| plan.keeps(national, region))?;
    Some(format!("+{}{kept}", plan.code))
}

/// The numbering plan behind one country code.
struct Plan {
    code: u16,
    trunk: Option<String>,
    regions: Vec<Numbers>,
}

/// The numbers of one of the regions that share a country code.
struct Numbers {
    id: String,
    leading: Option<Regex>,
    possible: Regex,
    valid: Regex,
}

impl Plan {
    /// The plan of the country code at the start of these digits, and the national number after it.
    fn of(digits: &str) -> Option<(&'static Self, &str)> {
        static PLANS: [OnceLock<Option<Plan>>; 1000] = [const { OnceLock::new() }; 1000];
        (1..=3.min(digits.len())).find_map(|length| {
            let (code, national) = digits.split_at_checked(length)?;
            let code: u16 = code.parse().ok().filter(|_| !code.starts_with('0'))?;
            let plan = PLANS[usize::from(code)].get_or_init(|| Self::read(code)).as_ref()?;
            Some((plan, national))
        })
    }

    fn read(code: u16) -> Option<Self> {
        let regions = DATABASE.by_code(&code)?;
        let trunk = regions.first().and_then(|region| region.national_prefix()).map(str::to_owned);
        Some(Self { code, trunk, regions: regions.into_iter().filter_map(Numbers::read).collect() })
    }

    /// Whether the rule of [`super::Normaliser::Phone`] keeps this national number.
    fn keeps(&self, national: &str, home: Region) -> bool {
        let possible = |region: &Numbers| region.id == home.0.as_ref() && region.possible.is_match(national);
        self.is_valid(national) || (!is_filler(national) && self.regions.iter().any(possible))
    }

    /// Whether the metadata knows the number: by the region whose leading digits it has, else by the first that has
    /// such numbers.
    fn is_valid(&self, national: &str) -> bool {
        for region in &self.regions {
            match &region.leading {
                Some(leading) if leading.is_match(national) => return region.valid.is_match(national),
                Some(_) => {}
                None if region.valid.is_match(national) => return true,
                None => {}
            }
        }
        false
    }
}

impl Numbers {
    fn read(metadata: &Metadata) -> Option<Self> {
        let all = metadata.descriptors();
        let kinds = [
            all.fixed_line(),
            all.mobile(),
            all.toll_free(),
            all.premium_rate(),
            all.shared_cost(),
            all.personal_number(),
            all.voip(),
            all.pager(),
            all.uan(),
            all.voicemail(),
        ];
        let kinds: Vec<String> = kinds.into_iter().flatten().map(pattern).collect();
        let leading = metadata.leading_digits().map(|leading| Regex::new(&format!("(?x)^(?:{})", leading.as_str())));
        Some(Self {
            id: metadata.id().to_owned(),
            leading: leading.transpose().ok()?,
            possible: whole(&pattern(all.general()))?,
            valid: whole(&kinds.join("|"))?,
        })
    }
}

fn pattern(descriptor: &Descriptor) -> String {
    format!("(?:{})", descriptor.national_number().as_str())
}

/// The pattern over the whole of a national number. Blanks in the metadata's patterns are layout.
fn whole(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("(?x)^(?:{pattern})$")).ok()
}
