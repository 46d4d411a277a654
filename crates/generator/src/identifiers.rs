//! Identifiers: what each of a person's looks like, and in how many ways it is written.

use crate::dice::{Dice, fact};
use crate::json;
use crate::people::{Facet, Household, Person, Population, RECYCLED_AT, RECYCLED_EVERY, State, pick, question};
use crate::shapes::Shape;

impl Population {
    /// Writes a person's identifier of this kind in its common spelling. `born` is how many persons there are so far,
    /// which decides whether a recycled telephone number has changed hands.
    pub(crate) fn write(&self, facet: Facet, person: &Person, state: State, born: u64, out: &mut Vec<u8>) {
        match facet {
            Facet::User => prefixed(out, b"u-", person.account_of, 7),
            Facet::Card => card(out, person.number),
            Facet::Line => {
                out.push(b'U');
                json::hexadecimal(out, fact(self.seed, person.number, question::LINE_ID), 16);
                json::hexadecimal(out, fact(self.seed, person.number, question::LINE_ID_REST), 16);
            }
            Facet::Contact => prefixed(out, b"C", person.number, 8),
            Facet::Email => self.write_email(person, out),
            Facet::Phone => out.extend_from_slice(&self.phone(person, born)),
            Facet::Device => self.write_device(person.number, u64::from(state.device), out),
            Facet::Cookie => self.write_cookie(person.number, u64::from(state.cookie), out),
        }
    }

    /// Writes the cookie of a household's tablet.
    pub(crate) fn write_tablet_cookie(&self, household: &Household, out: &mut Vec<u8>) {
        self.write_cookie(household.first, 90_000, out);
    }

    /// Writes the device id of a household's tablet.
    pub(crate) fn write_tablet_device(&self, household: &Household, out: &mut Vec<u8>) {
        self.write_device(household.first, 90_000, out);
    }

    fn write_cookie(&self, number: u64, generation: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"mb1.");
        json::hexadecimal(out, fact(self.seed, number, question::COOKIE + generation), 16);
    }

    fn write_device(&self, number: u64, generation: u64, out: &mut Vec<u8>) {
        let high = fact(self.seed, number, question::DEVICE + generation);
        let low = fact(self.seed, number, question::DEVICE_REST + generation);
        for (index, (word, digits)) in
            [(high >> 32, 8), (high >> 16, 4), (high, 4), (low >> 48, 4), (low, 12)].into_iter().enumerate()
        {
            if index > 0 {
                out.push(b'-');
            }
            json::hexadecimal(out, word, digits);
        }
    }

    fn write_email(&self, person: &Person, out: &mut Vec<u8>) {
        let (family, given) = self.name(person);
        if self.shape == Shape::B2b {
            let mailbox = if person.household.mail { "info" } else { given.2 };
            out.extend_from_slice(mailbox.as_bytes());
            if !person.household.mail {
                out.push(b'.');
                out.extend_from_slice(family.2.as_bytes());
                json::number(out, person.number - person.household.first);
            }
            out.push(b'@');
            out.extend_from_slice(self.company(person).1.as_bytes());
            json::number(out, person.household.first);
            out.extend_from_slice(b".example");
            return;
        }
        let (mailbox, number) =
            if person.household.mail { ("family", person.household.first) } else { (given.2, person.number) };
        out.extend_from_slice(mailbox.as_bytes());
        out.push(b'.');
        out.extend_from_slice(family.2.as_bytes());
        json::number(out, number);
        out.extend_from_slice(DOMAINS[pick(fact(self.seed, number, question::EMAIL), DOMAINS.len())].as_bytes());
    }

    /// A telephone number in its eleven or ten domestic digits. Mobile numbers are dealt without repetition.
    fn phone(&self, person: &Person, born: u64) -> Vec<u8> {
        let mut digits = Vec::with_capacity(11);
        let own = person.number;
        if person.household.phone {
            digits.extend_from_slice(b"03");
            json::padded(&mut digits, 30_000_000 + deal(person.household.first, 40_000_000), 8);
        } else if own % RECYCLED_EVERY == RECYCLED_AT && self.loses_phone_to((own - 1) / 2) == own {
            mobile(&mut digits, b"090", (own - 1) / 2);
        } else if self.loses_phone_to(own) < born {
            mobile(&mut digits, b"070", own);
        } else {
            mobile(&mut digits, if self.changes_phone(own) || !own.is_multiple_of(3) { b"090" } else { b"080" }, own);
        }
        digits
    }

    /// Writes a person's telephone number as people and systems spell it: one number, eight ways.
    pub(crate) fn write_phone_spelled(&self, person: &Person, born: u64, dice: &mut Dice, out: &mut Vec<u8>) {
        let digits = self.phone(person, born);
        let area = if digits.len() == 11 { 3 } else { 2 };
        let (area, rest) = digits.split_at(area);
        let (exchange, line) = rest.split_at(4);
        let mut joined = |parts: [&[u8]; 3], separator: &[u8]| {
            out.extend_from_slice(parts[0]);
            out.extend_from_slice(separator);
            out.extend_from_slice(parts[1]);
            out.extend_from_slice(separator);
            out.extend_from_slice(parts[2]);
        };
        match dice.below(10) {
            0..=2 => joined([area, exchange, line], b"-"),
            3 | 4 => joined([area, exchange, line], b""),
            5 => joined([&[b"+81-", &area[1..]].concat(), exchange, line], b"-"),
            6 => joined([&[b"+81", &area[1..]].concat(), exchange, line], b""),
            7 => joined([area, exchange, line], b" "),
            8 => joined([&wide(area), &wide(exchange), &wide(line)], "－".as_bytes()),
            _ => joined([area, exchange, line], "ー".as_bytes()),
        }
    }
}

