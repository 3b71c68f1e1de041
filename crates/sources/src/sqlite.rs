// SPDX-License-Identifier: MIT OR Apache-2.0
//! SQLite: one file, one thread that writes, a few that read.
//!
//! A load is queued, a reading thread takes what waits in a batch, probes the keys of the prepared write
//! and reads all of them under one snapshot. A write runs on the writing thread, which holds its transaction
//! open until the caller has marked the cache and commits. Commits are on the disk (WAL, `synchronous = FULL`).

mod apply;
mod catalogue;
mod client;
mod config;
mod drain;
mod held;
mod lock;
mod map;
mod open;
mod outbox;
mod owners;
mod plan;
mod prepared;
mod queue;
mod reader;
mod stats;
mod table;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result};
use tokio::sync::{oneshot, watch};

use self::plan::Plan;
use crate::sql::{HiddenChange, Mapping, Table, TableMapping, hidden_changes};
use crate::transaction::Members;

pub use config::SqliteConfig;
pub use drain::{install, install_script};
pub use outbox::{SqliteFeed, install_outbox, outbox_statements, remove_own};
pub use stats::SqliteStats;
pub use table::SqliteTable;

const OPEN: &str = "open an SQLite database";
const POLL: &str = "look for changes by others";

/// An open SQLite database. The last of its clones and tables ends its threads.
#[derive(Clone, Debug)]
pub struct SqliteSource {
    shared: Arc<Shared>,
    /// Fails once every thread has ended.
    ended: watch::Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    file: String,
    /// Where the file is on this machine, as exactly as can be told.
    identity: String,
    tables: Arc<[SourceTable]>,
    requests: Arc<queue::Queue<reader::Request>>,
    jobs: Arc<queue::Queue<writer::Job>>,
    counters: Arc<stats::Counters>,
    lock: Option<lock::FileLock>,
    members: Members<Plan>,
}

/// A table of the catalogue.
#[derive(Debug)]
struct SourceTable {
    table: Arc<Table>,
    /// Whether its columns are no longer what `table` says.
    altered: AtomicBool,
}

impl SqliteSource {
    /// Opens the file and reads its catalogue. Blocks while the file is read.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for settings that cannot be, [`ErrorKind::Unavailable`] when the file is not
    /// there, [`ErrorKind::Corrupt`] when it is no database, [`ErrorKind::Timeout`] when another program
    /// holds it, [`ErrorKind::Denied`] without the system's permission.
    pub fn open(config: &SqliteConfig) -> Result<Self> {
        if !(1..=64).contains(&config.reader_count) || config.queue_len_max == 0 {
            let detail = "`reader_count` must be 1 to 64 and `queue_len_max` at least 1";
            return Err(Error::new(ErrorKind::Configuration, OPEN, detail));
        }
        let file = client::file_name(&config.path);
        let fails = |cause| map::error(OPEN, &file, cause);
        let connection = client::open_writer(config)?;
        if let Some(seed) = &config.seed {
            client::seed(&connection, seed).map_err(fails)?;
        }
        let seen = writer::Seen::now(&connection).map_err(fails)?;
        let tables = catalogue::read(&connection).map_err(fails)?;
        let shared = Shared {
            identity: identity(&config.path),
            tables: tables.into_iter().map(SourceTable::new).collect(),
            requests: Arc::new(queue::Queue::new(config.queue_len_max, config.reader_count)),
            jobs: Arc::new(queue::Queue::new(config.queue_len_max, 1)),
            counters: Arc::default(),
            members: Members::default(),
            lock: if config.read_only { None } else { lock::FileLock::take(&config.path) },
            file,
        };
        let fed = outbox::fed(&connection, &shared.tables)
            .map_err(|cause| map::error(OPEN, &shared.file, cause))?;
        let held = Arc::default();
        let (alive, ended) = watch::channel(());
        let alive = Arc::new(alive);
        let writer = writer::Writer {
            connection,
            file: shared.file.clone(),
            jobs: Arc::clone(&shared.jobs),
            held: Arc::clone(&held),
            counters: Arc::clone(&shared.counters),
            tables: Arc::clone(&shared.tables),
            prepared_wait: Duration::from_millis(config.prepared_ms_max.into()),
            life: open::Life {
                idle: Duration::from_millis(config.transaction_idle_ms_max.into()),
                whole: Duration::from_millis(config.transaction_ms_max.into()),
            },
            members: shared.members.clone(),
            fed,
            seen,
        };
        // From here on dropping `source` ends whatever threads were begun.
        let source = Self { shared: Arc::new(shared), ended };
        begin("sqlite-writer", &alive, move || writer.run())?;
        for _ in 0..config.reader_count {
            let reader = reader::Reader {
                connection: client::open_reader(config)?,
                requests: Arc::clone(&source.shared.requests),
                held: Arc::clone(&held),
                counters: Arc::clone(&source.shared.counters),
            };
            begin("sqlite-reader", &alive, move || reader.run())?;
        }
        Ok(source)
    }

