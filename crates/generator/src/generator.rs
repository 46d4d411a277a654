//! The generator: visits one after the other, delivered as lines.

use crate::calendar::{Calendar, OPENING};
use crate::channels::{self, Channel};
use crate::delivery::{Line, Outbox};
use crate::demo::{self, Act, Cast, SCENES};
use crate::dice::Dice;
use crate::draft::Draft;
use crate::journeys::{self, Crowd};
use crate::people::{Population, State};
use crate::shapes::{DEMO, Rates, Shape};
use crate::visit::Visit;

/// A stream runs over this many days: a season, so that cookies expire and tills close often enough.
const SEASON: u64 = 90;
/// The week of the demonstration, in days.
const WEEK: u64 = 7;
/// Who takes part in the demonstration, and how many touchpoints they leave.
const DEMO_PERSONS: u64 = 40;
const DEMO_TOUCHPOINTS: u64 = 400;
/// There are no more persons than mobile numbers to give them: eight free digits, the first of them not 0.
const MOST_PERSONS: u64 = 90_000_000;
/// Everybody has appeared by this part of the stream, so that even the last to come can come again.
const ALL_BORN: (u64, u64) = (4, 5);

/// What to generate. The same options give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How many real persons there are: 1 to 90 million; what lies outside is taken as the nearer end. Of a stream with fewer than about five touchpoints a person,
    /// some never appear.
    pub persons: u64,
    /// How many distinct touchpoints to write. Duplicates and malformed lines come on top.
    pub touchpoints: u64,
    /// Which of the possible streams.
    pub seed: u64,
    /// What kind of business.
    pub shape: Shape,
    /// Lines that are no touchpoint at all, for each touchpoint; between 0 and 1.
    pub malformed: f64,
}

impl Options {
    /// Options with the shape's own rate of malformed lines: none, but for a hostile stream.
    pub fn new(persons: u64, touchpoints: u64, seed: u64, shape: Shape) -> Self {
        Self { persons, touchpoints, seed, shape, malformed: shape.rates().malformed }
    }
}

/// Writes touchpoints line by line, roughly in the order of their receipt.
///
/// Memory is a few bytes for each person and a bounded ring of lines under way, whatever the length of the stream.
#[derive(Clone, Debug)]
pub struct Generator {
    touchpoints: u64,
    shape: Shape,
    rates: &'static Rates,
    channels: &'static [(Channel, u64)],
    population: Population,
    crowd: Crowd,
    states: Vec<State>,
    born: u64,
    now: i64,
    calendar: Calendar,
    dice: Dice,
    draft: Draft,
    outbox: Outbox,
    script: Option<(Cast, &'static [(u64, Act)])>,
}

impl Generator {
    /// A generator at the beginning of its stream.
    pub fn new(options: Options) -> Self {
        Self::with(options, options.shape.rates(), SEASON)
    }

    /// A week of forty customers in some four hundred touchpoints: small enough to read, and with somebody who browses
    /// before she signs in, a tablet that changes hands, a terminal on the floor, a till that sends its day at night
    /// and a touchpoint delivered twice.
    pub fn demo(seed: u64) -> Self {
        let cast = |seed| Cast::find(&Population::new(seed, DEMO_PERSONS, Shape::Retail, &DEMO), DEMO_PERSONS);
        let seed = demo::seed_with_cast(seed, |seed| cast(seed).is_some());
        let options = Options::new(DEMO_PERSONS, DEMO_TOUCHPOINTS, seed, Shape::Retail);
        let script = cast(seed).map(|cast| (cast, &SCENES[..]));
        Self { script, ..Self::with(options, &DEMO, WEEK) }
    }

    fn with(options: Options, rates: &'static Rates, days: u64) -> Self {
        let persons = options.persons.clamp(1, MOST_PERSONS);
        let population = Population::new(options.seed, persons, options.shape, rates);
        Self {
            touchpoints: options.touchpoints,
            shape: options.shape,
            rates,
            channels: options.shape.channels(),
            crowd: Crowd::new(persons),
            states: vec![State::default(); usize::try_from(persons).unwrap_or(usize::MAX)],
            population,
            born: 0,
            now: OPENING,
            calendar: Calendar::new(days),
            dice: Dice::new(options.seed),
            draft: Draft::new(),
            outbox: Outbox::new(rates, &options, Dice::new(!options.seed)),
            script: None,
        }
    }

    /// Writes the next line into `line`, without a line's end, and says what it is; none at the end of the stream.
    ///
    /// Truths come in the order of first deliveries, so a file of truths can be read beside the stream: a line that
    /// does not carry the next truth's source and event id is a duplicate or malformed.
    pub fn write_next(&mut self, line: &mut Vec<u8>) -> Option<Line> {
        loop {
            let over = self.outbox.sent() >= self.touchpoints;
            if let Some(delivered) = self.outbox.deliver(if over { i64::MAX } else { self.now }, line) {
                return Some(delivered);
            }
            if over {
                return None;
            }
            self.visit();
        }
    }

    /// One visit, of whoever's turn it is.
    fn visit(&mut self) {
        let sent = self.outbox.sent();
        self.now = self.calendar.at(sent, self.touchpoints);
        if let Some((cast, act)) = self.scene_due(sent) {
            return self.play(cast.player(act), act.on_tablet(), |visit| act.play(visit));
        }
        let number = self.whose_turn(sent);
        let channel = journeys::channel(self.channels, &self.population.person(number), &mut self.dice);
        let at_home = channel.at_home() && self.dice.chance(self.rates.on_tablet);
        let bot = self.dice.chance(self.rates.bots);
        self.play(number, at_home, |visit| if bot { channels::crawl(visit) } else { channel.play(visit) });
    }

    /// Somebody new where the stream has gone far enough for one, else somebody who comes again.
    fn whose_turn(&mut self, sent: u64) -> u64 {
        let persons = self.states.len() as u64;
        let due = u128::from(persons) * u128::from(sent) * u128::from(ALL_BORN.1);
        let due = 1 + due / (u128::from(self.touchpoints) * u128::from(ALL_BORN.0)).max(1);
        if self.born < persons && u128::from(self.born) < due {
            self.born += 1;
            return self.born - 1;
        }
        self.crowd.next(self.born, &mut self.dice)
    }

    /// Plays a visit of this person, on the household's tablet where there is one and she wants it.
    fn play(&mut self, number: u64, at_home: bool, act: impl FnOnce(&mut Visit<'_>)) {
        let index = usize::try_from(number).expect("a person's number is below the count of states");
        let person = self.population.person(number);
        let mut visit = Visit {
            person,
            state: self.states[index],
            on_tablet: at_home && person.household.tablet,
            now: self.now,
            born: self.born,
            population: &self.population,
            rates: self.rates,
            shape: self.shape,
            dice: &mut self.dice,
            draft: &mut self.draft,
            outbox: &mut self.outbox,
        };
        act(&mut visit);
        self.states[index] = visit.state;
    }

    /// The next scene of the demonstration's script, once the stream has reached it.
    fn scene_due(&mut self, sent: u64) -> Option<(Cast, Act)> {
        let (cast, scenes) = self.script.as_mut()?;
        let (&(at, act), rest) = scenes.split_first()?;
        if at > sent {
            return None;
        }
        *scenes = rest;
        Some((*cast, act))
    }
}
