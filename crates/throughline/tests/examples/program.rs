// SPDX-License-Identifier: MIT OR Apache-2.0
//! An example as its reader runs it: a program of its own, to which commands are given.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use throughline::Access;
use throughline::config::Settings;
use throughline_testkit::{Mariadb, Scratch};

/// Long enough for every time-out on the way of a command, several times over.
const LIMIT: Duration = Duration::from_secs(60);

/// What an example needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) database_url: String,
    pub(crate) memcached: String,
    pub(crate) level: &'static str,
}

impl Environment {
    fn variables(&self) -> [(&str, &str); 3] {
        [("DATABASE_URL", &self.database_url), ("MEMCACHED", &self.memcached), ("LEVEL", self.level)]
    }
}

/// A running example, killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    folder: Scratch,
}

impl Program {
    /// Starts the example `name`, which takes commands, and returns it with what it says first.
    pub(crate) fn start(name: &str, environment: &Environment) -> (Self, String) {
        let mut program = Self::launch(name, &["-"], &environment.variables());
        let first = program.answer();
        (program, first)
    }

    /// Runs the example `name` to the end of its own story, and returns what it says and logs.
    pub(crate) fn tell(name: &str, environment: &Environment) -> String {
        Self::tell_with(name, &environment.variables())
    }

    /// The same with these variables of the environment.
    pub(crate) fn tell_with(name: &str, variables: &[(&str, &str)]) -> String {
        let mut program = Self::launch(name, &[], variables);
        let mut told = String::new();
        while let Ok(line) = program.lines.recv_timeout(LIMIT) {
            told.push_str(&line);
            told.push('\n');
        }
        told.push_str(&program.log());
        let status = program.child.wait().expect("a child can be waited for");
        assert!(status.success(), "{name} ended with {status}:\n{told}");
        told
    }

    /// Runs the example `name`, which cannot start, and returns what it says.
    pub(crate) fn fail(name: &str, environment: &Environment) -> String {
        let mut program = Self::launch(name, &["-"], &environment.variables());
        let status = program.child.wait().expect("a child can be waited for");
        assert!(!status.success(), "{name} started");
        program.log()
    }

    fn launch(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = Scratch::new();
        let log = File::create(folder.join("log")).expect("a scratch folder can be written");
        let mut command = Command::new(built().join(name));
        command.args(args).current_dir(folder.path());
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the example was built");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let (sender, lines) = sync_channel(1_024);
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { input: child.stdin.take(), child, lines, folder }
    }

    /// Gives a command and returns what came of it.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.begin(command);
        self.answer()
    }

    /// Gives a command again and again until `check` is content with what came of it.
    pub(crate) fn ask_until(&mut self, command: &str, mut check: impl FnMut(&str) -> bool) {
        until(command, || check(&self.ask(command)));
    }

    /// Gives a command without waiting.
    pub(crate) fn begin(&mut self, command: &str) {
        let input = self.input.as_mut().expect("standard input is piped");
        writeln!(input, "{command}").unwrap_or_else(|error| panic!("{command}: {error}\n{}", self.log()));
    }

    /// What came of the command that was given: the lines up to an empty one.
    pub(crate) fn answer(&mut self) -> String {
        let mut answer: Vec<String> = Vec::new();
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) if line.is_empty() => return answer.join("\n"),
                Ok(line) => answer.push(line),
                Err(error) => panic!("no answer ({error}) after {answer:?}\n{}", self.log()),
            }
        }
    }

    /// What it has logged. What is logged before an answer is here when the answer is.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the built examples. cargo builds them for a package's tests, but not when one test alone is
/// asked for.
fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--package", "throughline", "--examples"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.expect("cargo builds what it tests").success(), "the examples do not build");
        let own = std::env::current_exe().expect("a test has a path");
        own.ancestors().nth(2).expect("a test lies in target/PROFILE/deps").join("examples")
    })
}

/// Returns when `condition` holds. The condition takes its time itself: it asks a server or a program.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "{what}: not after {LIMIT:?}");
    }
}

/// Makes a database called `name` with the tables of an example's `schema.sql`, and returns its URL.
pub(crate) fn database(mariadb: &Mariadb, name: &str, example: &str) -> String {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example).join("schema.sql");
    let schema = std::fs::read_to_string(schema).expect("each example has a schema");
    let url = mariadb.create_database(name);
    mariadb.execute(&format!("USE `{name}`; {schema}"));
    init(&url);
    url
}

/// Makes the control tables in a database, as `throughline init` does.
pub(crate) fn init(url: &str) {
    let settings = Settings::of_url(url, Access::Read).expect("the server knows its URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(throughline::install(&settings)).expect("the account may do all");
}
