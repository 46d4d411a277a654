//! Journeys: who visits next, by a power law of activity, and through which channel.

use crate::channels::Channel;
use crate::dice::Dice;
use crate::people::Person;

/// The activity of a person follows a bounded Pareto law with α = 2.1: of ten thousand visits nobody makes most, but
/// somebody makes many. It is dealt in bands, each √2 times as active as the one before, so that no machine's power
/// function has a say in the bytes. This many bands reach an activity of 5,000.
const BANDS: usize = 25;
/// How much rarer the persons of each next band are: 2 to the power of −2.1 / 2.
const RARER: f64 = 0.482_968_164_465;
/// What part the next band has of the visits, against the one before: √2 times that.
const BUSIER: f64 = 0.683_020_128_038;
/// Somebody else is looked for this often when the person drawn has not appeared yet.
const DRAWS: u32 = 12;

/// Who visits how often.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    persons: u64,
    /// The rank at which each band of activity begins, and the end.
    ranks: Vec<u64>,
    /// A factor without a common divisor with `persons`, so that rank times factor visits every person once.
    factor: u64,
}

impl Crowd {
    /// A crowd of this many persons.
    pub(crate) fn new(persons: u64) -> Self {
        let mut ranks = vec![0];
        let mut left = persons as f64;
        for _ in 1..BANDS {
            left *= RARER;
            if left < 1.0 {
                break;
            }
            ranks.push(persons - left as u64);
        }
        ranks.push(persons);
        let factor = (0..).map(|step| 982_451_653 + step * 2).find(|&factor| divisor(factor, persons) == 1);
        Self { persons, ranks, factor: factor.unwrap_or(1) }
    }

    /// Who visits next among the first `born` persons.
    pub(crate) fn next(&self, born: u64, dice: &mut Dice) -> u64 {
        for _ in 0..DRAWS {
            let person = self.draw(dice);
            if person < born {
                return person;
            }
        }
        dice.below(born)
    }

    fn draw(&self, dice: &mut Dice) -> u64 {
        let last = u32::try_from(self.ranks.len() - 2).unwrap_or(0);
        let band = dice.run(BUSIER, last) as usize;
        let rank = self.ranks[band] + dice.below(self.ranks[band + 1] - self.ranks[band]);
        let place = u128::from(rank) * u128::from(self.factor) % u128::from(self.persons);
        u64::try_from(place).expect("smaller than the crowd")
    }
}

/// The greatest common divisor.
const fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The channel of a visit: one that suits the person, by the shape's shares.
pub(crate) fn channel(shares: &[(Channel, u64)], person: &Person, dice: &mut Dice) -> Channel {
    let fitting = |&&(channel, _): &&(Channel, u64)| channel.suits(person);
    let mut left = dice.below(shares.iter().filter(fitting).map(|(_, share)| share).sum());
    for &(channel, share) in shares.iter().filter(fitting) {
        if left < share {
            return channel;
        }
        left -= share;
    }
    Channel::Web
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_can_be_drawn_and_the_busiest_visit_far_more_than_most() {
        let crowd = Crowd::new(1_000);
        let mut dice = Dice::new(3);
        let mut visits = vec![0_u32; 1_000];
        for _ in 0..200_000 {
            visits[usize::try_from(crowd.next(1_000, &mut dice)).unwrap_or(0)] += 1;
        }
        assert!(visits.iter().all(|&count| count > 0));
        visits.sort_unstable();
        let (median, most) = (visits[500], visits[999]);
        assert!(most > 10 * median, "{median} {most}");
    }

    #[test]
    fn only_those_who_have_appeared_visit_again() {
        let crowd = Crowd::new(1_000_000);
        let mut dice = Dice::new(3);
        assert!((0..10_000).all(|_| crowd.next(10, &mut dice) < 10));
    }

    #[test]
    fn a_crowd_of_one_is_a_crowd() {
        assert_eq!(Crowd::new(1).next(1, &mut Dice::new(1)), 0);
    }
}
