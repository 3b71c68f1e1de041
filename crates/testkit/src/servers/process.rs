// SPDX-License-Identifier: MIT OR Apache-2.0
//! One running program, with its logs and its signals.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::launcher;
use super::start_error::{StartError, tail};

/// Long enough for a server on a busy two-core machine, short enough that a hanging one does not stop the suite.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(60);
/// A readiness check costs a connect on loopback, so a pause this short is no load.
const PAUSE: Duration = Duration::from_millis(5);

/// One running program. Killed when dropped.
///
/// Invariant: `child` is reaped only under its lock, so a signal sent under the lock cannot hit a stranger who
/// got the same pid.
#[derive(Debug)]
pub(crate) struct Process {
    program: String,
    pid: u32,
    child: Mutex<Child>,
    logs: Vec<PathBuf>,
}

impl Process {
    /// Starts `command` (made by [`launcher::command`]) with its output in `output` and `errors`.
    pub(crate) fn start(
        program: &str,
        mut command: Command,
        output: &Path,
        errors: &Path,
    ) -> Result<Self, StartError> {
        command.stdout(log_file(output)?).stderr(log_file(errors)?);
        let child = launcher::launch(command).map_err(StartError::io(format!("start {program}")))?;
        // One file for both is one log.
        let mut logs = vec![output.to_owned(), errors.to_owned()];
        logs.dedup();
        Ok(Self { program: program.to_owned(), pid: child.id(), child: Mutex::new(child), logs })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The end of everything that the program has said.
    pub(crate) fn log(&self) -> String {
        tail(&self.logs)
    }

    /// Waits until `check` returns something, or the program ends, or the limit is over.
    pub(crate) fn wait_ready<T>(
        &self,
        limit: Duration,
        mut check: impl FnMut() -> Option<T>,
    ) -> Result<T, StartError> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.exit_status() {
                return Err(StartError::Ended { program: self.program.clone(), status, log: self.log() });
            }
            if let Some(ready) = check() {
                return Ok(ready);
            }
            if start.elapsed() > limit {
                return Err(StartError::Late { program: self.program.clone(), limit, log: self.log() });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until the program has ended by itself, for at most `limit`.
    pub(crate) fn wait_exit(&self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.exit_status() {
                return Some(status);
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn exit_status(&self) -> Option<ExitStatus> {
        self.child.lock().try_wait().ok().flatten()
    }

    /// Kills the program as a power cut would and waits until it is gone. Does nothing when it has ended.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock();
        if let Ok(None) = child.try_wait() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the program where it stands and returns when it does stand.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        // The kernel tells when the process has stopped; NOWAIT leaves a process that ended to `Child`.
        let events = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = waitid(WaitId::Pid(self.raw_pid()), events);
    }

    /// As [`Process::pause`]; nothing when it has ended.
    pub(crate) fn pause_if_running(&self) {
        if self.exit_status().is_none() {
            self.pause();
        }
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks the program to end at once (SIGQUIT) and waits for it, at most `limit`; whether it ended by itself now.
    pub(crate) fn end_at_once(&self, limit: Duration) -> bool {
        if self.exit_status().is_some() {
            return false;
        }
        self.signal(Signal::CONT);
        self.signal(Signal::QUIT);
        self.wait_exit(limit).is_some()
    }

    /// Asks the program to shut down; it ends in its own time.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        let mut child = self.child.lock();
        if let Ok(None) = child.try_wait() {
            kill_process(self.raw_pid(), signal)
                .unwrap_or_else(|error| panic!("signal {} (pid {}): {error}", self.program, self.pid));
        } else {
            panic!(
                "{} (pid {}) has ended and cannot be signalled; its log:\n{}",
                self.program,
                self.pid,
                self.log()
            );
        }
    }

    fn raw_pid(&self) -> Pid {
        let pid = i32::try_from(self.pid).expect("Linux's pids fit an i32");
        Pid::from_raw(pid).expect("a child's pid is not 0")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end and returns what it printed; an exit other than success is an error with its log.
pub(crate) fn run(
    program: &str,
    mut command: Command,
    input: Option<&str>,
    limit: Duration,
) -> Result<String, StartError> {
    let folder = tempfile::tempdir().map_err(StartError::io("make a scratch folder"))?;
    let [stdin, stdout, stderr] = ["in", "out", "err"].map(|name| folder.path().join(name));
    std::fs::write(&stdin, input.unwrap_or_default()).map_err(StartError::io("write a program's input"))?;
    command.stdin(File::open(&stdin).map_err(StartError::io("open a program's input"))?);
    let process = Process::start(program, command, &stdout, &stderr)?;
    match process.wait_exit(limit) {
        Some(status) if status.success() => {
            std::fs::read_to_string(&stdout).map_err(StartError::io(format!("read what {program} printed")))
        }
        Some(status) => Err(StartError::Ended { program: program.to_owned(), status, log: process.log() }),
        None => Err(StartError::Late { program: program.to_owned(), limit, log: process.log() }),
    }
}

fn log_file(path: &Path) -> Result<Stdio, StartError> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map(Stdio::from).map_err(StartError::io(format!("open {}", path.display())))
}
