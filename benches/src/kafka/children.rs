//! Processes beside this one, so that each one's processor time is its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use musubi_benches::processor_time_of;

/// A process that is killed when it is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a process, and returns it with the first line that it says.
    pub(crate) fn start(command: &mut Command) -> Result<(Self, String)> {
        let child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut running = Self(child);
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        ensure!(!line.is_empty(), "{command:?} ended without a word");
        Ok((running, line.trim().to_owned()))
    }

    /// Its processor time so far.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time_of(&self.0.id().to_string())
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn stop(mut self) -> Result<()> {
        let told = Command::new("kill").arg(self.0.id().to_string()).status()?;
        ensure!(told.success() && self.0.wait()?.success(), "a process did not end well");
        Ok(())
    }

    /// Waits for its end; its processor time shortly before.
    pub(crate) fn finish(mut self) -> Result<Duration> {
        let mut spent = self.processor_time();
        let ended = loop {
            if let Some(ended) = self.0.try_wait()? {
                break ended;
            }
            spent = spent.max(self.processor_time());
            std::thread::sleep(Duration::from_millis(5));
        };
        ensure!(ended.success(), "a process ended with {ended}");
        Ok(spent)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that is gone already cannot be killed, which is as well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
