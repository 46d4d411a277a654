//! Exact decimal numbers, each in one canonical form, so that equal numbers are equal values and sums never round.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::sync::Arc;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive};

/// The most significant digits that a number may be written with. Money needs 20; a hash written as a number has 78.
pub const MAX_DIGITS: usize = 40;

/// The greatest power of ten, up or down, that the digits of a number may be multiplied by.
pub const MAX_EXPONENT: i64 = 40;

/// The most decimal places of the small form: 10^18 is the greatest power of ten in 64 bits.
const MAX_SMALL_SCALE: u8 = 18;

/// The most bytes of a large mantissa. 2^64 numbers of 80 places and 40 decimal places add up to less (59 bytes).
const MAX_LARGE_BYTES: usize = 64;

/// The greatest scale, up or down, of a large number, by the same reckoning.
const MAX_LARGE_SCALE: i64 = 128;

/// An exact decimal number in one canonical form: `1.50`, `1.5` and `15e-1` are one value, and so are `0` and `-0`.
///
/// Ordered by value. 16 bytes; numbers of up to 18 digits neither allocate nor touch a reference count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal(Form);

/// A number is `Small` wherever it can be, with the fewest decimal places that hold it; so one number has one form.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// `mantissa / 10^scale`, the mantissa not a multiple of ten unless the scale is 0.
    Small { mantissa: i64, scale: u8 },
    /// Anything else, without trailing zeros.
    Large(Arc<BigDecimal>),
}

/// Why a text is not a number that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// Not digits with at most one point, a sign and an exponent: `NaN`, `inf` and the empty text are here too.
    #[error("not a decimal number")]
    NotANumber,
    /// More than [`MAX_DIGITS`] significant digits.
    #[error("more than {MAX_DIGITS} significant digits")]
    TooManyDigits,
    /// A power of ten beyond [`MAX_EXPONENT`] either way.
    #[error("an exponent beyond {MAX_EXPONENT}")]
    ExponentOutOfRange,
    /// Parts that no number taken, and no sum of such numbers, has.
    #[error("not the parts of a number")]
    InvalidParts,
}

/// A number taken apart for a codec. Every number has exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// `mantissa / 10^scale`.
    Small {
        /// The digits with their sign.
        mantissa: i64,
        /// Decimal places, at most 18.
        scale: u8,
    },
    /// `mantissa / 10^scale`.
    Large {
        /// The digits as a big-endian two's complement number.
        mantissa: Vec<u8>,
        /// Decimal places; negative for trailing zeros of a whole number.
        scale: i64,
    },
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(Form::Small { mantissa: 0, scale: 0 });

    /// `mantissa / 10^scale`, such as 1.50 for `(150, 2)`. None where `scale` is more than 18.
    pub const fn new(mantissa: i64, scale: u8) -> Option<Self> {
        if scale > MAX_SMALL_SCALE { None } else { Some(Self::small(mantissa, scale)) }
    }

    /// The number taken apart, losslessly; unlike the text, it may hold a sum that is longer than an input may be.
    pub fn to_parts(&self) -> Parts {
        match &self.0 {
            Form::Small { mantissa, scale } => Parts::Small { mantissa: *mantissa, scale: *scale },
            Form::Large(number) => {
                let (mantissa, scale) = number.as_bigint_and_scale();
                Parts::Large { mantissa: mantissa.to_signed_bytes_be(), scale }
            }
        }
    }

    /// The number that `parts` were taken from.
    ///
    /// # Errors
    /// [`InvalidDecimal::InvalidParts`] where no number of ours has them, which in stored state is corruption.
    pub fn from_parts(parts: &Parts) -> Result<Self, InvalidDecimal> {
        match parts {
            Parts::Small { mantissa, scale } => Self::new(*mantissa, *scale).ok_or(InvalidDecimal::InvalidParts),
            Parts::Large { mantissa, scale } => {
                if mantissa.len() > MAX_LARGE_BYTES || scale.abs() > MAX_LARGE_SCALE {
                    return Err(InvalidDecimal::InvalidParts);
                }
                Ok(Self::large(BigDecimal::new(BigInt::from_signed_bytes_be(mantissa), *scale)))
            }
        }
    }

    const fn small(mut mantissa: i64, mut scale: u8) -> Self {
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Self(Form::Small { mantissa, scale })
    }

    fn large(number: BigDecimal) -> Self {
        let number = number.normalized();
        match small_parts(&number) {
            Some((mantissa, scale)) => Self::small(mantissa, scale),
            None => Self(Form::Large(Arc::new(number))),
        }
    }

    fn to_large(&self) -> BigDecimal {
        match &self.0 {
            Form::Small { mantissa, scale } => BigDecimal::new(BigInt::from(*mantissa), i64::from(*scale)),
            Form::Large(number) => number.as_ref().clone(),
        }
    }
}

