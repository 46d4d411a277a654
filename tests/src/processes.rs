//! The binary `musubi` as processes of their own, to be killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::cluster::Fixture;

/// The binary: the one in `MUSUBI_BIN`, or the one that was built beside this test.
///
/// # Errors
/// Where there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("MUSUBI_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let beside = test.parent().and_then(Path::parent).context("a test binary lies in `deps`")?.join("musubi");
    ensure!(beside.exists(), "no `{}`: build the workspace first", beside.display());
    Ok(beside)
}

/// A `musubi stitch` at work. Dropped, it is killed.
pub struct Stitcher {
    process: Child,
}

impl Stitcher {
    /// Starts a process of the group under a lasting name, with its state in `data`.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn start(fixture: &Fixture, instance: &str, data: &Path, more: &[&str]) -> Result<Self> {
        let settings = &fixture.cluster.settings;
        let mut command = Command::new(binary()?);
        command.arg("stitch").env_remove("MUSUBI_KEY").stdout(Stdio::piped());
        command.stderr(if std::env::var_os("MUSUBI_SHOW").is_some() { Stdio::inherit() } else { Stdio::null() });
        let values = [
            format!("kafka.bootstrap={}", fixture.bootstrap()),
            format!("kafka.prefix={}", settings.prefix),
            format!("kafka.partitions={}", settings.partitions),
            format!("kafka.replication={}", fixture.cluster.replication),
            format!("kafka.instance={instance}"),
            format!("kafka.session_timeout_ms={}", settings.session_timeout.as_millis()),
            format!("stitch.data={}", data.display()),
            format!("stitch.batch={}", fixture.cluster.batch),
            "stitch.block_cache_mib=32".to_owned(),
            "stitch.memtables_mib=32".to_owned(),
        ];
        for value in values.iter().map(String::as_str).chain(more.iter().copied()) {
            command.args(["--set", value]);
        }
        let mut process = command.spawn().context("cannot start `musubi stitch`")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        ensure!(line.contains("stitching"), "`musubi stitch` said `{line}`");
        Ok(Self { process })
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Sends a signal by its name, such as `STOP`.
    ///
    /// # Errors
    /// Where it cannot be sent.
    pub fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.process.id().to_string()).status()?;
        ensure!(sent.success(), "`kill -{name}` failed");
        Ok(())
    }

    /// SIGTERM, and waits for the end; the code it ends with.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub fn stop(mut self) -> Result<Option<i32>> {
        self.signal("TERM")?;
        Ok(self.process.wait()?.code())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// Where the system cannot say.
    pub fn lives(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }
}

impl Drop for Stitcher {
    fn drop(&mut self) {
        // A process that is gone already cannot be killed, which is as well.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
