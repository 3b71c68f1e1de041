// SPDX-License-Identifier: MIT OR Apache-2.0
//! The data folder of a new server, and where its programs are.
//!
//! Making one with `initdb` takes about a second and copying one a tenth of it, so a process makes one and copies
//! it for each server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{DATABASE, PASSWORD, USER};
use crate::servers::launcher;
use crate::servers::process::run;
use crate::servers::scratch::Scratch;
use crate::servers::start_error::StartError;

const INSTALL_LIMIT: Duration = Duration::from_secs(120);
const PACKAGE: &str = "postgresql";
/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user `nobody`, which every Linux has.
const NOBODY: u32 = 65_534;

/// Makes the data folder in `scratch`.
pub(super) fn create(scratch: &Scratch) -> Result<(), StartError> {
    let template = template()?;
    give_away(scratch.path())?;
    let mut copy = launcher::command("cp", "coreutils")?;
    copy.arg("-a").arg(folder(&template)).arg(folder(scratch));
    run("cp", copy, None, INSTALL_LIMIT).map(drop)
}

/// The data folder in `scratch`.
pub(super) fn folder(scratch: &Scratch) -> PathBuf {
    scratch.join("data")
}

/// A command that runs one of PostgreSQL's programs as a user that may, and ends with us: on SIGQUIT a server
/// ends at once with all its processes.
pub(super) fn command(program: &str) -> Result<Command, StartError> {
    let path = find(program)?;
    let mut command = Command::new(launcher::find("setpriv", "util-linux")?);
    if rustix::process::geteuid().is_root() {
        // The kernel forgets the signal when the user changes, so that comes first.
        let id = NOBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
        command.arg(launcher::find("setpriv", "util-linux")?);
    }
    command.args(["--pdeathsig", "QUIT", "--"]).arg(path);
    Ok(command)
}

/// Gives back the System V memory of a killed server, which its lock file names.
pub(super) fn free_shared_memory(scratch: &Scratch) {
    let Ok(lock) = fs::read_to_string(folder(scratch).join("postmaster.pid")) else { return };
    let Some(id) = lock.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) else { return };
    if let Ok(mut command) = launcher::command("ipcrm", "util-linux") {
        command.args(["-m", id]);
        // It may be gone already.
        let _ = run("ipcrm", command, None, Duration::from_secs(5));
    }
}

/// Never dropped, as Rust drops no static; the next process's sweep removes it.
fn template() -> Result<Arc<Scratch>, StartError> {
    static TEMPLATE: Mutex<Option<Arc<Scratch>>> = Mutex::new(None);
    let mut template = TEMPLATE.lock();
    if let Some(scratch) = &*template {
        return Ok(Arc::clone(scratch));
    }
    let scratch = Arc::new(Scratch::try_new()?);
    install(&scratch)?;
    *template = Some(Arc::clone(&scratch));
    Ok(scratch)
}

fn install(scratch: &Scratch) -> Result<(), StartError> {
    give_away(scratch.path())?;
    let password = scratch.join("password");
    fs::write(&password, PASSWORD).map_err(StartError::io("write a password file"))?;
    give_away(&password)?;
    let mut command = command("initdb")?;
    command.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256"]);
    command.arg(format!("--username={USER}")).arg(format!("--pwfile={}", password.display()));
    command.arg("-D").arg(folder(scratch)).current_dir(scratch.path());
    run("initdb", command, None, INSTALL_LIMIT)?;
    let mut single = self::command("postgres")?;
    single.args(["--single", "-F", "-D"]).arg(folder(scratch)).arg("postgres").current_dir(scratch.path());
    run("postgres", single, Some(&format!("create database {DATABASE}\n")), INSTALL_LIMIT).map(drop)
}

/// Gives a file to the user that the server runs as.
pub(in crate::servers) fn give_away(path: &Path) -> Result<(), StartError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))
        .map_err(StartError::io("give a file to the server's user"))
}

/// Where `program` is: in Debian's folder of the newest version, or in `PATH`.
fn find(program: &str) -> Result<PathBuf, StartError> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).filter(|path| number(path).is_some()).max_by_key(number);
    match newest.map(|version| version.join("bin").join(program)).filter(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => launcher::find(program, PACKAGE),
    }
}
