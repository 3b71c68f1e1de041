// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts programs that die with us.
//!
//! `setpriv --pdeathsig KILL` (util-linux, part of every Debian) asks the kernel to kill the program when its
//! parent is gone, even if the parent was killed. For the kernel the parent is the *thread* that forked, and the
//! test harness ends the thread of each test. Therefore one thread, which lives as long as the process, forks
//! for all.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use super::start_error::StartError;

/// A command and where to answer with the child. Each caller waits for its answer, so the queue holds at most
/// one request per thread.
type Request = (Command, SyncSender<io::Result<Child>>);

/// Starts `command`, which must have been made by [`command`].
pub(crate) fn launch(command: Command) -> io::Result<Child> {
    static LAUNCHER: OnceLock<Sender<Request>> = OnceLock::new();
    let launcher = LAUNCHER.get_or_init(|| {
        let (sender, receiver) = channel();
        std::thread::Builder::new()
            .name("launcher".to_owned())
            .spawn(move || serve(&receiver))
            .expect("a process that starts servers can start a thread");
        sender
    });
    let (answer, answers) = sync_channel(1);
    launcher.send((command, answer)).expect("the launcher ends only with the process");
    answers.recv().expect("the launcher answers every request")
}

fn serve(requests: &Receiver<Request>) {
    for (mut command, answer) in requests {
        // Whoever asked is gone when its thread panicked; then there is nobody to tell.
        let _ = answer.send(command.spawn());
    }
}

/// A command that runs an installed program so that the kernel kills it when we are gone.
pub(crate) fn command(program: &str, package: &'static str) -> Result<Command, StartError> {
    built_command(&find(program, package)?)
}

/// As [`command`], for a program whose path is known.
pub(crate) fn built_command(program: &Path) -> Result<Command, StartError> {
    let mut command = Command::new(find("setpriv", "util-linux")?);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    Ok(command)
}

/// Where the installed `program` is, by `PATH` and by the folders of servers, which Debian keeps out of a user's
/// `PATH`.
pub(crate) fn find(program: &str, package: &'static str) -> Result<PathBuf, StartError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    found.ok_or_else(|| StartError::Missing { program: program.to_owned(), package })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_missing_program_names_its_package_and_the_way_to_get_it() {
        let error = find("no-such-server", "no-such-package").unwrap_err().to_string();
        assert!(error.contains("no-such-server is not installed"), "{error}");
        assert!(error.contains("Debian package no-such-package (./test installs it)"), "{error}");
    }
}
