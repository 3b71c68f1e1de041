// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carries out a plan against real processes and the ways between them, and leaves everything healed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result};
use throughline_testkit::{Proxy, Way};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::slots::Slots;
use super::{Canary, Fault, Injection, Lane, Plan, Struck};
use crate::Epoch;
use crate::sut::{Links, Process};

/// Slots are hit often: a race is open for a few milliseconds.
const SLOT_GAP_MAX: Duration = Duration::from_millis(200);
/// So are commits.
const COMMIT_GAP_MAX: Duration = Duration::from_millis(400);
/// A paused memcached answers nothing; then the injection does not take.
const CACHE_TIMEOUT: Duration = Duration::from_millis(500);
/// A partition lasts this long at least: more than two reader leases of 2 s.
const PARTITION_MIN: Duration = Duration::from_millis(4_500);
/// The longest delay of [`Fault::CacheSlow`], each way: on both sides of every deadline for cache commands.
const DELAY_MAX_MS: u64 = 300;
/// What every source sends to commit.
const COMMIT: &[u8] = b"COMMIT";

/// What may be broken.
#[derive(Debug)]
pub struct Targets {
    /// The daemons; kinds that strike them are left out when there are none.
    pub daemons: Vec<Arc<dyn Process>>,
    /// The memcached servers, with where they listen.
    pub caches: Vec<(Arc<dyn Process>, SocketAddr)>,
    /// The database.
    pub database: Arc<dyn Process>,
    /// The ways of each daemon; kinds that strike them are left out when there are none.
    pub links: Vec<Links>,
}

/// Carries out faults until a deadline. The lanes run side by side, so that pairs and triples of faults meet.
#[derive(Debug)]
pub struct Injector {
    targets: Targets,
    canaries: Vec<Mutex<Canary>>,
    faults: Vec<Fault>,
    seed: u64,
    epoch: Epoch,
    deadline: Instant,
    /// Held while the database is away, and while a daemon starts, which needs it.
    database_is_up: Mutex<()>,
}

impl Injector {
    /// An injector of those of `faults` that `targets` can suffer; it works for `duration` from now.
    pub fn new(targets: Targets, faults: &[Fault], seed: u64, epoch: Epoch, duration: Duration) -> Self {
        let possible = |fault: &Fault| match fault.lane() {
            Lane::Daemons => !targets.daemons.is_empty(),
            Lane::Links | Lane::Commits => !targets.links.is_empty(),
            Lane::Servers | Lane::Slots => true,
        };
        let faults = faults.iter().copied().filter(possible).collect();
        let deadline = Instant::now() + duration;
        Self { targets, canaries: Vec::new(), faults, seed, epoch, deadline, database_is_up: Mutex::new(()) }
    }

    /// With a caller for each daemon who measures how long a partition keeps it from writing.
    pub fn with_canaries(mut self, canaries: Vec<Canary>) -> Self {
        self.canaries = canaries.into_iter().map(Mutex::new).collect();
        self
    }

    /// Injects until the deadline; every process runs and every way is open when it returns.
    ///
    /// # Errors
    /// When a process does not come up again.
    pub async fn run(self) -> Result<(Vec<Struck>, Vec<Canary>)> {
        // Long holds are five times as long: 12 s outlast the marks of 10 s when there is time for it.
        let left = self.deadline.saturating_duration_since(Instant::now());
        let hold_max = Duration::from_millis(2400).min(left / 10);
        let gap_max = Duration::from_millis(1500).min(left / 4);
        let plan = |lane: Lane, gap_max, hold_max| {
            let faults: Vec<Fault> =
                self.faults.iter().copied().filter(|fault| fault.lane() == lane).collect();
            Plan::new(faults, gap_max, hold_max, self.seed ^ (lane as u64 + 1).rotate_right(8))
        };
        let lanes = tokio::join!(
            self.follow(plan(Lane::Daemons, gap_max, hold_max)),
            self.follow(plan(Lane::Servers, gap_max, hold_max)),
            self.follow(plan(Lane::Slots, SLOT_GAP_MAX, Duration::ZERO)),
            self.follow(plan(Lane::Links, gap_max, hold_max)),
            self.follow(plan(Lane::Commits, COMMIT_GAP_MAX, Duration::ZERO)),
        );
        self.heal();
        let struck = [lanes.0?, lanes.1?, lanes.2?, lanes.3?, lanes.4?].concat();
        Ok((struck, self.canaries.into_iter().map(Mutex::into_inner).collect()))
    }

    fn heal(&self) {
        for links in &self.targets.links {
            links.caches.iter().for_each(|link| link.heal());
            links.database.heal();
        }
    }

    async fn follow(&self, plan: Option<Plan>) -> Result<Vec<Struck>> {
        let mut all = Vec::new();
        let mut slots: Vec<Slots> =
            self.targets.caches.iter().map(|(_, address)| Slots::new(*address)).collect();
        for injection in plan.into_iter().flatten() {
            let start = Instant::now() + injection.gap;
            if start >= self.deadline {
                break;
            }
            tokio::time::sleep_until(start).await;
            let from_ns = self.epoch.elapsed_ns();
            if let Some(first_writes_ns) = self.inject(injection, &mut slots).await? {
                let until_ns = self.epoch.elapsed_ns();
                all.push(Struck { fault: injection.fault, from_ns, until_ns, first_writes_ns });
            }
        }
        Ok(all)
    }