    /// The tables and views, by name; [`Table::unservable`] says which cannot be resources.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &Arc<Table>> {
        self.shared.tables.iter().map(|table| &table.table)
    }

    /// The tables that cascades and triggers change, so that their resources cannot be strict.
    pub fn hidden_changes(&self) -> Vec<HiddenChange> {
        let tables: Vec<Table> = self.tables().map(|table| Table::clone(table)).collect();
        hidden_changes(&tables)
    }

    /// The loads and writes of one table.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no such table or it does not fit `settings`.
    pub fn resource(&self, settings: &TableMapping) -> Result<Arc<SqliteTable>> {
        let names = || self.tables().map(|table| table.name.as_str());
        let place = names()
            .position(|name| name == settings.table)
            .or_else(|| names().position(|name| name.eq_ignore_ascii_case(&settings.table)))
            .ok_or_else(|| {
                let detail = format!("`{}`: there is no table `{}`", self.shared.file, settings.table);
                Error::new(ErrorKind::Configuration, "map a table", detail)
            })?;
        let mapping = Mapping::new(Arc::clone(&self.shared.tables[place].table), settings)?;
        let is_hidden = self.hidden_changes().iter().any(|hidden| hidden.table == mapping.table().name);
        let plan = Arc::new(plan::Plan::new(place, self.shared.file.clone(), mapping, is_hidden));
        let member = self.shared.members.add(Arc::clone(&plan));
        Ok(Arc::new(SqliteTable::new(Arc::clone(&self.shared), plan, member)))
    }

    /// Whether no other daemon has this file open, as far as the lock file beside it tells: then what goes
    /// through this source is all that Throughline writes to it.
    pub fn owned(&self) -> bool {
        self.shared.lock.is_some()
    }

    /// Whether another program committed since this was last asked (or since the file was opened). If it
    /// altered a table's columns too, that table's loads and writes fail from now on.
    ///
    /// # Errors
    /// As for a load.
    pub async fn changed_behind_our_back(&self) -> Result<bool> {
        let (reply, answer) = oneshot::channel();
        // Behind the writes that wait it would come too late to be of use.
        self.shared.jobs.push_first(POLL, writer::Job::Poll { reply })?;
        answer.await.unwrap_or_else(|_| Err(closed(POLL)))
    }

    /// What was counted so far.
    pub fn stats(&self) -> SqliteStats {
        self.shared.counters.stats()
    }

    /// Takes no new work, answers what waits, ends the threads and waits for them. A prepared write has
    /// until its time runs out.
    pub async fn close(&self) {
        self.shared.close();
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

impl SourceTable {
    fn new(table: Table) -> Self {
        Self { table: Arc::new(table), altered: AtomicBool::new(false) }
    }
}

impl Shared {
    fn close(&self) {
        self.requests.close();
        self.jobs.close();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

/// Begins a thread that holds `alive` until it ends.
fn begin(name: &str, alive: &Arc<watch::Sender<()>>, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let alive = Arc::clone(alive);
    let thread = std::thread::Builder::new().name(name.into());
    let begun = thread.spawn(move || {
        work();
        drop(alive);
    });
    begun.map(drop).map_err(|cause| {
        Error::new(ErrorKind::Overloaded, OPEN, "the system gives no thread").with_cause(cause)
    })
}

fn identity(path: &Path) -> String {
    let exact = path.canonicalize();
    exact.as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the SQLite source is closed")
}
