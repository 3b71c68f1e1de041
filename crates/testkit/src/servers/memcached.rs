// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real memcached.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::launcher;
use super::port::{PORT_RETRY_COUNT_MAX, address, free_port};
use super::process::{Process, READY_LIMIT};
use super::scratch::Scratch;
use super::start_error::{StartError, or_panic};

/// How a memcached is started.
#[derive(Debug, Clone)]
pub struct MemcachedOptions {
    /// Room for entries in MiB (`-m`). Default: 64.
    pub memory_mb: u32,
    /// Worker threads (`-t`). Default: 2.
    pub threads: u32,
    /// Further arguments as on the command line, for example `["-I", "2m"]`. Default: none.
    pub args: Vec<String>,
}

impl Default for MemcachedOptions {
    fn default() -> Self {
        Self { memory_mb: 64, threads: 2, args: Vec::new() }
    }
}

/// A memcached on a free port of 127.0.0.1, killed when dropped.
#[derive(Debug)]
pub struct Memcached {
    options: MemcachedOptions,
    address: SocketAddr,
    // Dropped before the folder that it writes to.
    process: Mutex<Arc<Process>>,
    scratch: Scratch,
}

impl Memcached {
    /// Starts a memcached and returns when it answers.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    #[track_caller]
    pub fn start(options: MemcachedOptions) -> Self {
        or_panic(Self::try_start(options))
    }

    fn try_start(options: MemcachedOptions) -> Result<Self, StartError> {
        let scratch = Scratch::try_new()?;
        let mut retry_count = 0;
        loop {
            let address = address(free_port());
            match launch(&options, address, &scratch) {
                Err(error) if error.is_lost_port() && retry_count < PORT_RETRY_COUNT_MAX => retry_count += 1,
                Err(error) => return Err(error),
                Ok(process) => {
                    return Ok(Self { options, address, process: Mutex::new(Arc::new(process)), scratch });
                }
            }
        }
    }

    /// Where it listens; the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The pid of the process that runs now, or ran last.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// The end of what it has said.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Kills it (SIGKILL) and returns when it is gone.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Kills it and starts an empty one on the same port.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    #[track_caller]
    pub fn restart(&self) {
        self.kill();
        let process = or_panic(launch(&self.options, self.address, &self.scratch));
        *self.process.lock() = Arc::new(process);
    }

    /// Stops it where it stands (SIGSTOP): connections stay open and nothing is answered.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// When it has ended.
    pub fn resume(&self) {
        self.process().resume();
    }

    fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process.lock())
    }
}

fn launch(options: &MemcachedOptions, address: SocketAddr, scratch: &Scratch) -> Result<Process, StartError> {
    let mut command = launcher::command("memcached", "memcached")?;
    command.args(["-l", &address.ip().to_string(), "-p", &address.port().to_string(), "-U", "0"]);
    command.args(["-m", &options.memory_mb.to_string(), "-t", &options.threads.to_string()]);
    if rustix::process::geteuid().is_root() {
        command.args(["-u", "root"]);
    }
    command.args(&options.args).current_dir(scratch.path()).stdin(Stdio::null());
    let log = scratch.new_log()?;
    let process = Process::start("memcached", command, &log, &log)?;
    if options.args.iter().any(|arg| arg == "-Z" || arg == "-Y") {
        // It answers nobody who speaks no TLS or shows no password. If a stranger has its port, it ends by itself,
        // which is looked at between two connects.
        let mut connects = 0;
        process.wait_ready(READY_LIMIT, || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
            connects += 1;
            (connects > 2).then_some(())
        })?;
    } else {
        process.wait_ready(READY_LIMIT, || (pid_of(address)? == process.pid()).then_some(()))?;
    }
    Ok(process)
}

/// The pid that the memcached at `address` says it has. Whoever answers a mere connect may be a stranger who
/// took the port before us.
fn pid_of(address: SocketAddr) -> Option<u32> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"stats\r\n").ok()?;
    let first = BufReader::new(stream).lines().next()?.ok()?;
    first.trim_end().strip_prefix("STAT pid ")?.parse().ok()
}
