// SPDX-License-Identifier: MIT OR Apache-2.0
//! The world: daemons, their callers, and what breaks.

use std::sync::Arc;
use std::time::Duration;

use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{
    Access, Cache, Change, Condition, Error, Fingerprint, Generation, Key, Level, ResourceName, Retry, Rng,
    Slot, Target, Write, WriteStrategy,
};
use throughline_engine::{Generations, Policy, Served, Space, SpaceParts};
use throughline_testkit::{TestTasks, TokioClock};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::far_cache::FarCache;
use super::far_source::FarSource;
use super::troubles::Troubles;
use super::{CALLER_COUNT, Plant, WRITER_COUNT};
use crate::checker::AuditRow;
use crate::history::{Kind, Operation, Outcome, Seen, ServedFrom};
use crate::payload::Payload;
use crate::sut::seen_as;

/// Few keys meet more races.
const KEYS: u64 = 2;
/// How long a caller waits.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Longer than marks and leases live.
const CUT_MS_MAX: u64 = 12_000;

/// Everything that follows from one seed.
pub(super) struct World {
    seed: u64,
    plant: Option<Plant>,
    begin: Instant,
}

impl World {
    pub(super) fn new(seed: u64, plant: Option<Plant>, begin: Instant) -> Self {
        Self { seed, plant, begin }
    }

    /// Lets the callers make their calls while things break; what they saw, and what was committed.
    pub(super) async fn live(
        &self,
        daemon_count: u32,
        calls: u64,
        rng: &Rng,
    ) -> (Vec<Vec<Operation>>, Vec<AuditRow>) {
        let troubles = Arc::new(Troubles::new(self.seed, daemon_count));
        let clock = Arc::new(TokioClock::start());
        let server: Arc<dyn Cache> = Arc::new(MemoryCache::new(&MemoryConfig::default(), clock.clone()));
        let source = FarSource::new(Arc::clone(&troubles), self.plant);
        let mut callers = JoinSet::new();
        for daemon in 0..daemon_count {
            let far = FarCache::new(Arc::clone(&server), daemon, Arc::clone(&troubles), self.plant);
            let space = Space::new(parts(&source, far, &clock, rng.next_u64(), strategy(daemon)));
            let caller_count = CALLER_COUNT + WRITER_COUNT;
            for caller in 0..caller_count {
                let worker = daemon * caller_count + caller + 1;
                let caller = Caller {
                    worker,
                    reads: caller < CALLER_COUNT,
                    begin: self.begin,
                    rng: Rng::from_seed(rng.next_u64()),
                    space: Arc::clone(&space),
                };
                callers.spawn(caller.run(calls));
            }
        }
        let breaking =
            tokio::spawn(break_things(server, troubles, Rng::from_seed(rng.next_u64()), daemon_count));
        let mut operations = Vec::new();
        while let Some(done) = callers.join_next().await {
            operations.push(done.expect("a caller does not panic"));
        }
        breaking.abort();
        // Whatever was left undecided is decided now.
        sleep(PATIENCE).await;
        operations.sort_by_key(|operations| operations.first().map(|operation| operation.worker));
        (operations, source.audit())
    }
}

/// Every second daemon writes around: what one marks the others invalidate.
fn strategy(daemon: u32) -> WriteStrategy {
    if daemon % 2 == 1 { WriteStrategy::WriteAround } else { WriteStrategy::WriteThrough }
}

fn parts(
    source: &FarSource,
    cache: FarCache,
    clock: &Arc<TokioClock>,
    seed: u64,
    write: WriteStrategy,
) -> SpaceParts {
    SpaceParts {
        name: ResourceName::new("kv").expect("a name"),
        loader: Arc::new(source.clone()),
        writer: Some(Arc::new(source.clone())),
        cache: Some(Arc::new(cache)),
        local: None,
        nodes: None,
        fingerprint: Fingerprint::of(b"kv"),
        generations: Generations::Shared(0),
        policy: Policy { level: Level::Strict, access: Access::Write, write, ..Policy::default() },
        clock: clock.clone(),
        rng: Arc::new(Rng::from_seed(seed)),
        tasks: Arc::new(TestTasks),
        bypass_rate: None,
    }
}

