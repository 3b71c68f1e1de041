// SPDX-License-Identifier: MIT OR Apache-2.0
//! Folders that are gone when the test is.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::start_error::{StartError, or_panic};

/// The beginning of a scratch folder's name. The folder's owner holds the lock of the file [`LOCK`] in it.
const PREFIX: &str = "throughline-test-";
const LOCK: &str = "owner.lock";

/// A folder for one server's files, removed when dropped.
///
/// A process that is killed removes nothing. Therefore the first scratch folder of each process removes those
/// whose owner is gone, which shows in a lock that nobody holds.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes an empty folder among the system's temporary files.
    ///
    /// # Panics
    /// When the operating system refuses.
    #[expect(clippy::new_without_default, reason = "a default value that makes a folder would surprise")]
    pub fn new() -> Self {
        or_panic(Self::try_new())
    }

    pub(crate) fn try_new() -> Result<Self, StartError> {
        static SWEEP: Once = Once::new();
        let root = std::env::temp_dir();
        SWEEP.call_once(|| sweep(&root));
        make(&root).map_err(StartError::io(format!("make a scratch folder in {}", root.display())))
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A log file of its own for each start, so that an error never shows an earlier start's words.
    pub(crate) fn new_log(&self) -> Result<PathBuf, StartError> {
        let file = tempfile::Builder::new().prefix("log-").tempfile_in(&self.path);
        let kept = file.and_then(|file| file.keep().map_err(|error| error.error));
        kept.map(|(_, path)| path).map_err(StartError::io("make a log file"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that resists is left to the next process's sweep; a panic here could hide the test's own.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn make(root: &Path) -> io::Result<Scratch> {
    // The lock is taken under a name that no sweep looks at, and the rename makes folder and lock appear at once.
    let unborn = tempfile::Builder::new().prefix("throughline-unborn-").tempdir_in(root)?;
    let lock = File::create(unborn.path().join(LOCK))?;
    lock.lock()?;
    let unborn = unborn.keep();
    let name =
        unborn.file_name().unwrap_or_default().to_string_lossy().replace("throughline-unborn-", PREFIX);
    let path = root.join(name);
    fs::rename(&unborn, &path)?;
    Ok(Scratch { path, _lock: lock })
}

fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_))),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::{Scratch, make, sweep};

    #[test]
    fn a_dropped_folder_is_gone() {
        let scratch = Scratch::new();
        fs::write(scratch.join("file"), "content").unwrap();
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_sweep_removes_what_a_killed_process_left() {
        let root = tempfile::tempdir().unwrap();
        let mut scratch = make(root.path()).unwrap();
        // Closing the lock without removing the folder is what the kernel does for a killed process.
        scratch._lock = File::create(root.path().join("another")).unwrap();
        sweep(root.path());
        assert!(!scratch.path().exists());
    }

    #[test]
    fn a_sweep_leaves_folders_in_use() {
        let root = tempfile::tempdir().unwrap();
        let scratch = make(root.path()).unwrap();
        sweep(root.path());
        assert!(scratch.path().exists());
    }
}
