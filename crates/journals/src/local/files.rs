// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the journal asks of a disk; a seam, so that tests can take the power away.

use std::fmt;
use std::io;

/// A folder that this process alone writes to. Called from one thread, which waits.
pub trait Files: fmt::Debug + Send + 'static {
    /// The names of all files.
    ///
    /// # Errors
    /// The system's.
    fn names(&mut self) -> io::Result<Vec<String>>;

    /// Makes a file of `length` zeros, on room that is the file's from now on. A file of that name is emptied.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when there is no room, and then the file may be there, shorter.
    fn create(&mut self, name: &str, length: u64) -> io::Result<Box<dyn SegmentFile>>;

    /// Opens a file that is there.
    ///
    /// # Errors
    /// The system's.
    fn open(&mut self, name: &str) -> io::Result<Box<dyn SegmentFile>>;

    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes what was created and removed survive a loss of power.
    ///
    /// # Errors
    /// The system's; whether it survives is not known then.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// One file of a [`Files`].
pub trait SegmentFile: fmt::Debug + Send + 'static {
    /// Everything in it.
    ///
    /// # Errors
    /// The system's.
    fn read(&mut self) -> io::Result<Vec<u8>>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The system's; any part may have been written then.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off, or adds zeros.
    ///
    /// # Errors
    /// The system's.
    fn set_length(&mut self, length: u64) -> io::Result<()>;

    /// Makes the contents and the length survive a loss of power.
    ///
    /// # Errors
    /// The system's. What was written before may be lost then even if a later call succeeds, because systems forget
    /// what they failed to write.
    fn sync(&mut self) -> io::Result<()>;
}
