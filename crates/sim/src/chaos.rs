// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run: a system, a workload and faults, then healing, quiet, and the checks.

mod arena;
mod convergence;
mod load;
mod outsider;
mod recovery;

use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result};
use throughline_testkit::Scratch;

use crate::checker::wgl::{self, Decision};
use crate::checker::{Probe, Promised, check, differing, phases};
use crate::database::{Kind, Session};
use crate::faults::{Canary, Fault, Injector, Struck, Targets, counts};
use crate::history::{History, Log};
use crate::report::{HitsBack, Report};
use crate::sut::System;
use crate::{Epoch, Workload, truth_table};

pub use arena::{Arena, Cell};
pub use load::Load;

pub use crate::sut::Control;
use load::Meter;
use outsider::Outsider;

/// How many operations of each key go through the search that does not trust the audit table.
const SEARCH_LEN_MAX: usize = 30_000;
/// Workers beyond this number are canaries and other programs.
const EXTRA_WORKERS: u32 = 1_000;
/// The share of a run, in percent, before the first fault, and again after the last one.
const CALM_PERCENT: u32 = 15;

/// What a run does, whatever the system.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// Which database.
    pub database: Kind,
    /// How many memcached servers.
    pub cache_count: usize,
    /// What the workers do.
    pub workload: Workload,
    /// Which faults are injected meanwhile.
    pub faults: Vec<Fault>,
    /// How long everything rests before the last look: longer than marks and leases live.
    pub quiet: Duration,
    /// When set, another program changes rows by SQL, and it is checked that this is seen within the bound.
    pub outside_bound: Option<Duration>,
}

impl Chaos {
    fn calm(&self) -> Duration {
        self.workload.duration * CALM_PERCENT / 100
    }
}

impl Cell {
    /// Runs the workload against `system` under faults, heals, waits, and checks everything.
    ///
    /// # Errors
    /// When a server does not come up again, or the checker's own reading fails.
    pub async fn run(&self, system: &dyn System, chaos: &Chaos) -> Result<Report> {
        let (workload, folder, epoch) = (&chaos.workload, Scratch::new(), Epoch::start());
        let mut database = Session::connect(self.database_url()).await?;
        let seeded = workload.seed(epoch, async |key, body| database.insert(key, body).await).await?;

        let working = workload.run(system, epoch, folder.path());
        let outsider = Outsider::new(self.database_url(), EXTRA_WORKERS - 1, workload, epoch);
        let outside = async {
            match chaos.outside_bound {
                Some(_) => outsider.run(workload.duration).await,
                None => Vec::new(),
            }
        };
        let meter = Meter::new(self.database_url(), epoch);
        let measuring = meter.run(workload.duration);
        let breaking = self.break_things(system, chaos, epoch);
        let (logs, broken, outside, load) = tokio::join!(working, breaking, outside, measuring);
        let (struck, canaries) = broken?;
        let mut logs = logs.map_err(history_error)?;
        logs.extend([seeded, Log::Memory(outside)]);
        logs.extend(canaries);
        let history = History::new(logs);

        tokio::time::sleep(chaos.quiet).await;
        // A new connection: the database may have been killed since the first.
        let mut database = Session::connect(self.database_url()).await?;
        let caches = self.cache_addresses();
        let probes = convergence::probe(system, &caches, workload, &mut database).await?;
        let faults = (chaos.calm(), workload.duration.saturating_sub(chaos.calm()));
        let load = Load::of(&load, faults, &history).map_err(history_error)?;
        self.judge(system, &history, &probes, Broken { struck, faults, load, chaos, database }).await
    }

    /// Leaves everything alone for a while, injects, and leaves it alone again.
    async fn break_things(
        &self,
        system: &dyn System,
        chaos: &Chaos,
        epoch: Epoch,
    ) -> Result<(Vec<Struck>, Vec<Log>)> {
        let workload = &chaos.workload;
        tokio::time::sleep(chaos.calm()).await;
        let canary = |(index, links): (usize, crate::sut::Links)| {
            let worker = EXTRA_WORKERS + index as u32;
            Canary::new(worker, workload.first_op(worker), workload.keys().collect(), epoch, links.door)
        };
        let canaries = system.links().into_iter().enumerate().map(canary).collect();
        let targets = Targets {
            daemons: system.processes(),
            caches: self.caches(),
            database: self.database_process(),
            links: system.links(),
        };
        let duration = workload.duration.saturating_sub(chaos.calm() * 2);
        let injector = Injector::new(targets, &chaos.faults, workload.seed, epoch, duration);
        let (struck, canaries) = injector.with_canaries(canaries).run().await?;
        Ok((struck, canaries.into_iter().map(Canary::into_log).collect()))
    }

    async fn judge(
        &self,
        system: &dyn System,
        history: &History,
        probes: &[Probe],
        broken: Broken<'_>,
    ) -> Result<Report> {
        let Broken { struck, faults, load, chaos, mut database } = broken;
        let phases = phases(history, faults).map_err(history_error)?;
        let hits_back = match HitsBack::ratio_min(&phases).filter(|_| system.is_strict()) {
            None => HitsBack::Within,
            // The end of the faults is so long ago already.
            Some(ratio_min) => match recovery::hits_back(system, &chaos.workload, ratio_min).await {
                Some(took) => HitsBack::After(chaos.calm() + chaos.quiet + took),
                None => HitsBack::Never,
            },
        };
        let differing = differing(&truth_table::rows(&mut database).await?, probes);
        let promised = match chaos.outside_bound {
            None => Promised::Linear,
            Some(bound) => Promised::Bound { outsider: EXTRA_WORKERS - 1, bound },
        };
        let audit = truth_table::audit(&mut database).await?;
        let verdict = check(history, &audit, promised).map_err(history_error)?;
        let decisions = match promised {
            Promised::Bound { .. } => Vec::new(),
            Promised::Linear => wgl::sample(history, SEARCH_LEN_MAX)
                .map_err(history_error)?
                .values()
                .map(|operations| (operations.len(), wgl::decide(operations)))
                .collect::<Vec<(usize, Decision)>>(),
        };
        Ok(Report {
            system: system.name(),
            is_strict: system.is_strict(),
            injections: counts(&struck),
            first_writes: struck
                .iter()
                .filter(|struck| struck.fault == Fault::CachePartition)
                .map(|struck| struck.first_writes_ns)
                .collect(),
            phases,
            hits_back,
            load,
            verdict,
            decisions,
            probe_count: probes.len(),
            differing,
        })
    }
}

/// What was done to the system, and when.
struct Broken<'a> {
    struck: Vec<Struck>,
    /// When the faults began, and when they ended.
    faults: (Duration, Duration),
    load: Option<Load>,
    chaos: &'a Chaos,
    database: Session,
}

fn history_error(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Other, "read or write the history", "scratch folder").with_cause(error)
}
