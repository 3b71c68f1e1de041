// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real PostgreSQL.

mod data;
mod processes;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::port::{PORT_RETRY_COUNT_MAX, address, free_port};
use super::process::{Process, READY_LIMIT, run};
use super::scratch::Scratch;
use super::start_error::{StartError, or_panic};

pub(super) use data::give_away;

const USER: &str = "throughline";
/// Known to everybody and worth nothing: the server listens on loopback and dies with the test.
const PASSWORD: &str = "scratch-password";
/// The database that exists from the start.
const DATABASE: &str = "throughline";
/// Statements of tests are small; one that takes longer waits for a lock that nobody will give back.
const EXECUTE_LIMIT: Duration = Duration::from_secs(60);
/// How long a server that is told to end at once may take for it.
const END_LIMIT: Duration = Duration::from_secs(5);

/// How a PostgreSQL is started.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Whether COMMIT waits for the disk, as it does in production. Default: true.
    ///
    /// When false, commits survive a killed server but not a power cut, which no test makes.
    pub durable: bool,
    /// Further settings, for example `["max_connections=20"]`. Default: none.
    pub settings: Vec<String>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { durable: true, settings: Vec::new() }
    }
}

impl PostgresOptions {
    /// For tests that do not speak of durability: commits do not wait for the disk.
    pub fn fast() -> Self {
        Self { durable: false, ..Self::default() }
    }
}

/// A PostgreSQL on a free port of 127.0.0.1 with its own data, ended when dropped.
///
/// PostgreSQL refuses to run as root, so for root it runs as the user that owns nothing.
#[derive(Debug)]
pub struct Postgres {
    options: PostgresOptions,
    address: SocketAddr,
    // Dropped before the folder that it writes to.
    process: Mutex<Arc<Process>>,
    scratch: Scratch,
}

impl Postgres {
    /// Starts a PostgreSQL and returns when it answers.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    #[track_caller]
    pub fn start(options: PostgresOptions) -> Self {
        or_panic(Self::try_start(options))
    }

    fn try_start(options: PostgresOptions) -> Result<Self, StartError> {
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

    /// The folder of its data, configuration included.
    pub fn data(&self) -> PathBuf {
        data::folder(&self.scratch)
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
        self.execute(&format!("create database \"{name}\""));
        self.url_of(name)
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@{}/{database}", self.address)
    }

    /// Runs statements in the database `throughline` through the `psql` program and returns what it prints: a
    /// line per row, tabs between columns, no header.
    ///
    /// # Panics
    /// When a statement fails, or the server has not answered after a minute.
    #[track_caller]
    pub fn execute(&self, sql: &str) -> String {
        self.execute_in(DATABASE, sql)
    }

    /// As [`Postgres::execute`], in another database.
    ///
    /// # Panics
    /// As [`Postgres::execute`].
    #[track_caller]
    pub fn execute_in(&self, database: &str, sql: &str) -> String {
        or_panic(self.try_execute(database, sql))
    }

    fn try_execute(&self, database: &str, sql: &str) -> Result<String, StartError> {
        let mut command = data::command("psql")?;
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"]);
        command.args(["--set=ON_ERROR_STOP=1", &format!("--username={USER}"), "--no-password"]);
        command.arg(format!("--host={}", self.address.ip())).arg(format!("--port={}", self.address.port()));
        command.arg(format!("--dbname={database}")).env("PGPASSWORD", PASSWORD).env("PGOPTIONS", "");
        run("psql", command, Some(sql), EXECUTE_LIMIT)
    }

    /// The pid of the postmaster that runs now, or ran last.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// The end of what it has said.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Kills it with all its processes (SIGKILL) and returns when it is gone.
    pub fn kill(&self) {
        let process = self.process();
        // Where it stands it adds no process behind our look, which would outlive it and keep the next one from starting.
        process.pause_if_running();
        let children = processes::children(process.pid());
        process.kill();
        processes::kill(&children);
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

    /// Stops it with all its processes where they stand (SIGSTOP): connections stay open and nothing is answered.
    ///
    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn pause(&self) {
        let process = self.process();
        // The postmaster first, so that no process is added behind our look.
        process.pause();
        processes::pause(&processes::children(process.pid()));
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn resume(&self) {
        let process = self.process();
        processes::resume(&processes::children(process.pid()));
        process.resume();
    }

    /// Makes it read its configuration files again (SIGHUP).
    ///
    /// # Panics
    /// When it refuses.
    #[track_caller]
    pub fn reload(&self) {
        self.execute("select pg_reload_conf()");
    }

    fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process.lock())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let process = self.process();
        processes::resume(&processes::children(process.pid()));
        // A server that ends by itself gives its System V memory back, of which a machine has a few thousand
        // pieces; a killed one cannot.
        if !process.end_at_once(END_LIMIT) {
            self.kill();
            data::free_shared_memory(&self.scratch);
        }
    }
}

fn launch(options: &PostgresOptions, address: SocketAddr, scratch: &Scratch) -> Result<Process, StartError> {
    let mut command = data::command("postgres")?;
    command.arg("-D").arg(data::folder(scratch));
    let mut settings = vec![
        format!("listen_addresses={}", address.ip()),
        format!("port={}", address.port()),
        format!("unix_socket_directories={}", scratch.path().display()),
        // Small enough that several run side by side on a small machine.
        "shared_buffers=16MB".to_owned(),
        "max_connections=200".to_owned(),
        // In a file of the data folder, so that a killed server leaves nothing behind.
        "dynamic_shared_memory_type=mmap".to_owned(),
        "autovacuum=off".to_owned(),
        "logging_collector=off".to_owned(),
    ];
    if !options.durable {
        settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
    }
    for setting in settings.iter().chain(&options.settings) {
        command.arg("-c").arg(setting);
    }
    command.current_dir(scratch.path()).stdin(Stdio::null());
    let log = scratch.new_log()?;
    let process = Process::start("postgres", command, &log, &log)?;
    let socket = scratch.join(&format!(".s.PGSQL.{}", address.port()));
    process.wait_ready(READY_LIMIT, || answers(&socket).then_some(()))?;
    Ok(process)
}

/// Whether the server takes connections: it asks for a password then, and refuses with an error while it starts.
/// Nobody else can listen in our folder, and the server binds its port before its socket.
fn answers(socket: &Path) -> bool {
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut message = Vec::from(196_608_u32.to_be_bytes());
        message.extend(format!("user\0{USER}\0database\0{DATABASE}\0\0").into_bytes());
        let length = u32::try_from(message.len() + 4).expect("a short message");
        stream.write_all(&[&length.to_be_bytes(), message.as_slice()].concat())?;
        let mut kind = [0];
        stream.read_exact(&mut kind).map(|()| kind)
    };
    matches!(ask(), std::io::Result::Ok([b'R']))
}