/// Evicts, restarts and cuts until it is ended.
async fn break_things(server: Arc<dyn Cache>, troubles: Arc<Troubles>, rng: Rng, daemon_count: u32) {
    let slots: Vec<Slot> = (1..=KEYS).map(slot).collect();
    loop {
        sleep(Duration::from_millis(rng.below(60))).await;
        match rng.below(12) {
            0 => {
                troubles.restart();
                drop(server.invalidate(&slots).await);
            }
            1 => {
                let daemon = rng.below(daemon_count.into()) as u32;
                troubles.set_cut(daemon, true);
                let (troubles, hold) = (Arc::clone(&troubles), Duration::from_millis(rng.below(CUT_MS_MAX)));
                tokio::spawn(async move {
                    sleep(hold).await;
                    troubles.set_cut(daemon, false);
                });
            }
            _ => drop(server.invalidate(&slots[rng.below(KEYS) as usize..][..1]).await),
        }
    }
}

fn slot(key: u64) -> Slot {
    let route = throughline_core::Route { generation: Generation::default(), ..Default::default() };
    Slot { resource: ResourceName::new("kv").expect("a name"), route, key: text_key(key) }
}

fn text_key(key: u64) -> Key {
    Key::parse(&key.to_string()).expect("a key")
}

/// Somebody who calls one daemon.
struct Caller {
    worker: u32,
    reads: bool,
    begin: Instant,
    rng: Rng,
    space: Arc<Space>,
}

impl Caller {
    async fn run(self, calls: u64) -> Vec<Operation> {
        let mut operations = Vec::new();
        for counter in 1..=calls {
            operations.push(self.step(counter).await);
            sleep(Duration::from_millis(self.rng.below(10))).await;
        }
        operations
    }

    async fn step(&self, counter: u64) -> Operation {
        let key = 1 + self.rng.below(KEYS);
        let op = u64::from(self.worker) * 1_000_000 + counter;
        let number = key.cast_signed();
        let body = Payload { key: number, worker: self.worker, op, counter }.encode();
        let kind = match self.rng.below(if self.reads { 10 } else { 3 }) {
            0..=1 => Kind::Put,
            2 => Kind::Delete,
            _ => Kind::Get,
        };
        let begin_ns = self.now_ns();
        let call = self.call(kind, key, body);
        let silence = if kind == Kind::Get { Outcome::Fail } else { Outcome::Unknown };
        let (outcome, seen, served) =
            timeout(PATIENCE, call).await.unwrap_or((silence, Seen::Absent, ServedFrom::Unsaid));
        Operation {
            worker: self.worker,
            op,
            kind,
            key: number,
            begin_ns,
            end_ns: (outcome != Outcome::Unknown).then(|| self.now_ns()),
            outcome,
            seen: if kind == Kind::Put { Seen::Value { op, counter } } else { seen },
            served,
        }
    }

    async fn call(&self, kind: Kind, key: u64, body: String) -> (Outcome, Seen, ServedFrom) {
        let change = match kind {
            Kind::Get => return self.read(key).await,
            Kind::Put => Change::Put { value: body.into(), flags: 0 },
            Kind::Delete => Change::Delete,
        };
        let target = Target::Key(text_key(key));
        let written = self.space.write(Write { target, change, condition: Condition::Always }).await;
        (written.map_or_else(|error| outcome(&error), |_| Outcome::Ok), Seen::Absent, ServedFrom::Unsaid)
    }

    async fn read(&self, key: u64) -> (Outcome, Seen, ServedFrom) {
        match self.space.get(&text_key(key)).await {
            Err(_) => (Outcome::Fail, Seen::Absent, ServedFrom::Unsaid),
            Ok(read) => {
                let served =
                    if matches!(read.served, Served::Hit) { ServedFrom::L2 } else { ServedFrom::Source };
                let seen = read.record().map_or(Seen::Absent, |record| {
                    seen_as(key.cast_signed(), &String::from_utf8_lossy(&record.value))
                });
                (Outcome::Ok, seen, served)
            }
        }
    }

    fn now_ns(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }
}

/// What an error of a write means to its caller.
fn outcome(error: &Error) -> Outcome {
    if error.retry() == Retry::Safe { Outcome::Fail } else { Outcome::Unknown }
}
