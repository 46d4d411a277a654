//! Who exists: persons in households (or contacts in companies), what each of them owns, and how it is spelled.
//!
//! Nothing about a person is stored: every fact is computed from the seed and the person's number, so that ten million
//! persons cost no more memory than where their households begin.

use crate::dice::{Dice, fact, holds};
use crate::json;
use crate::names::{COMPANIES, FAMILIES, GIVEN, Name, PREFECTURES};
use crate::shapes::{Rates, Shape};

/// One kind of identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facet {
    User,
    Card,
    Line,
    Contact,
    Email,
    Phone,
    Device,
    Cookie,
}

impl Facet {
    /// The namespace as it stands on a touchpoint.
    pub(crate) const fn namespace(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Card => "loyalty_card",
            Self::Line => "line_user_id",
            Self::Contact => "crm_id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Device => "device_id",
            Self::Cookie => "cookie",
        }
    }

    /// Its bit in a set of facets.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What is asked about a person or a household: each number is a different question to `fact`.
mod question {
    pub(super) const STRANGER: u64 = 1;
    pub(super) const ACCOUNT: u64 = 2;
    pub(super) const CARD: u64 = 3;
    pub(super) const LINE: u64 = 4;
    pub(super) const CONTACT: u64 = 5;
    pub(super) const APP: u64 = 6;
    pub(super) const EMAIL: u64 = 7;
    pub(super) const PHONE: u64 = 8;
    pub(super) const TABLET: u64 = 9;
    pub(super) const FAMILY_PHONE: u64 = 10;
    pub(super) const FAMILY_MAIL: u64 = 11;
    pub(super) const SHARED_ACCOUNT: u64 = 12;
    pub(super) const NAME: u64 = 13;
    pub(super) const FAMILY_NAME: u64 = 14;
    pub(super) const SIZE: u64 = 15;
    pub(super) const LINE_ID: u64 = 16;
    pub(super) const LINE_ID_REST: u64 = 17;
    pub(super) const COOKIE: u64 = 1_000;
    pub(super) const DEVICE: u64 = 100_000;
    pub(super) const DEVICE_REST: u64 = 200_000;
}

/// Of persons: give a mail address somewhere. Nearly everybody; the rest are known by card or telephone.
const HAS_EMAIL: f64 = 0.88;
/// Of persons: give a telephone number somewhere.
const HAS_PHONE: f64 = 0.8;
/// One person in this many gets a telephone number that used to be somebody else's: carriers hand a number out again
/// after half a year or so.
const RECYCLED_EVERY: u64 = 2_048;
/// Where in each such run of persons the new owner stands; odd, so that the old owner's place is whole.
const RECYCLED_AT: u64 = 7;

/// People who share a roof, or contacts who share an employer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Household {
    /// The number of its first member, which is also its name.
    pub(crate) first: u64,
    /// How many members it has.
    pub(crate) size: u64,
    /// Whether there is a tablet on which all of them sign in.
    pub(crate) tablet: bool,
    /// Whether all give one telephone number.
    pub(crate) phone: bool,
    /// Whether all give one mail address.
    pub(crate) mail: bool,
}

/// A real person and what she owns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// The person's number: the truth.
    pub(crate) number: u64,
    /// Where she lives or works.
    pub(crate) household: Household,
    /// Whose account she signs in with: her own, nearly always.
    pub(crate) account_of: u64,
    /// The facet that everything else of hers is tied to; none for a stranger.
    pub(crate) primary: Option<Facet>,
    owned: u8,
}

impl Person {
    /// Whether she has an identifier of this kind.
    pub(crate) const fn owns(&self, facet: Facet) -> bool {
        self.owned & facet.bit() != 0
    }

    /// How a shop reaches her: by mail where it can.
    pub(crate) const fn reached_by(&self) -> Facet {
        if self.owns(Facet::Email) { Facet::Email } else { Facet::Phone }
    }
}

/// What changes about a person while the stream runs. A few bytes, because there is one for everybody.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    /// How many cookies were thrown away.
    pub(crate) cookie: u16,
    /// How often the app was installed anew.
    pub(crate) device: u8,
    /// The facets that a touchpoint has tied to the primary one.
    pub(crate) tied: u8,
}

/// Everybody.
#[derive(Clone, Debug)]
pub(crate) struct Population {
    seed: u64,
    shape: Shape,
    rates: &'static Rates,
    persons: u64,
    /// For each person, how far back in her household the first member stands.
    places: Vec<u8>,
}

impl Population {
    /// `persons` persons, living together as the shape says.
    pub(crate) fn new(seed: u64, persons: u64, shape: Shape, rates: &'static Rates) -> Self {
        let mut places = Vec::with_capacity(usize::try_from(persons).unwrap_or(0));
        let mut first = 0;
        while first < persons {
            let size = household_size(shape, fact(seed, first, question::SIZE)).min(persons - first);
            places.extend(0..u8::try_from(size).expect("a household has at most ten members"));
            first += size;
        }
        Self { seed, shape, rates, persons, places }
    }

