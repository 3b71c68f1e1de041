// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many megabytes per second does a journal read when it is opened, beside a bare read with CRC32C?
//!
//! Three million records of 200 bytes, all pending; the files are in the system's page cache, because what is asked is our own share
//! of the time. Bare: the same files, each read whole, one CRC32C over it. A journal writes its first segment and syncs when it is opened, which
//! is part of the time.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use throughline_bench::{Claim, Rounds, print_machine};
use throughline_core::Journal as _;
use throughline_journals::{LocalJournal, LocalJournalConfig};
use tokio::runtime::Builder;

const SEED: u64 = 1;
const RECORDS: usize = 3_000_000;
const RECORD: usize = 200;
const ROUNDS: usize = 7;
/// Megabytes per second.
const WANTED: f64 = 200.0;

fn main() {
    print_machine("opening a journal, beside reading its files", SEED);
    let folder = tempfile::tempdir().unwrap();
    let config = LocalJournalConfig {
        entry_count_max: 2 * RECORDS,
        bytes_max: 8 << 30,
        ..LocalJournalConfig::new(folder.path().join("journal"))
    };
    fill(&config);
    let bytes: u64 = segments(&config.folder).iter().map(|path| path.metadata().unwrap().len()).sum();
    println!(
        "{RECORDS} pending records of {RECORD} bytes, {} MB on disk, in the page cache",
        bytes / 1_000_000
    );
    let (mut wanted, mut beside) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let ours = rate(&config.folder, || {
            let opened = LocalJournal::open(&config).unwrap();
            assert_eq!(opened.pending.len(), RECORDS);
            opened
        });
        let bare = rate(&config.folder, || read_all(&config.folder));
        wanted.add(ours, WANTED);
        beside.add(ours, bare);
    }
    wanted.print("opened", "wanted", "MB/s", Claim::AtLeast(1.0));
    // Ours copies each record, notes its position, and syncs a new segment; a tenth is no claim of the project, only a guard.
    beside.print("opened", "read and CRC32C", "MB/s", Claim::AtLeast(0.1));
}

/// Appends the records, a thousand at a time.
fn fill(config: &LocalJournalConfig) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let opened = LocalJournal::open(config).unwrap();
    for first in (0..RECORDS).step_by(1_000) {
        let appends: Vec<_> = (first..first + 1_000)
            .map(|number| opened.journal.append(Bytes::from(format!("{number:->RECORD$}"))))
            .collect();
        for append in appends {
            runtime.block_on(append).unwrap();
        }
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|name| name == "log")).collect()
}

/// Megabytes of the files per second of `work`; what it made is dropped after the time was taken.
fn rate<T>(folder: &Path, work: impl FnOnce() -> T) -> f64 {
    let bytes: u64 = segments(folder).iter().map(|path| path.metadata().unwrap().len()).sum();
    let began = Instant::now();
    let made = work();
    let seconds = began.elapsed().as_secs_f64();
    drop(black_box(made));
    bytes as f64 / 1e6 / seconds
}

fn read_all(folder: &Path) -> u32 {
    let mut buffer = Vec::new();
    segments(folder).iter().fold(0, |crc, path| {
        buffer.clear();
        std::fs::File::open(path).unwrap().read_to_end(&mut buffer).unwrap();
        crc ^ crc32c::crc32c(&buffer)
    })
}
