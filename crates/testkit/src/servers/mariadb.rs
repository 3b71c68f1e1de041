// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real MariaDB.

mod data;

use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::launcher;
use super::port::{PORT_RETRY_COUNT_MAX, address, free_port};
use super::process::{Process, READY_LIMIT, run};
use super::scratch::Scratch;
use super::start_error::{StartError, or_panic};

const USER: &str = "throughline";
/// Known to everybody and worth nothing: the server listens on loopback and dies with the test.
const PASSWORD: &str = "scratch-password";
/// The database that exists from the start.
const DATABASE: &str = "throughline";
/// Statements of tests are small; one that takes longer waits for a lock that nobody will give back.
const EXECUTE_LIMIT: Duration = Duration::from_secs(60);

/// How a MariaDB is started.
#[derive(Debug, Clone)]
pub struct MariadbOptions {
    /// Whether COMMIT waits for the disk, as it does in production. Default: true.
    ///
    /// When false, commits survive a killed server but not a power cut, which no test makes; it spares each
    /// commit an fsync.
    pub durable: bool,
    /// Further arguments as on the command line, for example `["--innodb-lock-wait-timeout=2"]`. Default: none.
    pub args: Vec<String>,
}

impl Default for MariadbOptions {
    fn default() -> Self {
        Self { durable: true, args: Vec::new() }
    }
}

impl MariadbOptions {
    /// For tests that do not speak of durability: commits do not wait for the disk.
    pub fn fast() -> Self {
        Self { durable: false, ..Self::default() }
    }
}

/// A MariaDB on a free port of 127.0.0.1 with its own data, killed when dropped.
#[derive(Debug)]
pub struct Mariadb {
    options: MariadbOptions,
    address: SocketAddr,
    // Dropped before the folder that it writes to.
    process: Mutex<Arc<Process>>,
    scratch: Scratch,
}

impl Mariadb {
    /// Starts a MariaDB and returns when it answers.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    #[track_caller]
    pub fn start(options: MariadbOptions) -> Self {
        or_panic(Self::try_start(options))
    }

    fn try_start(options: MariadbOptions) -> Result<Self, StartError> {
        let scratch = Scratch::try_new()?;
        data::create(&scratch)?;
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

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        socket(&self.scratch)
    }

    /// The URL, with user and password, of the database that exists from the start.
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// Makes an empty database and returns its URL. Tests that share a server keep apart this way.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn create_database(&self, name: &str) -> String {
        self.execute(&format!("create database `{name}` character set utf8mb4"));
        self.url_of(name)
    }

    fn url_of(&self, database: &str) -> String {
        format!("mysql://{USER}:{PASSWORD}@{}/{database}", self.address)
    }

    /// Runs statements through the `mariadb` program and returns what it prints: a line per row, tabs between
    /// columns, no header. The first database is `throughline`; `use other;` changes it.
    ///
    /// # Panics
    /// When a statement fails, or the server has not answered after a minute.
    #[track_caller]
    pub fn execute(&self, sql: &str) -> String {
        or_panic(self.try_execute(sql))
    }

    fn try_execute(&self, sql: &str) -> Result<String, StartError> {
        let mut command = launcher::command("mariadb", "mariadb-client-core")?;
        command.args(["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]);
        command.arg(format!("--user={USER}")).env("MYSQL_PWD", PASSWORD);
        command.arg(format!("--socket={}", self.socket().display())).arg(DATABASE);
        run("mariadb", command, Some(sql), EXECUTE_LIMIT)
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

    /// Kills it and starts it again with the same data on the same port.
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

    fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process.lock())
    }
}

fn launch(options: &MariadbOptions, address: SocketAddr, scratch: &Scratch) -> Result<Process, StartError> {
    let socket = socket(scratch);
    let mut command = launcher::command("mariadbd", "mariadb-server-core")?;
    command.args(["--no-defaults", "--skip-name-resolve", "--performance-schema=OFF"]);
    command.arg(format!("--datadir={}", data::folder(scratch).display()));
    command.arg(format!("--socket={}", socket.display()));
    command.arg(format!("--pid-file={}", scratch.join("mariadbd.pid").display()));
    command.arg(format!("--bind-address={}", address.ip())).arg(format!("--port={}", address.port()));
    // Small enough that several run side by side on a small machine.
    command.args(["--innodb-buffer-pool-size=16M", data::LOG_FILE_SIZE]);
    command.args(["--character-set-server=utf8mb4"]);
    command.arg(format!("--innodb-flush-log-at-trx-commit={}", if options.durable { 1 } else { 2 }));
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    data::keep_temporary_files_in(scratch, &mut command);
    command.args(&options.args).current_dir(scratch.path()).stdin(Stdio::null());
    let log = scratch.new_log()?;
    let process = Process::start("mariadbd", command, &log, &log)?;
    process.wait_ready(READY_LIMIT, || greets(&socket).then_some(()))?;
    Ok(process)
}

fn socket(scratch: &Scratch) -> PathBuf {
    scratch.join("mariadb.sock")
}

/// Whether the server speaks on its unix socket. Nobody else can listen in our folder, and the server binds its
/// port before its socket, so this greeting tells that the port is ours too.
fn greets(socket: &std::path::Path) -> bool {
    let greeting = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.read_exact(&mut [0; 5])
    };
    greeting().is_ok()
}
