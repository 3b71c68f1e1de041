// SPDX-License-Identifier: MIT OR Apache-2.0
//! The data folder of a new server.
//!
//! Making one with `mariadb-install-db` takes about 0.8 s and copying one 0.05 s, so a process makes one and
//! copies it for each server.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
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

/// MariaDB's own default, 96 MiB, would have to be written for each new server.
pub(super) const LOG_FILE_SIZE: &str = "--innodb-log-file-size=8M";
const INSTALL_LIMIT: Duration = Duration::from_secs(120);

/// Makes the data folder in `scratch`.
pub(super) fn create(scratch: &Scratch) -> Result<(), StartError> {
    let template = template()?;
    copy(&folder(&template), &folder(scratch)).map_err(StartError::io("copy the template of MariaDB's data"))
}

/// The data folder in `scratch`.
pub(super) fn folder(scratch: &Scratch) -> PathBuf {
    scratch.join("data")
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
    let accounts = scratch.join("accounts.sql");
    fs::write(&accounts, accounts_sql()).map_err(StartError::io("write the accounts"))?;
    let mut command = launcher::command("mariadb-install-db", "mariadb-server-core")?;
    // Root's login is by the unix socket, so that no account is without a password.
    command.args(["--no-defaults", "--skip-test-db", "--skip-name-resolve", LOG_FILE_SIZE]);
    command.arg("--auth-root-authentication-method=socket");
    command.arg(format!("--datadir={}", folder(scratch).display()));
    command.arg(format!("--extra-file={}", accounts.display()));
    if rustix::process::geteuid().is_root() {
        command.env("MYSQLD_BOOTSTRAP", root_mariadbd(scratch)?);
    }
    keep_temporary_files_in(scratch, &mut command);
    run("mariadb-install-db", command, None, INSTALL_LIMIT).map(drop)
}

/// A starting MariaDB removes what looks like its temporary tables from its folder of temporary files. In a shared
/// one those are the tables of another server that is running.
pub(super) fn keep_temporary_files_in(scratch: &Scratch, command: &mut Command) {
    command.arg(format!("--tmpdir={}", scratch.path().display()));
}

/// A `mariadbd` that agrees to run as root.
///
/// `mariadb-install-db --user=root` would do as well, but it also gives the PAM plug-in's folder of the installed
/// MariaDB to root, which breaks that plug-in for the system's own server.
fn root_mariadbd(scratch: &Scratch) -> Result<PathBuf, StartError> {
    let path = scratch.join("root-mariadbd");
    let mariadbd = launcher::find("mariadbd", "mariadb-server-core")?;
    let script = format!("#!/bin/sh\nexec '{}' \"$@\" --user=root\n", mariadbd.display());
    let written =
        fs::write(&path, script).and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)));
    written.map_err(StartError::io("write a script"))?;
    Ok(path)
}

fn accounts_sql() -> String {
    // The bootstrap runs without grants until they are flushed, and takes one statement per line.
    format!(
        "flush privileges;\n\
         create database {DATABASE} character set utf8mb4;\n\
         create user {USER}@'%' identified by '{PASSWORD}';\n\
         grant all privileges on *.* to {USER}@'%' with grant option;\n\
         delete from mysql.global_priv where User='';\n"
    )
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
