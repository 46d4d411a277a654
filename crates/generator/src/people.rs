//! Who exists: persons in households (or contacts in companies), and what each of them owns.
//!
//! Nothing about a person is stored: every fact is computed from the seed and the person's number, so that ten million
//! persons cost no more memory than where their households begin.

use crate::dice::{fact, holds};
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
pub(crate) mod question {
    pub(crate) const STRANGER: u64 = 1;
    pub(crate) const ACCOUNT: u64 = 2;
    pub(crate) const CARD: u64 = 3;
    pub(crate) const LINE: u64 = 4;
    pub(crate) const CONTACT: u64 = 5;
    pub(crate) const APP: u64 = 6;
    pub(crate) const EMAIL: u64 = 7;
    pub(crate) const PHONE: u64 = 8;
    pub(crate) const TABLET: u64 = 9;
    pub(crate) const FAMILY_PHONE: u64 = 10;
    pub(crate) const FAMILY_MAIL: u64 = 11;
    pub(crate) const SHARED_ACCOUNT: u64 = 12;
    pub(crate) const NAME: u64 = 13;
    pub(crate) const FAMILY_NAME: u64 = 14;
    pub(crate) const SIZE: u64 = 15;
    pub(crate) const LINE_ID: u64 = 16;
    pub(crate) const LINE_ID_REST: u64 = 17;
    pub(crate) const COOKIE: u64 = 1_000;
    pub(crate) const DEVICE: u64 = 100_000;
    pub(crate) const DEVICE_REST: u64 = 200_000;
}

/// Of persons: give a mail address somewhere. Nearly everybody; the rest are known by card or telephone.
const HAS_EMAIL: f64 = 0.88;
/// Of persons: give a telephone number somewhere.
const HAS_PHONE: f64 = 0.8;
/// One person in this many gets a telephone number that used to be somebody else's: carriers hand a number out again
/// after half a year or so.
pub(crate) const RECYCLED_EVERY: u64 = 2_048;
/// Where in each such run of persons the new owner stands; odd, so that the old owner's place is whole.
pub(crate) const RECYCLED_AT: u64 = 7;

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
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
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

    pub(crate) fn household(&self, number: u64) -> Household {
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
    pub(crate) fn changes_phone(&self, number: u64) -> bool {
        number % RECYCLED_EVERY == RECYCLED_AT || self.loses_phone_to(number) < self.persons
    }

    /// The person who will get her number once it is given up; nobody where that is not below the population.
    pub(crate) fn loses_phone_to(&self, number: u64) -> u64 {
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
}

/// One of `count` places, by a fixed fact.
pub(crate) fn pick(fact: u64, count: usize) -> usize {
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

#[cfg(test)]
mod tests {
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
    fn whoever_shares_something_can_still_be_told_apart() {
        let population = population(20_000);
        for number in 0..20_000 {
            let person = population.person(number);
            if person.household.tablet || person.household.phone || person.household.mail {
                assert_eq!(person.primary, Some(Facet::User));
            }
        }
    }
}
