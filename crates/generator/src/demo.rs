//! The demonstration's script: a few scenes that a week among forty customers has to show, whatever chance does.

use crate::channels;
use crate::dice::Dice;
use crate::draft::Source;
use crate::people::{Facet, Person, Population};
use crate::visit::Visit;

/// Who plays in the scenes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    /// Has an account and a card, and browses before she signs in.
    pub(crate) hero: u64,
    /// Two of one household, with a tablet between them.
    pub(crate) family: (u64, u64),
}

impl Cast {
    /// Finds the players among a population; none where it has nobody who fits.
    pub(crate) fn find(population: &Population, persons: u64) -> Option<Self> {
        let everybody = || (0..persons).map(|number| population.person(number));
        let home = everybody().find(|person| person.household.tablet)?.household;
        let away = |person: &Person| person.household.first != home.first;
        let fits = |person: &Person| [Facet::User, Facet::Card, Facet::Email].iter().all(|&facet| person.owns(facet));
        let hero = everybody().find(|person| away(person) && fits(person) && person.account_of == person.number)?;
        Some(Self { hero: hero.number, family: (home.first, home.first + 1) })
    }

    /// Who plays this scene.
    pub(crate) const fn player(&self, act: Act) -> u64 {
        match act {
            Act::FirstOnTablet => self.family.0,
            Act::SecondOnTablet => self.family.1,
            Act::Browses
            | Act::BuysAtNightlyTill
            | Act::SignsIn
            | Act::ReceiptSentTwice
            | Act::AtTerminal
            | Act::LinksCard => self.hero,
        }
    }
}

/// One scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Looks around under a cookie and nothing else.
    Browses,
    /// Buys with the card at a till that sends its day at night.
    BuysAtNightlyTill,
    /// Signs in under the cookie of the first scene: two persons turn out to be one.
    SignsIn,
    /// The first of a household signs in on the tablet.
    FirstOnTablet,
    /// The second signs in on the same tablet: one cookie, two persons.
    SecondOnTablet,
    /// Looks something up at a terminal that others use too.
    AtTerminal,
    /// Registers the card with the account.
    LinksCard,
    /// Buys, and the till delivers the receipt twice.
    ReceiptSentTwice,
}

/// When each scene is due, in touchpoints since the beginning.
pub(crate) const SCENES: [(u64, Act); 8] = [
    (5, Act::Browses),
    (40, Act::BuysAtNightlyTill),
    (80, Act::SignsIn),
    (120, Act::FirstOnTablet),
    (160, Act::SecondOnTablet),
    (200, Act::AtTerminal),
    (240, Act::LinksCard),
    (280, Act::ReceiptSentTwice),
];

impl Act {
    /// Whether it happens on the household's tablet.
    pub(crate) const fn on_tablet(self) -> bool {
        matches!(self, Self::FirstOnTablet | Self::SecondOnTablet)
    }

    /// Plays the scene.
    pub(crate) fn play(self, visit: &mut Visit<'_>) {
        match self {
            Self::Browses => look_around(visit, None),
            Self::BuysAtNightlyTill => buy(visit, Source::Sapporo),
            Self::SignsIn => {
                look_around(visit, None);
                visit.tie(Facet::Cookie);
                look_around(visit, Some(Facet::User));
            }
            Self::FirstOnTablet | Self::SecondOnTablet => {
                visit.touch(Source::Web, "signed_in").with(Facet::User).with(Facet::Cookie).introduce().send(5, 30);
                look_around(visit, Some(Facet::User));
            }
            Self::AtTerminal => channels::stand_at_terminal(visit, false),
            Self::LinksCard => visit.tie(Facet::Card),
            Self::ReceiptSentTwice => {
                visit.outbox.repeat_next();
                buy(visit, Source::Ginza);
            }
        }
    }
}

fn look_around(visit: &mut Visit<'_>, known_by: Option<Facet>) {
    for _ in 0..3 {
        visit.touch(Source::Web, "product_viewed").with(Facet::Cookie).product();
        if let Some(facet) = known_by {
            visit.with(facet);
        }
        visit.send(10, 90);
    }
}

fn buy(visit: &mut Visit<'_>, till: Source) {
    visit.touch(till, "order_completed").with(Facet::Card).order().properties().text("store_id", till.name());
    visit.send(2, 10);
}

/// The seed of a demonstration's population: the first, from `seed` on, whose forty include the cast.
pub(crate) fn seed_with_cast(seed: u64, found: impl Fn(u64) -> bool) -> u64 {
    let mut dice = Dice::new(seed);
    let mut candidate = seed;
    while !found(candidate) {
        candidate = dice.below(u64::MAX);
    }
    candidate
}
