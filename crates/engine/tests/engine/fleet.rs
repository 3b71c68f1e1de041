// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several daemons over one cache server, one source and one set of control tables, each of which can be cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use throughline_caches::{MemoryCache, MemoryConfig};
use throughline_core::{
    Condition, ControlView, Effect, FenceState, Fingerprint, NodeRow, ResourceName, Result, Rng, Scope,
};
use throughline_engine::{Fence, FenceParts, FenceTimes, Generations, Policy, Served, Space, SpaceParts};
use throughline_testkit::{
    FakeNodes, FlakyCache, MapControl, MapControlDoor, MapSource, TestTasks, TokioClock,
};

use crate::bed::{key, put, value};
use crate::fence::pass;

/// L.
pub(crate) const LEASE_MS: u64 = 2_000;
/// H.
pub(crate) const READMIT_MS: u64 = 5_000;

/// What the daemons share.
pub(crate) struct Fleet {
    pub(crate) control: MapControl,
    pub(crate) source: MapSource,
    memory: Arc<MemoryCache>,
    clock: Arc<TokioClock>,
    seed: AtomicU64,
}

/// One daemon, with its ways to the cache server and to the control tables.
pub(crate) struct Daemon {
    pub(crate) space: Arc<Space>,
    pub(crate) fence: Arc<Fence>,
    pub(crate) cache: Arc<FlakyCache>,
    pub(crate) nodes: Arc<FakeNodes>,
    pub(crate) door: Arc<MapControlDoor>,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(TokioClock::start());
        Self {
            control: MapControl::new(LEASE_MS),
            source: MapSource::with_rows([("1", "v0"), ("2", "v0")]),
            memory: Arc::new(MemoryCache::new(&MemoryConfig::default(), clock.clone())),
            clock,
            seed: AtomicU64::new(1),
        }
    }

    /// Starts a daemon.
    pub(crate) async fn daemon(&self, policy: Policy) -> Daemon {
        self.daemon_with(policy, FakeNodes::new(&["a"])).await
    }

    pub(crate) async fn daemon_with(&self, policy: Policy, nodes: Arc<FakeNodes>) -> Daemon {
        let cache = FlakyCache::new(self.memory.clone(), Scope::Shared);
        let door = self.control.door();
        let rng = Arc::new(Rng::from_seed(self.seed.fetch_add(1, Ordering::Relaxed)));
        let name = ResourceName::new("person").unwrap();
        let parts = FenceParts {
            control: door.clone(),
            nodes: nodes.clone(),
            resources: vec![name.clone()],
            clock: self.clock.clone(),
            rng: rng.clone(),
            tasks: Arc::new(TestTasks),
            times: FenceTimes { readmit_ms_min: READMIT_MS, ..FenceTimes::default() },
        };
        let fence = Fence::open(parts).await.unwrap();
        let space = Space::new(SpaceParts {
            name,
            loader: Arc::new(self.source.clone()),
            writer: Some(Arc::new(self.source.clone())),
            cache: Some(cache.clone()),
            local: None,
            nodes: Some(nodes.clone()),
            fingerprint: Fingerprint::of(b"person"),
            generations: Generations::Fleet(fence.clone()),
            policy,
            bypass_rate: None,
            clock: self.clock.clone(),
            rng,
            tasks: Arc::new(TestTasks),
        });
        Daemon { space, fence, cache, nodes, door }
    }

    /// The cache server's row.
    pub(crate) fn row(&self) -> NodeRow {
        self.now().nodes[0].clone()
    }

    pub(crate) fn now(&self) -> ControlView {
        self.control.now()
    }

    /// Returns when the server's row is in `state`.
    pub(crate) async fn until(&self, state: FenceState) {
        while self.row().state != state {
            pass(10).await;
        }
    }
}

impl Daemon {
    /// Cuts the way to the cache server, or heals it.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.cache.set_down(is_cut);
        self.nodes.show(0, (!is_cut).then_some(1_000));
    }

    pub(crate) async fn get(&self, text: &str) -> Option<String> {
        value(&self.space, text).await
    }

    pub(crate) async fn served(&self, text: &str) -> Served {
        self.space.get(&key(text)).await.unwrap().served
    }

    pub(crate) async fn put(&self, text: &str, value: &str) -> Result<Effect> {
        self.space.write(put(text, value, Condition::Always)).await
    }
}

/// Reads key 1 at every daemon in turn, every few milliseconds, while `work` writes to it: `v1`, `v2`, … Answers with
/// the number of reads that were older than a write that had been acknowledged, or a read that had ended, before
/// they began.
pub(crate) async fn stale_reads(
    daemons: &[Arc<Daemon>],
    work: impl Future<Output = ()>,
    acked: &AtomicU64,
) -> u64 {
    let stale = AtomicU64::new(0);
    let floor = AtomicU64::new(0);
    let reading = async {
        loop {
            for daemon in daemons {
                let least = floor.load(Ordering::SeqCst).max(acked.load(Ordering::SeqCst));
                let read = daemon.get("1").await.unwrap();
                let read: u64 = read[1..].parse().unwrap();
                if read < least {
                    stale.fetch_add(1, Ordering::SeqCst);
                }
                floor.fetch_max(read, Ordering::SeqCst);
            }
            pass(7).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = reading => unreachable!("readers read on"),
    }
    stale.into_inner()
}
