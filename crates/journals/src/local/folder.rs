// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real folder, locked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use throughline_core::{Error, ErrorKind, Result};

use super::files::{Files, SegmentFile};

/// The file that the owner locks and writes its process id to. It stays behind: removing it would let two
/// processes lock two files of one name.
const LOCK: &str = "lock";

/// A folder that no other process has, as long as this lives; the system ends the lock with the process.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The folder itself, to sync it.
    handle: File,
    _lock: File,
}

impl Folder {
    /// Takes the folder at `path`, and makes it if there is none. Waits for the disk.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when another process has it, naming that; [`ErrorKind::Unavailable`] when it cannot
    /// be made or written.
    pub fn take(path: &Path) -> Result<Self> {
        let failed = |what: &str, error: io::Error| {
            let detail = format!("{what} `{}`: {}", path.display(), error.kind());
            Error::new(ErrorKind::Unavailable, "open a journal", detail).with_cause(error)
        };
        fs::create_dir_all(path).map_err(|error| failed("cannot make the folder", error))?;
        // The folder's own name must survive as well.
        if let Some(parent) = path.canonicalize().ok().as_deref().and_then(Path::parent) {
            let synced = File::open(parent).and_then(|parent| parent.sync_all());
            synced.map_err(|error| failed("cannot sync the folder above", error))?;
        }
        let handle = File::open(path).map_err(|error| failed("cannot open the folder", error))?;
        let lock = path.join(LOCK);
        let options = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&lock);
        let mut lock = options.map_err(|error| failed("cannot make a lock file in", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(taken(path, &mut lock)),
            Err(fs::TryLockError::Error(error)) => return Err(failed("cannot lock the folder", error)),
        }
        let named = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        named.map_err(|error| failed("cannot write to the lock file in", error))?;
        Ok(Self { path: path.to_owned(), handle, _lock: lock })
    }
}

fn taken(path: &Path, lock: &mut File) -> Error {
    let mut owner = String::new();
    let owner = match lock.take(20).read_to_string(&mut owner) {
        Ok(1..) if owner.bytes().all(|b| b.is_ascii_digit()) => format!("process {owner}"),
        _ => "another process".to_owned(),
    };
    let detail =
        format!("{owner} has the folder `{}`; stop it, or choose another `data_dir`", path.display());
    Error::new(ErrorKind::Configuration, "open a journal", detail)
}

impl Files for Folder {
    fn names(&mut self) -> io::Result<Vec<String>> {
        let names =
            fs::read_dir(&self.path)?.map(|file| Ok(file?.file_name().into_string().unwrap_or_default()));
        names.collect()
    }

    fn create(&mut self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        let options =
            OpenOptions::new().create(true).truncate(true).read(true).write(true).open(self.path.join(name));
        let file = options?;
        allocate(&file, length)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// With the room at hand a sync need not note a new length, and a full disk is met here and not half-way.
#[cfg(target_os = "linux")]
fn allocate(file: &File, length: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length) {
        // Not every file system can (NFS, some overlays).
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(length),
        outcome => Ok(outcome?),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, length: u64) -> io::Result<()> {
    file.set_len(length)
}

#[derive(Debug)]
struct RealFile(File);

impl SegmentFile for RealFile {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.0.metadata()?.len()).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
