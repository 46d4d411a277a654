//! `musubi score`: how right the persons of a run are, against the truth that `musubi generate` wrote.
//!
//! A run says whose each *identifier* is. Here each *touchpoint* gets a person, by the rule that gives it to a profile:
//! it goes to its strongest identifier by the policy, or, where that belongs to a shared device and not to somebody, to
//! the strongest that does belong to somebody; only where all are shared it stays with the shared one. A touchpoint
//! that the policy refuses, or whose identifiers are in no map, is given to nobody.

mod numbers;
mod persons;
mod truth;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use musubi_core::identifier::DeploymentKey;
use musubi_core::policy::Policy;
use musubi_core::touchpoint::Touchpoint;
use musubi_generator::{Score, Scorer};
use musubi_schema::{Line, Parser};

use self::persons::Persons;
use self::truth::{Owner, Truth};
use super::policy;
use crate::input::{Inputs, Meter};
use crate::output;
use crate::progress::Progress;

/// Lines between two looks at the clock.
const BETWEEN_LOOKS: u64 = 16_384;

/// Say how right the persons of a run are: pairwise precision, recall and F1 against the truth.
///
/// Which persons are shared devices is read from `profiles.ndjson` beside the identity map, where there is one.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The real person of each touchpoint, as `musubi generate --truth` writes it, in any order.
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Whose each identifier is, as `musubi run` writes it in NDJSON.
    #[arg(long, value_name = "FILE")]
    identity_map: PathBuf,
    /// The profiles of the run, which say what is shared; else `profiles.ndjson` beside the identity map, if it is there.
    #[arg(long, value_name = "FILE")]
    profiles: Option<PathBuf>,
    /// The policy of the run; else the recommended one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Say nothing of how far it has come.
    #[arg(long)]
    quiet: bool,
    /// The touchpoints that the run read; `-` is stdin, `.gz` and `.zst` are read as they are.
    #[arg(required = true, value_name = "TOUCHPOINTS")]
    touchpoints: Vec<PathBuf>,
}

/// Prints the score.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let policy = policy::read_or_recommended(args.policy.as_deref())?;
    let inputs = Inputs::new(args.touchpoints)?;
    let truth = Truth::read(&args.truth)?;
    // The key orders identifiers of one namespace in a touchpoint, and those nearly always are one person.
    let deployment = DeploymentKey::derive(b"score");
    let mut persons = Persons::read(&args.identity_map, &deployment)?;
    if let Some(profiles) = args.profiles.or_else(|| beside(&args.identity_map)) {
        persons.read_shared(&profiles)?;
    }
    let mut judge = Judge::new(policy, deployment, truth, persons);
    judge.read_all(inputs, args.quiet)?;
    let mut out = output::stdout();
    writeln!(out, "{}", judge.answer()).and_then(|()| out.flush()).context("cannot write the answer")?;
    Ok(ExitCode::SUCCESS)
}

/// The profiles of the run that wrote this identity map.
fn beside(identity_map: &Path) -> Option<PathBuf> {
    let extension = identity_map.file_name()?.to_str()?.strip_prefix("identity-map")?;
    let profiles = identity_map.with_file_name(["profiles", extension].concat());
    profiles.exists().then_some(profiles)
}

/// Goes through the touchpoints and counts.
struct Judge {
    policy: Policy,
    deployment: DeploymentKey,
    parser: Parser,
    truth: Truth,
    persons: Persons,
    scorer: Scorer,
    counts: Counts,
    names: [String; 2],
}

/// What became of the touchpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Those that have a real person and were scored.
    touchpoints: u64,
    /// Of these, those that were given to nobody.
    unresolved: u64,
    /// Those that belong to nobody by the truth, and are left out.
    nobody: u64,
    /// Lines that are no touchpoint, or whose truth is unknown or was told before: copies, for the most part.
    other_lines: u64,
}

impl Judge {
    fn new(policy: Policy, deployment: DeploymentKey, truth: Truth, persons: Persons) -> Self {
        Self {
            policy,
            deployment,
            parser: Parser::new(),
            truth,
            persons,
            scorer: Scorer::new(),
            counts: Counts::default(),
            names: Default::default(),
        }
    }

    fn read_all(&mut self, mut inputs: Inputs, quiet: bool) -> Result<()> {
        let mut progress = Progress::start("lines", inputs.total_bytes(), quiet);
        let meter: Meter = inputs.meter();
        let mut read = 0_u64;
        while let Some(mut lines) = inputs.next()? {
            while let Some(line) = lines.next()? {
                self.line(line.bytes);
                read += 1;
                if read.is_multiple_of(BETWEEN_LOOKS) {
                    progress.tell(read, meter.bytes());
                }
            }
        }
        progress.finish();
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        match self.parser.parse_line(line) {
            Ok(Line::Touchpoint(touchpoint)) => self.touchpoint(&touchpoint),
            Ok(Line::Directive(_)) | Err(_) => self.counts.other_lines += 1,
        }
    }

    fn touchpoint(&mut self, touchpoint: &Touchpoint) {
        match self.truth.take(&touchpoint.source, &touchpoint.event_id) {
            None => self.counts.other_lines += 1,
            Some(Owner::Nobody) => self.counts.nobody += 1,
            Some(Owner::Person(real)) => self.count(real, touchpoint),
        }
    }

    fn count(&mut self, real: u32, touchpoint: &Touchpoint) {
        let person = self.person(touchpoint);
        self.counts.touchpoints += 1;
        let [real_name, name] = &mut self.names;
        spell(real, real_name);
        match person {
            Some(person) => {
                spell(person, name);
                self.scorer.add(real_name, name);
            }
            None => {
                self.counts.unresolved += 1;
                self.scorer.add_alone(real_name);
            }
        }
    }

    /// The person that a touchpoint was given to.
    fn person(&self, touchpoint: &Touchpoint) -> Option<u32> {
        let identifiers = self.policy.identify(touchpoint, &self.deployment).ok()?.kept;
        let mut known = identifiers.iter().filter_map(|identifier| self.persons.of(identifier));
        let first = known.next()?;
        let somebody = |person: &u32| !self.persons.is_shared(*person);
        std::iter::once(first).chain(known).find(somebody).or(Some(first))
    }

    fn answer(self) -> String {
        let Score { pairs_true, pairs_predicted, pairs_both, precision, recall, f1 } = self.scorer.finish();
        let Counts { touchpoints, unresolved, nobody, other_lines } = self.counts;
        let missing = self.truth.left();
        format!(
            "{{\"touchpoints\":{touchpoints},\"precision\":{precision},\"recall\":{recall},\"f1\":{f1},\
             \"pairs_true\":{pairs_true},\"pairs_predicted\":{pairs_predicted},\"pairs_both\":{pairs_both},\
             \"unresolved\":{unresolved},\"nobody\":{nobody},\"other_lines\":{other_lines},\"missing\":{missing}}}"
        )
    }
}

/// Writes a number as a name for the scorer.
fn spell(number: u32, name: &mut String) {
    use std::fmt::Write as _;
    name.clear();
    write!(name, "{number}").expect("a text in memory takes what is written");
}

#[cfg(test)]
mod tests;
