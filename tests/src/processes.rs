//! The binary `musubi` as processes of their own, to be killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

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

/// What a process says on stderr is kept here, beside its state.
fn said_by(data: &Path) -> PathBuf {
    data.with_extension("log")
}

/// Under which circumstances a process is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Under<'a> {
    /// Variables of its environment.
    pub variables: &'a [(&'a str, &'a str)],
    /// How large a file may become that it writes, in KiB. More is an error of the write, as on a full disk.
    pub largest_file: Option<u64>,
}

impl Under<'_> {
    fn command(&self) -> Result<Command> {
        let binary = binary()?;
        let mut command = match self.largest_file {
            None => Command::new(binary),
            Some(kib) => {
                // The signal that comes first is ignored, and stays so in what is executed.
                let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
                let mut shell = Command::new("sh");
                shell.args(["-c", &script]).arg(binary);
                shell
            }
        };
        command.envs(self.variables.iter().copied());
        Ok(command)
    }
}

/// A `musubi stitch` at work. Dropped, it is killed.
pub struct Stitcher {
    process: Child,
    log: PathBuf,
}

impl Stitcher {
    /// Starts a process of the group under a lasting name, with its state in `data`.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn start(fixture: &Fixture, instance: &str, data: &Path, more: &[&str]) -> Result<Self> {
        Self::start_in(fixture, instance, data, more, &Under::default())
    }

    /// As [`Stitcher::start`], under these circumstances.
    ///
    /// # Errors
    /// Where it does not come up, with the end of what it said.
    pub fn start_in(fixture: &Fixture, instance: &str, data: &Path, more: &[&str], under: &Under<'_>) -> Result<Self> {
        let settings = &fixture.cluster.settings;
        let log = said_by(data);
        let said = std::fs::File::options().create(true).append(true).open(&log)?;
        let mut command = under.command()?;
        command.arg("stitch").env_remove("MUSUBI_KEY").stdout(Stdio::piped()).stderr(said);
        let values = [
            format!("kafka.bootstrap={}", fixture.bootstrap()),
            format!("kafka.prefix={}", settings.prefix),
            format!("kafka.partitions={}", settings.partitions),
            format!("kafka.replication={}", fixture.cluster.replication),
            format!("kafka.instance={instance}"),
            format!("kafka.session_timeout_ms={}", settings.session_timeout.as_millis()),
            format!("kafka.uncompacted_ms={}", settings.uncompacted.as_millis()),
            format!("kafka.tombstones_ms={}", settings.tombstones.as_millis()),
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
        let stitcher = Self { process, log };
        ensure!(line.contains("stitching"), "`musubi stitch` said `{line}` and\n{}", stitcher.last_words());
        Ok(stitcher)
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

    /// How it ended, once it has.
    ///
    /// # Errors
    /// Where the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }

    /// The end of what it said on stderr, and those before it with the same state.
    pub fn last_words(&self) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Stitcher {
    fn drop(&mut self) {
        // A process that is gone already cannot be killed, which is as well.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The test broker as a process of its own, with what survives it. Dropped, it is killed.
pub struct BrokerProcess {
    process: Child,
    data: tempfile::TempDir,
    bootstrap: String,
}

impl BrokerProcess {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// Where it does not come up.
    pub fn start() -> Result<Self> {
        let mut data = tempfile::tempdir()?;
        data.disable_cleanup(std::env::var_os("MUSUBI_KEEP").is_some());
        let (process, bootstrap) = Self::spawn(data.path(), "127.0.0.1:0")?;
        Ok(Self { process, data, bootstrap })
    }

    fn spawn(data: &Path, listen: &str) -> Result<(Child, String)> {
        let path = binary()?.with_file_name("musubi-broker");
        ensure!(path.exists(), "no `{}`: build the workspace first", path.display());
        let mut command = Command::new(path);
        command.args(["--listen", listen, "--data"]).arg(data).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().context("cannot start the test broker")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
        ensure!(line.contains(':'), "the test broker said `{line}`");
        Ok((process, line.trim().to_owned()))
    }

    /// Where it is, before and after a restart.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// SIGKILL, so long a silence, and the same broker again on the same port.
    ///
    /// # Errors
    /// Where it does not come up again.
    pub fn bounce(&mut self, silence: Duration) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        std::thread::sleep(silence);
        self.process = Self::spawn(self.data.path(), &self.bootstrap)?.0;
        Ok(())
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
