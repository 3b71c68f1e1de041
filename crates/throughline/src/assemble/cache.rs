// SPDX-License-Identifier: MIT OR Apache-2.0
//! The caches that settings name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use throughline_caches::{MemcachedCache, MemcachedConfig, MemcachedServer, MemoryCache, MemoryConfig};
use throughline_core::{Cache, LocalCache, NodeId, NodeName, Nodes};

use super::guard::CacheGuard;
use super::{Surroundings, Wrap};
use crate::config::{CacheKind, CacheSettings};
use crate::throughline::Gauge;

/// A cache as resources get it.
pub(super) struct OpenCache {
    pub(super) cache: Arc<dyn Cache>,
    /// The look-up without waiting, if it is in this process and nothing is wrapped around it.
    pub(super) local: Option<Arc<dyn LocalCache>>,
    /// Its servers, if it is on any.
    pub(super) nodes: Option<Arc<dyn Nodes>>,
    /// What it is, for people.
    pub(super) label: String,
    name: String,
    kind: Kind,
    /// What stands before it, if it is remote.
    guard: Option<CacheGuard>,
}

enum Kind {
    Memory(Arc<MemoryCache>),
    Memcached(Arc<MemcachedCache>),
}

pub(super) fn open_all(
    settings: &[CacheSettings],
    surroundings: &Surroundings,
    wrap: Option<&Wrap<dyn Cache>>,
) -> Vec<OpenCache> {
    let open = |settings: &CacheSettings| {
        let mut open = open(settings, surroundings);
        if let Some(wrap) = wrap {
            open.cache = wrap(open.cache);
            open.local = None;
        }
        if let Some(guard) = &open.guard {
            open.cache = guard.cache(open.cache);
        }
        open
    };
    settings.iter().map(open).collect()
}

fn open(settings: &CacheSettings, surroundings: &Surroundings) -> OpenCache {
    let name = settings.name.clone();
    match &settings.kind {
        CacheKind::Memory { capacity_bytes } => {
            let config = MemoryConfig { capacity_bytes: *capacity_bytes, ..MemoryConfig::default() };
            let memory = Arc::new(MemoryCache::new(&config, surroundings.clock.clone()));
            OpenCache {
                cache: memory.clone(),
                local: Some(memory.clone()),
                nodes: None,
                label: format!("{name} (in this process, {} MiB)", capacity_bytes >> 20),
                name,
                kind: Kind::Memory(memory),
                guard: None,
            }
        }
        CacheKind::Memcached { name: server, address, connections, timeout_ms } => {
            let server = MemcachedServer {
                name: NodeName::new(server).expect("names are checked when settings are read"),
                address: address.clone(),
            };
            let config = MemcachedConfig {
                connections: usize::from(*connections),
                get_timeout_ms: *timeout_ms,
                ..MemcachedConfig::over(vec![server])
            };
            let memcached = Arc::new(MemcachedCache::connect(
                config,
                &surroundings.clock,
                surroundings.rng.clone(),
                &surroundings.tasks,
            ));
            OpenCache {
                cache: memcached.clone(),
                local: None,
                nodes: Some(memcached.clone()),
                label: format!("{name} (memcached {address})"),
                guard: Some(CacheGuard::new(
                    [format!("cache `{name}`")],
                    &surroundings.clock,
                    &surroundings.rng,
                )),
                name,
                kind: Kind::Memcached(memcached),
            }
        }
    }
}

impl OpenCache {
    /// Waits for the first attempt to reach a server, and says what is wrong with it, if anything is.
    pub(super) async fn complaint(&self) -> Option<String> {
        let Kind::Memcached(memcached) = &self.kind else { return None };
        let error = memcached.probe().await.err()?;
        let until = "until it answers, reads go to the source and strict writes are refused";
        Some(format!("cache {} is of no use yet: {error}; {until}", self.label))
    }

    /// What it counts about itself.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, meaning, number| Gauge {
            role: "cache",
            backend: self.name.clone(),
            name,
            meaning,
            number,
        };
        let mut gauges = match &self.kind {
            Kind::Memory(memory) => vec![
                gauge("entries", "Entries that are held.", memory.entries() as u64),
                gauge("bytes", "Bytes of the capacity that are taken.", memory.weight_bytes()),
            ],
            Kind::Memcached(memcached) => {
                let stats = memcached.stats(NodeId(0));
                let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
                vec![
                    gauge("commands", "Commands that were sent.", read(&stats.commands)),
                    gauge(
                        "round_trips",
                        "Writes to the server; many commands may share one.",
                        read(&stats.round_trips),
                    ),
                    gauge("timeouts", "Commands that were not answered in time.", read(&stats.timeouts)),
                    gauge("connects", "Connections that were opened.", read(&stats.connects)),
                    gauge(
                        "foreign_values",
                        "Values of strangers that were found and dropped.",
                        read(&stats.foreign_values),
                    ),
                ]
            }
        };
        gauges.extend(self.guard.iter().flat_map(|guard| guard.gauges(&self.name)));
        gauges
    }
}
