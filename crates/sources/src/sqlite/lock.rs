// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lock file beside the database, by which daemons know of each other.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// An exclusive advisory lock that the system releases when the process ends, however it ends.
///
/// It is on a file of our own, because SQLite uses locks on the database file itself. The file stays
/// behind: removing it would let two daemons lock two files of one name.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock of the database at `path`, or `None` when another holds it or no file can be made there.
    pub(super) fn take(path: &Path) -> Option<Self> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path)).ok()?;
        file.try_lock().ok()?;
        Some(Self { _file: file })
    }
}

/// `shop.db-throughline`, in the folder of the file that the path leads to.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push("-throughline");
    name.into()
}
