// SPDX-License-Identifier: MIT OR Apache-2.0
//! Throughline's own daemon.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::launcher;
use super::process::{Process, READY_LIMIT, run};
use super::scratch::Scratch;
use super::start_error::{StartError, or_panic, text_of};

/// How long a database may take to make a few tables.
const INIT_LIMIT: Duration = Duration::from_secs(60);

/// How a daemon is started.
#[derive(Debug, Clone)]
pub struct DaemonOptions {
    /// The built program, for example `env!("CARGO_BIN_EXE_throughline")`.
    pub program: PathBuf,
    /// Its arguments, `serve` included. Ask for port 0 unless the port is part of the test.
    pub args: Vec<String>,
    /// Environment variables to set. Those of the caller that begin with `THROUGHLINE_` are taken away.
    pub env: Vec<(String, String)>,
    /// The listeners whose addresses it will print; it counts as started when it has printed all of them.
    pub listeners: Vec<Listener>,
}

impl DaemonOptions {
    /// `program` with `args`, both listeners, nothing added to the environment.
    pub fn new(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self {
            program: program.into(),
            args: args.iter().map(ToString::to_string).collect(),
            env: Vec::new(),
            listeners: vec![Listener::Memcached, Listener::Http],
        }
    }

    /// The `throughline` program in the folder that cargo built the running test or program into.
    ///
    /// For packages other than the program's own, where cargo sets no `CARGO_BIN_EXE_throughline`; cargo does
    /// not build it for them, so build it before.
    pub fn built_program() -> PathBuf {
        let own = std::env::current_exe().unwrap_or_default();
        let built = own.ancestors().skip(1).take(2).map(|folder| folder.join("throughline"));
        built.into_iter().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("throughline"))
    }

    /// The `throughline` program, built as the running test is.
    ///
    /// # Panics
    /// When it does not build.
    pub fn build_program() -> PathBuf {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        // As a part of all tests, which have built it: with the features that they share, nothing is built twice.
        build.args(["test", "--quiet", "--workspace", "--no-run", "--test", "program"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let status = build.status().expect("cargo, which runs this test, can be run");
        assert!(status.success(), "the daemon does not build");
        Self::built_program()
    }
}

/// A front door of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// The memcached protocol.
    Memcached,
    /// HTTP.
    Http,
}

impl Listener {
    /// The word that begins its line on standard output.
    const fn word(self) -> &'static str {
        match self {
            Self::Memcached => "memcached",
            Self::Http => "http",
        }
    }
}

/// A daemon that runs in a scratch folder, killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    options: DaemonOptions,
    // Dropped before the folder that it writes to.
    running: Mutex<Running>,
    scratch: Scratch,
}

#[derive(Debug, Clone)]
struct Running {
    process: Arc<Process>,
    addresses: Vec<(Listener, SocketAddr)>,
    output: PathBuf,
}

impl Daemon {
    /// Starts a daemon and returns when it has printed the addresses of its listeners.
    ///
    /// # Panics
    /// When it does not come up, with the end of what it said.
    #[track_caller]
    pub fn start(options: DaemonOptions) -> Self {
        or_panic(Self::try_start(options))
    }

    fn try_start(options: DaemonOptions) -> Result<Self, StartError> {
        let scratch = Scratch::try_new()?;
        let running = Mutex::new(launch(&options, &scratch)?);
        Ok(Self { options, running, scratch })
    }

    /// Where `listener` listens.
    ///
    /// # Panics
    /// When [`DaemonOptions::listeners`] does not name it.
    #[track_caller]
    pub fn address(&self, listener: Listener) -> SocketAddr {
        let addresses = self.running.lock().addresses.clone();
        let found = addresses.into_iter().find(|(known, _)| *known == listener);
        found.unwrap_or_else(|| panic!("the daemon's options name no listener {listener:?}")).1
    }

    /// The folder that it runs in.
    pub fn folder(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// The pid of the process that runs now, or ran last.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// All that it has printed to standard output since its last start.
    pub fn output(&self) -> String {
        text_of(&self.running.lock().output)
    }

    /// The end of its standard output and of its standard error.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Kills it (SIGKILL) and returns when it is gone.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Kills it and starts it again with the same arguments in the same folder. With port 0 it gets new ports.
    ///
    /// # Panics
    /// When it does not come up, with the end of what it said.
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        let running = or_panic(launch(&self.options, &self.scratch));
        *self.running.lock() = running;
    }

    /// Stops it where it stands (SIGSTOP).
    ///
    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Asks it to shut down (SIGTERM).
    ///
    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn terminate(&self) {
        self.process().terminate();
    }

    /// How it ended, or nothing when it still runs after `limit`.
    pub fn wait_exit(&self, limit: Duration) -> Option<ExitStatus> {
        self.process().wait_exit(limit)
    }

    fn process(&self) -> Arc<Process> {
        Arc::clone(&self.running.lock().process)
    }
}

/// Makes our own tables in a database: `program init url`.
///
/// # Panics
/// When the database refuses, with what the program said.
#[track_caller]
pub fn init_database(program: &Path, url: &str) {
    let init = || {
        let mut command = launcher::built_command(program)?;
        command.args(["init", url]);
        run("throughline init", command, None, INIT_LIMIT)
    };
    or_panic(init());
}

fn launch(options: &DaemonOptions, scratch: &Scratch) -> Result<Running, StartError> {
    let program = options.program.display().to_string();
    let mut command = launcher::built_command(&options.program)?;
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("THROUGHLINE_") {
            command.env_remove(name);
        }
    }
    command.args(&options.args).envs(options.env.iter().cloned());
    command.current_dir(scratch.path()).stdin(Stdio::null());
    let (output, errors) = (scratch.new_log()?, scratch.new_log()?);
    let process = Process::start(&program, command, &output, &errors)?;
    let addresses = process.wait_ready(READY_LIMIT, || printed(&text_of(&output), &options.listeners))?;
    Ok(Running { process: Arc::new(process), addresses, output })
}

/// The addresses in what the daemon printed, when all of `listeners` are there.
fn printed(output: &str, listeners: &[Listener]) -> Option<Vec<(Listener, SocketAddr)>> {
    listeners.iter().map(|&listener| Some((listener, printed_address(output, listener)?))).collect()
}

/// The address on a whole line that begins with the listener's word. A line without its end is not whole yet:
/// its last digits may be missing.
fn printed_address(output: &str, listener: Listener) -> Option<SocketAddr> {
    let (lines, _) = output.rsplit_once('\n')?;
    let mut lines = lines.lines().filter_map(|line| line.trim_start().strip_prefix(listener.word()));
    lines.find_map(|rest| {
        let at = rest.find("127.0.0.1:")?;
        let address = &rest[at..];
        let end =
            address.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(address.len());
        address[..end].parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::{Listener, printed, printed_address};

    const OUTPUT: &str = "throughline 0.1.0\n  memcached  127.0.0.1:11311\n\
                          http       http://127.0.0.1:8311 (no token)\nready\n";

    #[test]
    fn printed_addresses_are_found_with_and_without_a_scheme() {
        let addresses = printed(OUTPUT, &[Listener::Memcached, Listener::Http]).unwrap();
        let ports: Vec<u16> = addresses.iter().map(|(_, address)| address.port()).collect();
        assert_eq!(ports, [11311, 8311]);
    }

    #[test]
    fn half_a_line_is_no_address() {
        assert_eq!(printed_address("memcached 127.0.0.1:113", Listener::Memcached), None);
    }
}
