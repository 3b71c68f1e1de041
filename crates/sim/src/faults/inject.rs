// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carries out a plan against real processes, and leaves everything healed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result, Rng};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Counts, Fault, Injection, Lane, Plan};
use crate::sut::Process;
use crate::sut::text_client::TextClient;

/// The beginning of the keys that only fill the cache.
pub(crate) const JUNK: &str = "junk:";
/// How many foreign values one injection of [`Fault::CacheEvict`] stores.
const JUNK_COUNT: u64 = 10_000;
/// Slots are hit often: a race is open for a few milliseconds.
const SLOT_GAP_MAX: Duration = Duration::from_millis(200);
/// A paused memcached answers nothing; then the injection does not take.
const CACHE_TIMEOUT: Duration = Duration::from_millis(500);
/// Keys for [`Fault::CacheDelete`] are listed anew after so many deletes.
const LISTED_FOR: u32 = 20;

/// What may be broken.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The daemons; kinds that strike them are left out when there are none.
    pub daemons: Vec<Arc<dyn Process>>,
    /// The memcached as a process.
    pub cache: Arc<dyn Process>,
    /// Where it listens.
    pub cache_address: SocketAddr,
    /// The database.
    pub database: Arc<dyn Process>,
}

/// Carries out faults until a deadline. Faults of daemons, of servers and of slots run side by side, so that
/// pairs and triples of them meet.
#[derive(Debug)]
pub struct Injector {
    targets: Targets,
    faults: Vec<Fault>,
    seed: u64,
    deadline: Instant,
    /// Held while the database is away, and while a daemon starts, which needs it.
    database_is_up: Mutex<()>,
}

impl Injector {
    /// An injector of those of `faults` that `targets` can suffer; it works for `duration` from now.
    pub fn new(targets: Targets, faults: &[Fault], seed: u64, duration: Duration) -> Self {
        let possible = |fault: &Fault| fault.lane() != Lane::Daemons || !targets.daemons.is_empty();
        let faults = faults.iter().copied().filter(possible).collect();
        Self { targets, faults, seed, deadline: Instant::now() + duration, database_is_up: Mutex::new(()) }
    }

    /// Injects until the deadline and returns how often. Every process runs again when it returns.
    ///
    /// # Errors
    /// When a process does not come up again.
    pub async fn run(self) -> Result<Counts> {
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
        );
        let mut counts = lanes.0?;
        counts.extend(lanes.1?);
        counts.extend(lanes.2?);
        Ok(counts)
    }

    async fn follow(&self, plan: Option<Plan>) -> Result<Counts> {
        let mut counts = Counts::new();
        let mut slots = Slots::new(self.targets.cache_address);
        for injection in plan.into_iter().flatten() {
            let start = Instant::now() + injection.gap;
            if start >= self.deadline {
                break;
            }
            tokio::time::sleep_until(start).await;
            if self.inject(injection, &mut slots).await? {
                *counts.entry(injection.fault).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// Whether the fault took.
    async fn inject(&self, injection: Injection, slots: &mut Slots) -> Result<bool> {
        let targets = &self.targets;
        match injection.fault {
            Fault::DaemonKill => {
                let daemon = self.daemon(injection.target);
                blocking(daemon, |daemon| daemon.kill()).await?;
                self.hold(injection.hold).await;
                let _up = self.database_is_up.lock().await;
                blocking(daemon, |daemon| daemon.restart()).await?;
            }
            Fault::DaemonPause => self.pause(self.daemon(injection.target), injection.hold).await?,
            Fault::CacheKill => self.kill(&targets.cache, injection.hold).await?,
            Fault::CachePause => self.pause(&targets.cache, injection.hold).await?,
            Fault::DatabaseKill => {
                let _away = self.database_is_up.lock().await;
                self.kill(&targets.database, injection.hold).await?;
            }
            Fault::CacheFlush | Fault::CacheDelete | Fault::CacheEvict => {
                let strike = tokio::time::timeout(CACHE_TIMEOUT, slots.strike(injection)).await;
                return Ok(strike.is_ok_and(|struck| struck.unwrap_or(false)));
            }
        }
        Ok(true)
    }

    fn daemon(&self, target: u64) -> &Arc<dyn Process> {
        &self.targets.daemons[(target % self.targets.daemons.len() as u64) as usize]
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

/// The injector's own connection to memcached.
struct Slots {
    client: TextClient,
    listed: Vec<String>,
    deletes_left: u32,
}

impl Slots {
    fn new(address: SocketAddr) -> Self {
        Self { client: TextClient::new(address), listed: Vec::new(), deletes_left: 0 }
    }

    async fn strike(&mut self, injection: Injection) -> io::Result<bool> {
        match injection.fault {
            Fault::CacheFlush => Ok(self.client.flush_all().await? == "OK"),
            Fault::CacheDelete => self.delete(injection.target).await,
            Fault::CacheEvict => self.fill(injection.target).await,
            _ => Ok(false),
        }
    }

    async fn delete(&mut self, target: u64) -> io::Result<bool> {
        if self.deletes_left == 0 || self.listed.is_empty() {
            self.listed = self.client.keys(JUNK).await?;
            self.deletes_left = LISTED_FOR;
        }
        self.deletes_left -= 1;
        let Some(count) = std::num::NonZeroUsize::new(self.listed.len()) else {
            return Ok(false);
        };
        let key = &self.listed[target as usize % count];
        Ok(self.client.delete(key).await? == "DELETED")
    }

    /// Stores values of the sizes that entries, marks and leases have, so that those are evicted.
    async fn fill(&mut self, target: u64) -> io::Result<bool> {
        let before = self.client.stat("evictions").await?;
        let rng = Rng::from_seed(target);
        let value = |_| (format!("{JUNK}{:016x}", rng.next_u64()), rng.below(400) as usize);
        self.client.store_unread(&(0..JUNK_COUNT).map(value).collect::<Vec<_>>()).await?;
        Ok(self.client.stat("evictions").await? > before)
    }
}
