//! Numbers of cards: what only groups their digits removed, and their check digit, where the programme has one, checked.

use std::borrow::Cow;

use super::text;

/// The check digit that the cards of a programme carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckDigit {
    /// None that Musubi knows of.
    #[default]
    None,
    /// JAN (EAN): 8 or 13 digits, weights 1 and 3.
    Jan,
    /// Luhn: every second digit doubled.
    Luhn,
}

impl CheckDigit {
    /// Whether a number, its groups joined, has the right check digit. Zeros alone pass every check, so a list of blocked
    /// values has to hold them.
    pub fn holds(self, number: &str) -> bool {
        match self {
            Self::None => true,
            Self::Jan => matches!(number.len(), 8 | 13) && sum(number, tripled) == Some(0),
            Self::Luhn => number.len() > 1 && sum(number, doubled) == Some(0),
        }
    }
}

/// The number in its one spelling, or none where it is none or its check digit is wrong.
pub(super) fn card(value: &str, check: CheckDigit) -> Option<Cow<'_, str>> {
    text::digits(value).filter(|number| check.holds(number))
}

fn tripled(place: usize, digit: u32) -> u32 {
    if place.is_multiple_of(2) { digit } else { digit * 3 }
}

fn doubled(place: usize, digit: u32) -> u32 {
    match digit * 2 {
        _ if place.is_multiple_of(2) => digit,
        twice if twice > 9 => twice - 9,
        twice => twice,
    }
}

/// The weighted sum of digits modulo 10, places counted from the right; none where anything else is among them.
fn sum(number: &str, weigh: impl Fn(usize, u32) -> u32) -> Option<u32> {
    const LONGEST: usize = 32;
    let digits = number.chars().rev().enumerate().map(|(place, c)| c.to_digit(10).map(|digit| weigh(place, digit)));
    if number.len() > LONGEST { None } else { digits.sum::<Option<u32>>().map(|sum| sum % 10) }
}