    /// Whether the fault took, and what was measured meanwhile.
    async fn inject(&self, injection: Injection, slots: &mut [Slots]) -> Result<Option<Option<u64>>> {
        let targets = &self.targets;
        let choose = |count: usize| (injection.target % count.max(1) as u64) as usize;
        match injection.fault {
            Fault::DaemonKill => self.kill_daemon(choose(targets.daemons.len()), injection.hold).await?,
            Fault::DaemonPause => {
                self.pause(&targets.daemons[choose(targets.daemons.len())], injection.hold).await?;
            }
            Fault::CacheKill => {
                self.kill(&targets.caches[choose(targets.caches.len())].0, injection.hold).await?
            }
            Fault::CachePause => {
                self.pause(&targets.caches[choose(targets.caches.len())].0, injection.hold).await?;
            }
            Fault::DatabaseKill => {
                let _away = self.database_is_up.lock().await;
                self.kill(&targets.database, injection.hold).await?;
            }
            Fault::CacheFlush | Fault::CacheDelete | Fault::CacheEvict => {
                let slots = &mut slots[choose(targets.caches.len())];
                let strike = tokio::time::timeout(CACHE_TIMEOUT, slots.strike(injection)).await;
                return Ok(strike.is_ok_and(|struck| struck.unwrap_or(false)).then_some(None));
            }
            Fault::CommitLost | Fault::DatabaseReset => {
                return Ok(self.strike_database(injection).await.then_some(None));
            }
            Fault::CachePartition => return Ok(Some(self.partition(injection).await)),
            Fault::CacheSilent => self.break_link(injection, Way::Silent).await,
            Fault::CacheHalfOpen => self.break_link(injection, Way::HalfOpen).await,
            Fault::CacheSlow => {
                let delay = Duration::from_millis(injection.target % DELAY_MAX_MS);
                self.break_link(injection, Way::Slow(delay)).await;
            }
            Fault::CacheReset => self.cache_link(injection).1.reset(),
        }
        Ok(Some(None))
    }

    /// A daemon, and the way to one of its cache servers.
    fn cache_link(&self, injection: Injection) -> (usize, &Arc<Proxy>) {
        let daemon = (injection.target % self.targets.links.len() as u64) as usize;
        let caches = &self.targets.links[daemon].caches;
        (daemon, &caches[((injection.target >> 32) % caches.len() as u64) as usize])
    }

    async fn break_link(&self, injection: Injection, way: Way) {
        let (_, link) = self.cache_link(injection);
        link.set(way);
        self.hold(injection.hold).await;
        link.heal();
    }

    /// Cuts a daemon off from a cache server, and measures when it writes again. The partition is as long as it
    /// has to be, even if the deadline passes.
    async fn partition(&self, injection: Injection) -> Option<u64> {
        let (daemon, link) = self.cache_link(injection);
        link.set(Way::Cut);
        let until = Instant::now() + PARTITION_MIN + injection.hold;
        let first = match self.canaries.get(daemon) {
            Some(canary) => canary.lock().await.write_every_key(until).await,
            None => None,
        };
        tokio::time::sleep_until(until).await;
        link.heal();
        first
    }

    /// Whether the trap was sprung, or there was something to reset.
    async fn strike_database(&self, injection: Injection) -> bool {
        // A daemon that starts has no caller yet who could be told a wrong outcome, and does not try twice.
        let _no_start = self.database_is_up.lock().await;
        let links = &self.targets.links;
        let link = &links[(injection.target % links.len() as u64) as usize].database;
        if injection.fault == Fault::DatabaseReset {
            link.reset();
            return true;
        }
        if injection.target & (1 << 40) == 0 {
            link.cut_before(COMMIT)
        } else {
            link.cut_after(COMMIT)
        }
        self.hold(COMMIT_GAP_MAX).await;
        let has_sprung = !link.is_armed();
        link.heal();
        has_sprung
    }

    /// A daemon that starts must reach its servers: its ways are opened for that.
    async fn kill_daemon(&self, index: usize, hold: Duration) -> Result<()> {
        let daemon = &self.targets.daemons[index];
        blocking(daemon, |daemon| daemon.kill()).await?;
        self.hold(hold).await;
        let _up = self.database_is_up.lock().await;
        if let Some(links) = self.targets.links.get(index) {
            links.caches.iter().for_each(|link| link.heal());
            links.database.heal();
        }
        blocking(daemon, |daemon| daemon.restart()).await
    }

    async fn kill(&self, process: &Arc<dyn Process>, hold: Duration) -> Result<()> {
        blocking(process, |process| process.kill()).await?;
        self.hold(hold).await;
        blocking(process, |process| process.restart()).await
    }

    async fn pause(&self, process: &Arc<dyn Process>, hold: Duration) -> Result<()> {
        blocking(process, |process| process.pause()).await?;
        self.hold(hold).await;
        blocking(process, |process| process.resume()).await
    }

    async fn hold(&self, hold: Duration) {
        tokio::time::sleep_until((Instant::now() + hold).min(self.deadline)).await;
    }
}

/// Signals and restarts wait for the operating system, which must not stop the workers.
async fn blocking(process: &Arc<dyn Process>, act: impl FnOnce(&dyn Process) + Send + 'static) -> Result<()> {
    let process = Arc::clone(process);
    tokio::task::spawn_blocking(move || act(process.as_ref())).await.map_err(|error| {
        Error::new(ErrorKind::Other, "break a process", "it did not come up again").with_cause(error)
    })
}
