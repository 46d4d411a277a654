//! Several stitchers on one deployment, looked after as a supervisor would: who ends is started again.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::cluster::{Fixture, PATIENCE};
use crate::oracles::Story;
use crate::processes::{Stitcher, Under};

/// Several stitchers on one deployment.
pub struct Crew<'a> {
    fixture: &'a Fixture,
    home: tempfile::TempDir,
    settings: Vec<String>,
    names: Vec<String>,
    members: Vec<Option<Stitcher>>,
    /// How often one ended without being told to, and was started again.
    pub gave_up: u64,
}

impl<'a> Crew<'a> {
    /// Starts so many, named `stitcher-0` …, each with a state of its own and these settings beside the fixture's.
    ///
    /// # Errors
    /// Where one does not come up.
    pub fn start(fixture: &'a Fixture, members: usize, settings: &[&str]) -> Result<Self> {
        Self::start_in(fixture, members, settings, tempfile::tempdir()?)
    }

    /// As [`Crew::start`], with the states in a directory of their own on the file system of this one.
    ///
    /// # Errors
    /// Where one does not come up.
    pub fn start_on(fixture: &'a Fixture, members: usize, settings: &[&str], beneath: &str) -> Result<Self> {
        Self::start_in(fixture, members, settings, tempfile::tempdir_in(beneath)?)
    }

    fn start_in(fixture: &'a Fixture, members: usize, settings: &[&str], home: tempfile::TempDir) -> Result<Self> {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut crew = Self { fixture, home, settings, names: Vec::new(), members: Vec::new(), gave_up: 0 };
        for _ in 0..members {
            crew.join()?;
        }
        Ok(crew)
    }

    /// Where the state of one is.
    pub fn state(&self, member: usize) -> PathBuf {
        self.home.path().join(member.to_string())
    }

    /// How many there ever were.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there never was anybody.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// One more; its number.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn join(&mut self) -> Result<usize> {
        self.join_as(&format!("stitcher-{}", self.members.len()))
    }

    /// One more, under a name that somebody may have already; its number.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn join_as(&mut self, name: &str) -> Result<usize> {
        self.names.push(name.to_owned());
        self.members.push(None);
        let member = self.members.len() - 1;
        self.begin(member)?;
        Ok(member)
    }

    /// Starts one that is not there, under its name and with its state.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn begin(&mut self, member: usize) -> Result<()> {
        self.begin_in(member, &Under::default())
    }

    /// As [`Crew::begin`], under these circumstances.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn begin_in(&mut self, member: usize, under: &Under<'_>) -> Result<()> {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        let (name, state) = (&self.names[member], self.state(member));
        let stitcher = Stitcher::start_in(self.fixture, name, &state, &settings, under)?;
        self.members[member] = Some(stitcher);
        Ok(())
    }

    /// One that is there.
    ///
    /// # Errors
    /// Where it is not.
    pub fn member(&mut self, member: usize) -> Result<&mut Stitcher> {
        self.members[member].as_mut().context("it is not there")
    }

    /// Takes one out, to be ended by the caller.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn take(&mut self, member: usize) -> Result<Stitcher> {
        self.members[member].take().context("it is not there")
    }

    /// SIGKILL for one, and the same again at once.
    ///
    /// # Errors
    /// Where it cannot be killed, or does not come up.
    pub fn bounce(&mut self, member: usize) -> Result<()> {
        if let Some(stitcher) = self.members[member].take() {
            stitcher.kill()?;
        }
        self.begin(member)
    }

    /// Starts again whoever ended by themselves, as a supervisor does. Who cannot begin yet is tried the next time.
    ///
    /// # Errors
    /// Where the system cannot say who lives.
    pub fn look_after(&mut self) -> Result<()> {
        for member in 0..self.members.len() {
            let Some(stitcher) = self.members[member].as_mut() else { continue };
            if stitcher.lives()? {
                continue;
            }
            self.gave_up += 1;
            ensure!(self.gave_up < 1_000, "it ends again and again:\n{}", stitcher.last_words());
            if let Err(why) = self.begin(member) {
                ensure!(self.gave_up < 200, "it cannot begin: {why:#}");
            }
        }
        Ok(())
    }

    /// Waits until everything is stitched, looking after all meanwhile.
    ///
    /// # Errors
    /// Where nothing goes on for too long, with the last words of all.
    pub fn settle(&mut self) -> Result<()> {
        self.settle_within(PATIENCE)
    }

    /// As [`Crew::settle`], with so much patience for a standstill.
    ///
    /// # Errors
    /// Where nothing goes on for too long, with the last words of all.
    pub fn settle_within(&mut self, patience: Duration) -> Result<()> {
        let fixture = self.fixture;
        let settled = fixture.settle_with(patience, || self.look_after());
        let words = || self.members.iter().flatten().map(Stitcher::last_words).collect::<Vec<_>>().join("\n--\n");
        settled.with_context(words)
    }

    /// Waits for rest, ends all in good order, and sees what is there. `lines` is what was fed, for `musubi run`.
    ///
    /// # Errors
    /// Where there is no rest, one does not end well, or something cannot be read.
    pub fn story(mut self, lines: &[Vec<u8>]) -> Result<Story> {
        self.settle()?;
        for stitcher in self.members.iter_mut().filter_map(Option::take) {
            let words = stitcher.last_words();
            let code = stitcher.stop()?;
            ensure!(code == Some(0), "one ended with {code:?}:\n{words}");
        }
        let states: Vec<PathBuf> = (0..self.members.len()).map(|member| self.state(member)).collect();
        Story::gather(self.fixture, &states, lines)
    }

    /// As [`Crew::story`], and asks the six oracles. Tells what they saw.
    ///
    /// # Errors
    /// What they object to.
    pub fn account(self, lines: &[Vec<u8>]) -> Result<String> {
        self.story(lines)?.believed()
    }
}