/// Mantissa and scale of a number without trailing zeros, where they fit the small form.
fn small_parts(number: &BigDecimal) -> Option<(i64, u8)> {
    let (mantissa, scale) = number.as_bigint_and_scale();
    let mantissa = mantissa.to_i64()?;
    if scale < 0 {
        let zeros = u32::try_from(scale.unsigned_abs()).ok()?;
        return Some((mantissa.checked_mul(10i64.checked_pow(zeros)?)?, 0));
    }
    let scale = u8::try_from(scale).ok().filter(|scale| *scale <= MAX_SMALL_SCALE)?;
    Some((mantissa, scale))
}

/// The power of ten with an exponent of at most 18.
const fn power_of_ten(exponent: u8) -> i64 {
    10i64.pow(exponent as u32)
}

/// The sum of two small numbers, where it is small without a detour.
fn small_sum(left: (i64, u8), right: (i64, u8)) -> Option<Decimal> {
    let (coarse, fine) = if left.1 <= right.1 { (left, right) } else { (right, left) };
    let scaled = coarse.0.checked_mul(power_of_ten(fine.1 - coarse.1))?;
    Some(Decimal::small(scaled.checked_add(fine.0)?, fine.1))
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self::small(number, 0)
    }
}

impl From<u64> for Decimal {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::large(BigDecimal::from(number)), Self::from)
    }
}

impl Add<&Decimal> for &Decimal {
    type Output = Decimal;

    fn add(self, other: &Decimal) -> Decimal {
        if let (Form::Small { mantissa: a, scale: s }, Form::Small { mantissa: b, scale: t }) = (&self.0, &other.0)
            && let Some(sum) = small_sum((*a, *s), (*b, *t))
        {
            return sum;
        }
        Decimal::large(self.to_large() + other.to_large())
    }
}

impl Add for Decimal {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        &self + &other
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Form::Small { mantissa: a, scale: s }, Form::Small { mantissa: b, scale: t }) => {
                // Below 2^63 × 10^18, which 128 bits hold.
                let widen = |mantissa: &i64, scale: &u8| i128::from(*mantissa) * i128::from(power_of_ten(*scale));
                if s == t { a.cmp(b) } else { widen(a, t).cmp(&widen(b, s)) }
            }
            (Form::Large(_), _) | (_, Form::Large(_)) => self.to_large().cmp(&other.to_large()),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// Plain notation: `-0.5`, `12800`, never `1.28e4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Small { mantissa, scale: 0 } => write!(f, "{mantissa}"),
            Form::Small { mantissa, scale } => {
                let unit = power_of_ten(*scale).unsigned_abs();
                let (sign, digits) = (if *mantissa < 0 { "-" } else { "" }, mantissa.unsigned_abs());
                write!(f, "{sign}{}.{:0places$}", digits / unit, digits % unit, places = usize::from(*scale))
            }
            Form::Large(number) => f.write_str(&number.to_plain_string()),
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Decimal {
    type Err = InvalidDecimal;

    /// A number as JSON writes it; a leading `+` and a missing digit on one side of the point are taken too. The
    /// bounds hold for the number without its leading and trailing zeros, so the work is linear in the text.
    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, read_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if number.len() == number.matches('.').count() || !digits().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidDecimal::NotANumber);
        }
        let negative = text.starts_with('-');
        if exponent == 0 && whole.len() + fraction.len() <= usize::from(MAX_SMALL_SCALE) {
            let magnitude = digits().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
            let scale = u8::try_from(fraction.len()).expect("18 digits at most");
            return Ok(Self::small(if negative { -magnitude } else { magnitude }, scale));
        }
        read_long(negative, whole, fraction, exponent)
    }
}

/// A number with an exponent or of many digits, its digits already checked.
fn read_long(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Result<Decimal, InvalidDecimal> {
    let written = [whole, fraction].concat();
    let digits = written.trim_end_matches('0');
    let zeros = i64::try_from(written.len() - digits.len()).unwrap_or(i64::MAX);
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Decimal::ZERO);
    }
    if digits.len() > MAX_DIGITS {
        return Err(InvalidDecimal::TooManyDigits);
    }
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let exponent = exponent.saturating_add(zeros).saturating_sub(places);
    if exponent.abs() > MAX_EXPONENT {
        return Err(InvalidDecimal::ExponentOutOfRange);
    }
    let magnitude = BigInt::from_str(digits).map_err(|_| InvalidDecimal::NotANumber)?;
    Ok(Decimal::large(BigDecimal::new(if negative { -magnitude } else { magnitude }, -exponent)))
}

/// The exponent of a number, held within ±2^61 so that it can be added to without overflow.
fn read_exponent(text: &str) -> Result<i64, InvalidDecimal> {
    const FAR: i64 = 1 << 61;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidDecimal::NotANumber);
    }
    let magnitude = digits.parse().unwrap_or(FAR).min(FAR);
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

#[cfg(test)]
#[path = "decimal/tests.rs"]
mod tests;
