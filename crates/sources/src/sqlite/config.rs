// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set about an SQLite source.

use std::path::PathBuf;

/// Where the file is and how it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteConfig {
    /// The database file. `:memory:` is not taken: each connection would have a database of its own.
    pub path: PathBuf,
    /// Whether the file is made when it is not there. Default: no.
    pub create: bool,
    /// Statements that are run, in one transaction, on a database without any table. Default: none.
    pub seed: Option<String>,
    /// Whether nothing may be written. Then the file's journal mode stays as it is, and no lock file is
    /// made beside it, so the source is never [`super::SqliteSource::owned`]. Default: no.
    pub read_only: bool,
    /// How long a statement waits for another program's lock. Default: 2,000.
    pub busy_timeout_ms: u32,
    /// How many connections read at the same time, 1 to 64. Default: 2.
    pub reader_count: usize,
    /// How many loads, and how many writes, may wait for a connection; beyond it they are refused as
    /// overload. Default: 4,096.
    pub queue_len_max: usize,
    /// How long a prepared write may wait for its commit before it is rolled back. Default: 5,000.
    pub prepared_ms_max: u32,
    /// How long a transaction may ask for nothing before it is rolled back: nobody else writes meanwhile. Default: 1,000.
    pub transaction_idle_ms_max: u32,
    /// How long a transaction may be open before it is rolled back. Default: 5,000.
    pub transaction_ms_max: u32,
}

impl SqliteConfig {
    /// The defaults for the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            create: false,
            seed: None,
            read_only: false,
            busy_timeout_ms: 2_000,
            reader_count: 2,
            queue_len_max: 4_096,
            prepared_ms_max: 5_000,
            transaction_idle_ms_max: 1_000,
            transaction_ms_max: 5_000,
        }
    }
}
