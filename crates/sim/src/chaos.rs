// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run: a system, a workload and faults, then healing, quiet, and the checks.

mod convergence;

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result, Rng};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions, Scratch};

use crate::checker::wgl::{self, Decision};
use crate::checker::{Probe, check, differing};
use crate::faults::{Counts, Fault, Injector, Targets};
use crate::history::History;
use crate::report::Report;
use crate::sut::{DaemonPlan, Daemons, NaiveAdd, NaiveDelete, NoCache, PairOptions, System};
use crate::truth_table::{TruthTable, options};
use crate::{Epoch, Workload};

/// How many operations of each key go through the search that does not trust the audit table.
const SEARCH_LEN_MAX: usize = 30_000;
/// The least that memcached takes, twice its largest item; for runs in which it is to evict.
const MEMORY_MIN_MB: u32 = 2;
/// Without a binary log InnoDB shows a commit to others before its log is on disk: a database that is killed at
/// that moment has shown what it then never had, and no cache in front of it can help. With one, a commit is
/// prepared on disk and written to the binary log before anybody sees it.
const DURABLE_BEFORE_VISIBLE: [&str; 3] = ["--log-bin=binary-log", "--sync-binlog=1", "--binlog-format=ROW"];

/// What a run does, whatever the system.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// What the workers do.
    pub workload: Workload,
    /// Which faults are injected meanwhile.
    pub faults: Vec<Fault>,
    /// How long everything rests before the last look: longer than marks and leases live.
    pub quiet: Duration,
}

/// A system whose verdict is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The database alone: strict.
    NoCache,
    /// A read fills by `add`, a write sets after its commit: stale.
    NaiveAdd,
    /// A read fills by `set`, a write deletes after its commit: stale.
    NaiveDelete,
}

impl Control {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoCache, Self::NaiveAdd, Self::NaiveDelete];
}

/// The real servers of all runs: one MariaDB, and for each run a database and a memcached of its own.
#[derive(Debug)]
pub struct Arena {
    database: Arc<Mariadb>,
}

/// The servers of one run.
#[derive(Debug)]
pub struct Cell {
    database: Arc<Mariadb>,
    database_url: String,
    cache: Arc<Memcached>,
}

impl Arena {
    /// Starts the MariaDB; blocks until it answers. Commits wait for the disk, because acknowledged writes
    /// are counted after the database was killed.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    pub fn start() -> Self {
        let options =
            MariadbOptions { durable: true, args: DURABLE_BEFORE_VISIBLE.map(str::to_owned).to_vec() };
        Self { database: Arc::new(Mariadb::start(options)) }
    }

    /// Makes the database `name` with the checker's tables, and an empty memcached; blocks until it answers.
    ///
    /// # Errors
    /// When the tables cannot be made.
    ///
    /// # Panics
    /// When memcached does not come up, with the end of its log.
    pub async fn cell(&self, name: &str, chaos: &Chaos) -> Result<Cell> {
        let database_url = self.database.create_database(name);
        let memory_mb = if chaos.faults.contains(&Fault::CacheEvict) { MEMORY_MIN_MB } else { 64 };
        let cache = Memcached::start(MemcachedOptions { memory_mb, ..MemcachedOptions::default() });
        TruthTable::connect(options(&database_url)?).await?.create().await?;
        Ok(Cell { database: Arc::clone(&self.database), database_url, cache: Arc::new(cache) })
    }
}

impl Cell {
    /// Starts daemons of `program`; blocks until they answer.
    ///
    /// # Errors
    /// When a configuration file cannot be written.
    ///
    /// # Panics
    /// When a daemon does not come up, with the end of its log.
    pub fn daemons(&self, program: impl Into<std::path::PathBuf>, daemon_count: usize) -> Result<Daemons> {
        let (program, database_url) = (program.into(), self.database_url.clone());
        Daemons::start(&DaemonPlan { program, daemon_count, cache: self.cache.address(), database_url })
    }

    /// The controls: the database alone, which must keep the promise, and the two usual ways of writing a
    /// cache by hand, which must be convicted. They share this cell's servers, so one cell runs only one.
    ///
    /// # Errors
    /// When the database's URL is none.
    pub fn control(&self, control: Control, seed: u64) -> Result<Box<dyn System>> {
        let pair = PairOptions {
            cache: self.cache.address(),
            database: options(&self.database_url)?,
            instance_count: 4,
            pause_percent: 5,
            rng: Arc::new(Rng::from_seed(seed)),
        };
        Ok(match control {
            Control::NoCache => Box::new(NoCache::new(pair)),
            Control::NaiveAdd => Box::new(NaiveAdd::new(pair)),
            Control::NaiveDelete => Box::new(NaiveDelete::new(pair)),
        })
    }

    /// Runs the workload against `system` under faults, heals, waits, and checks everything.
    ///
    /// # Errors
    /// When a server does not come up again, or the checker's own reading fails.
    pub async fn run(&self, system: &dyn System, chaos: &Chaos) -> Result<Report> {
        let (workload, folder, epoch) = (&chaos.workload, Scratch::new(), Epoch::start());
        let mut truth = TruthTable::connect(options(&self.database_url)?).await?;
        let seeded = workload.seed(epoch, async |key, body| truth.insert(key, body).await).await?;

        let injector = Injector::new(self.targets(system), &chaos.faults, workload.seed, workload.duration);
        let working = workload.run(system, epoch, folder.path());
        let (logs, injections) = tokio::join!(working, injector.run());
        let mut logs = logs.map_err(history_error)?;
        logs.push(seeded);
        let (history, injections) = (History::new(logs), injections?);

        tokio::time::sleep(chaos.quiet).await;
        let probes = convergence::probe(system, self.cache.address(), workload).await?;
        self.judge(system, &history, &probes, injections).await
    }

    fn targets(&self, system: &dyn System) -> Targets {
        Targets {
            daemons: system.processes(),
            cache: Arc::clone(&self.cache) as _,
            cache_address: self.cache.address(),
            database: Arc::clone(&self.database) as _,
        }
    }

    async fn judge(
        &self,
        system: &dyn System,
        history: &History,
        probes: &[Probe],
        injections: Counts,
    ) -> Result<Report> {
        // A new connection: the database may have been killed since the first.
        let mut truth = TruthTable::connect(options(&self.database_url)?).await?;
        let differing = differing(&truth.rows().await?, probes);
        let verdict = check(history, &truth.audit().await?).map_err(history_error)?;
        let samples = wgl::sample(history, SEARCH_LEN_MAX).map_err(history_error)?;
        let decisions: Vec<(usize, Decision)> =
            samples.values().map(|operations| (operations.len(), wgl::decide(operations))).collect();
        Ok(Report {
            system: system.name(),
            is_strict: system.is_strict(),
            injections,
            verdict,
            decisions,
            probe_count: probes.len(),
            differing,
        })
    }
}

fn history_error(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Other, "read or write the history", "scratch folder").with_cause(error)
}