/// Mail providers that do not exist: `.example` is reserved, so no mail of a demonstration ever reaches anybody.
const DOMAINS: [&str; 5] =
    ["@gomail.example", "@keitai.example", "@yamail.example", "@cloudmail.example", "@provider.ne.example"];

fn prefixed(out: &mut Vec<u8>, prefix: &[u8], number: u64, width: usize) {
    out.extend_from_slice(prefix);
    json::padded(out, number, width);
}

/// A thirteen-digit card number with the check digit of EAN-13, in the range kept for use inside a shop.
fn card(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    out.extend_from_slice(b"29");
    json::padded(out, deal(number, 10_000_000_000), 10);
    let sum: u64 = (0_u64..)
        .zip(&out[start..])
        .map(|(place, digit)| u64::from(digit - b'0') * if place % 2 == 0 { 1 } else { 3 })
        .sum();
    json::number(out, (10 - sum % 10) % 10);
}

fn mobile(out: &mut Vec<u8>, prefix: &[u8], number: u64) {
    out.extend_from_slice(prefix);
    json::padded(out, 10_000_000 + deal(number, 90_000_000), 8);
}

/// Scatters numbers over `space` without giving one twice: the factor is a prime that divides none of the spaces.
fn deal(number: u64, space: u64) -> u64 {
    let product = u128::from(number) * 982_451_653 % u128::from(space);
    u64::try_from(product).expect("smaller than the space")
}

/// ASCII digits in their full-width forms.
fn wide(digits: &[u8]) -> Vec<u8> {
    digits.iter().flat_map(|digit| [0xef, 0xbc, digit - b'0' + 0x90]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn population(persons: u64) -> Population {
        Population::new(7, persons, Shape::Retail, Shape::Retail.rates())
    }

    #[test]
    fn no_two_persons_own_one_card_or_one_mobile_number() {
        let population = population(30_000);
        let mut seen = HashSet::new();
        for number in 0..30_000 {
            let person = population.person(number);
            let mut value = Vec::new();
            population.write(Facet::Card, &person, State::default(), 0, &mut value);
            assert_eq!(value.len(), 13);
            assert!(seen.insert(value));
            let heir = number % RECYCLED_EVERY == RECYCLED_AT;
            if !person.household.phone && !heir {
                assert!(seen.insert(population.phone(&person, 0)), "{number}");
            }
        }
    }

    #[test]
    fn a_recycled_number_changes_hands_when_its_new_owner_appears() {
        let population = population(30_000);
        let heir = (1..).map(|n| n * RECYCLED_EVERY + RECYCLED_AT).find(|&heir| {
            let lives_alone = |number| !population.household(number).phone;
            lives_alone(heir) && lives_alone((heir - 1) / 2)
        });
        let heir = heir.expect("most households have no family telephone");
        let (old, new) = (population.person((heir - 1) / 2), population.person(heir));
        let before = population.phone(&old, heir);
        assert_eq!(population.phone(&new, heir + 1), before);
        assert_ne!(population.phone(&old, heir + 1), before);
    }

    #[test]
    fn a_telephone_number_spelled_in_any_way_has_the_same_digits() {
        let population = population(10);
        let person = population.person(3);
        let mut dice = Dice::new(1);
        let mut spellings = HashSet::new();
        for _ in 0..200 {
            let mut value = Vec::new();
            population.write_phone_spelled(&person, 0, &mut dice, &mut value);
            spellings.insert(String::from_utf8_lossy(&value).into_owned());
        }
        assert_eq!(spellings.len(), 7);
        let digits = |spelling: &String| -> String {
            let narrow = spelling.chars().filter_map(|c| match c {
                '０'..='９' => char::from_u32(c as u32 - '０' as u32 + '0' as u32),
                _ => c.is_ascii_digit().then_some(c),
            });
            let all: String = narrow.collect();
            all.strip_prefix("81").map_or(all.clone(), |national| format!("0{national}"))
        };
        let numbers: HashSet<String> = spellings.iter().map(digits).collect();
        assert_eq!(numbers.len(), 1, "{spellings:?}");
    }
}