    /// The person with this number.
    pub(crate) fn person(&self, number: u64) -> Person {
        let household = self.household(number);
        let asked = |question, rate| holds(self.seed, number, question, rate);
        let sharing = household.tablet || household.phone || household.mail;
        let mut owned = Facet::Cookie.bit();
        if !sharing && !self.changes_phone(number) && asked(question::STRANGER, self.rates.strangers) {
            return Person { number, household, account_of: number, primary: None, owned };
        }
        let mut own = |facet: Facet, has: bool| owned |= if has { facet.bit() } else { 0 };
        // Whoever shares a thing has an account, or nothing could tell the sharers apart.
        let account = sharing || self.changes_phone(number) || asked(question::ACCOUNT, self.rates.accounts);
        let card = asked(question::CARD, self.rates.cards);
        let contact = asked(question::CONTACT, self.rates.contacts);
        own(Facet::User, account);
        own(Facet::Card, card);
        own(Facet::Contact, contact);
        own(Facet::Line, asked(question::LINE, self.rates.line));
        own(Facet::Device, account && asked(question::APP, self.rates.apps));
        own(Facet::Email, household.mail || asked(question::EMAIL, HAS_EMAIL));
        own(Facet::Phone, household.phone || self.changes_phone(number) || asked(question::PHONE, HAS_PHONE));
        if owned & (Facet::Email.bit() | Facet::Phone.bit()) == 0 {
            owned |= Facet::Email.bit();
        }
        let mut person = Person { number, household, account_of: number, primary: None, owned };
        person.primary = Some(match (account, card, contact) {
            (true, _, _) => Facet::User,
            (_, true, _) => Facet::Card,
            (_, _, true) => Facet::Contact,
            _ => person.reached_by(),
        });
        person.account_of = self.account_of(&person);
        person
    }

    fn household(&self, number: u64) -> Household {
        let place = |number: u64| usize::try_from(number).ok().and_then(|index| self.places.get(index)).copied();
        let first = number - u64::from(place(number).unwrap_or(0));
        let size = 1
            + (1..).take_while(|&next| place(first + next).is_some_and(|place| u64::from(place) == next)).count()
                as u64;
        let shares = |question, rate| size > 1 && holds(self.seed, first, question, rate);
        Household {
            first,
            size,
            tablet: shares(question::TABLET, self.rates.tablets),
            phone: shares(question::FAMILY_PHONE, self.rates.family_phones),
            mail: shares(question::FAMILY_MAIL, self.rates.family_mail),
        }
    }

    /// The second member of a few households signs in as the first.
    fn account_of(&self, person: &Person) -> u64 {
        let first = person.household.first;
        let shared = person.number == first + 1
            && person.primary == Some(Facet::User)
            && holds(self.seed, first, question::SHARED_ACCOUNT, self.rates.shared_accounts);
        if shared { first } else { person.number }
    }

    /// Whether a telephone number of hers was, or will be, somebody else's.
    fn changes_phone(&self, number: u64) -> bool {
        number % RECYCLED_EVERY == RECYCLED_AT || self.loses_phone_to(number) < self.persons
    }

    /// The person who will get her number once it is given up; nobody where that is not below the population.
    fn loses_phone_to(&self, number: u64) -> u64 {
        let heir = number * 2 + 1;
        if heir % RECYCLED_EVERY == RECYCLED_AT && heir != number { heir } else { u64::MAX }
    }

    /// The household's name in a touchpoint's context.
    pub(crate) fn write_household(&self, person: &Person, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.shape == Shape::B2b { b"acct-" } else { b"hh-" });
        json::number(out, person.household.first);
    }

    /// Her family name and given name.
    pub(crate) fn name(&self, person: &Person) -> (Name, Name) {
        let of_family = if self.shape == Shape::B2b { person.number } else { person.household.first };
        (
            FAMILIES[pick(fact(self.seed, of_family, question::FAMILY_NAME), FAMILIES.len())],
            GIVEN[pick(fact(self.seed, person.number, question::NAME), GIVEN.len())],
        )
    }

    /// Where she lives.
    pub(crate) fn prefecture(&self, person: &Person) -> &'static str {
        PREFECTURES[pick(fact(self.seed, person.household.first, question::SIZE), PREFECTURES.len())]
    }

    /// The company of a contact: as it is written and in Latin letters.
    pub(crate) fn company(&self, person: &Person) -> (&'static str, &'static str) {
        COMPANIES[pick(fact(self.seed, person.household.first, question::NAME), COMPANIES.len())]
    }

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

/// One of `count` places, by a fixed fact.
fn pick(fact: u64, count: usize) -> usize {
    usize::try_from(fact % count as u64).expect("smaller than a usize")
}

/// The size of a household, by a fixed fact.
fn household_size(shape: Shape, fact: u64) -> u64 {
    let mut left = fact % 100;
    for (size, &share) in (1..).zip(shape.household_sizes()) {
        if left < share {
            return size;
        }
        left -= share;
    }
    1
}

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
    fn a_household_looks_the_same_from_each_of_its_members() {
        let population = population(1_000);
        for number in 0..1_000 {
            let household = population.household(number);
            assert!(household.first <= number && number < household.first + household.size);
            assert!((1..=5).contains(&household.size));
            for member in household.first..household.first + household.size {
                assert_eq!(population.household(member).first, household.first);
            }
        }
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
    fn whoever_shares_something_can_still_be_told_apart() {
        let population = population(20_000);
        for number in 0..20_000 {
            let person = population.person(number);
            if person.household.tablet || person.household.phone || person.household.mail {
                assert_eq!(person.primary, Some(Facet::User));
            }
        }
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
