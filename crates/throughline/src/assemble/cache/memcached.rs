// SPDX-License-Identifier: MIT OR Apache-2.0
//! Caches on memcached servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use throughline_caches::{MemcachedCache, MemcachedConfig, MemcachedServer, TieredCache};
use throughline_core::{Cache, LocalCache, NodeId, NodeName, Nodes as _};

use super::super::Surroundings;
use crate::config::{L1Settings, MemcachedSettings};
use crate::throughline::{Gauge, Notice};

/// A cache on memcached servers, and where they are.
pub(super) struct OpenMemcached {
    pub(super) cache: Arc<MemcachedCache>,
    servers: Vec<MemcachedServer>,
    l1: Option<(Arc<TieredCache>, L1Settings)>,
}

pub(super) fn open(settings: &MemcachedSettings, surroundings: &Surroundings) -> OpenMemcached {
    let server = |server: &crate::config::ServerSettings| MemcachedServer {
        name: server.name.clone(),
        address: server.address.clone(),
    };
    let servers: Vec<_> = settings.servers.iter().map(server).collect();
    let config = MemcachedConfig {
        distribution: settings.distribution,
        connections: usize::from(settings.connections),
        get_timeout_ms: settings.timeout_ms,
        tls: settings.tls.clone(),
        credentials: settings.credentials.clone(),
        ..MemcachedConfig::over(servers.clone())
    };
    let (clock, rng) = (&surroundings.clock, surroundings.rng.clone());
    let cache = Arc::new(MemcachedCache::connect(config, clock, rng, &surroundings.tasks));
    let clock = surroundings.clock.clone();
    let tiered = match settings.l1 {
        L1Settings::Off => None,
        L1Settings::Validate { capacity_bytes } => {
            Some(TieredCache::validated(cache.clone(), capacity_bytes, clock))
        }
        L1Settings::ForTtl { ttl_ms, capacity_bytes } => {
            Some(TieredCache::for_ttl(cache.clone(), ttl_ms, capacity_bytes, clock))
        }
    };
    OpenMemcached { cache, servers, l1: tiered.map(|tiered| (Arc::new(tiered), settings.l1)) }
}

impl OpenMemcached {
    /// The cache as it is called: L1, if there is one, directly around the servers.
    pub(super) fn tiers(&self) -> Arc<dyn Cache> {
        match &self.l1 {
            Some((tiered, _)) => tiered.clone(),
            None => self.cache.clone(),
        }
    }

    /// The look-up without waiting, where copies need not be checked.
    pub(super) fn local(&self) -> Option<Arc<dyn LocalCache>> {
        match &self.l1 {
            Some((tiered, L1Settings::ForTtl { .. })) => Some(tiered.clone()),
            _ => None,
        }
    }

    /// For how long, in milliseconds, copies are used without asking whether they are still right.
    pub(super) fn unchecked_ms(&self) -> Option<u64> {
        match &self.l1 {
            Some((_, L1Settings::ForTtl { ttl_ms, .. })) => Some(*ttl_ms),
            _ => None,
        }
    }

    /// The servers and the copies, for people: `memcached 127.0.0.1:11211`, `memcached a, b, copies for 1s`.
    pub(super) fn label(&self) -> String {
        let servers = self.servers_label();
        match self.l1.as_ref().map(|(_, settings)| settings) {
            None | Some(L1Settings::Off) => servers,
            Some(L1Settings::Validate { .. }) => format!("{servers}, validated copies"),
            Some(L1Settings::ForTtl { ttl_ms, .. }) => format!("{servers}, copies for {}", spelled(*ttl_ms)),
        }
    }

    fn servers_label(&self) -> String {
        match self.servers.as_slice() {
            [server] => format!("memcached {}", server.address),
            servers => {
                let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
                format!("memcached {}", names.join(", "))
            }
        }
    }

    /// The servers, each with the cache's name, in the order of their [`NodeId`]s.
    pub(super) fn node_labels(&self, name: &str) -> Vec<String> {
        match self.cache.names() {
            [_] => vec![format!("cache `{name}`")],
            nodes => nodes.iter().map(|node| format!("server `{node}` of cache `{name}`")).collect(),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = (NodeId, &MemcachedServer)> {
        let server = |name: &NodeName| self.servers.iter().find(|server| server.name == *name);
        let named = self.cache.names().iter().enumerate();
        named.filter_map(move |(place, name)| Some((NodeId(place as u16), server(name)?)))
    }

    /// Waits for the first attempt to reach each server, and says how each is.
    pub(super) async fn notices(&self, label: &str) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (node, server) in self.nodes() {
            notices.push(match self.cache.probe_node(node).await {
                Ok(probe) => Notice {
                    text: format!("cache {label}: server {server} is memcached {}", probe.version()),
                    is_fault: false,
                },
                Err(error) if self.servers.len() == 1 => {
                    let until = "until it answers, reads go to the source, and strict writes do without it where control tables \
                                 allow it";
                    Notice { text: format!("cache {label} is of no use yet: {error}; {until}"), is_fault: true }
                }
                Err(error) => {
                    let until = "until it answers, reads of its keys go to the source, and strict writes of them do \
                                 without it where control tables allow it; no other server keeps them meanwhile";
                    let text =
                        format!("server {} of cache {label} is of no use yet: {error}; {until}", server.name);
                    Notice { text, is_fault: true }
                }
            });
        }
        notices
    }

    /// What is counted about each server.
    pub(super) fn gauges(&self, backend: &str) -> Vec<Gauge> {
        let of_node = |(node, server): (NodeId, &MemcachedServer)| {
            let stats = self.cache.stats(node);
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            [
                ("up", "1 if the server is connected and used, else 0.", u64::from(self.cache.is_up(node))),
                ("commands", "Commands that were sent.", read(&stats.commands)),
                (
                    "round_trips",
                    "Writes to the server; many commands may share one.",
                    read(&stats.round_trips),
                ),
                ("timeouts", "Commands that were not answered in time.", read(&stats.timeouts)),
                ("connects", "Connections that were opened.", read(&stats.connects)),
                (
                    "foreign_values",
                    "Values of strangers that were found and dropped.",
                    read(&stats.foreign_values),
                ),
            ]
            .map(|(name, meaning, number)| Gauge {
                role: "cache",
                backend: backend.to_owned(),
                node: Some(server.name.to_string()),
                name,
                meaning,
                number,
            })
        };
        let mut gauges: Vec<Gauge> = self.nodes().flat_map(of_node).collect();
        if let Some((tiered, _)) = &self.l1 {
            let stats = tiered.stats();
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let of_l1 = [
                ("l1_copies", "Copies of entries in this process.", tiered.copies() as u64),
                ("l1_hits", "Look-ups that a copy answered without asking.", read(&stats.hits)),
                ("l1_validated", "Look-ups that a copy answered after asking.", read(&stats.validated)),
                ("l1_refused", "Copies that a write overtook and that were not kept.", read(&stats.refused)),
            ];
            gauges.extend(of_l1.map(|(name, meaning, number)| Gauge {
                role: "cache",
                backend: backend.to_owned(),
                node: None,
                name,
                meaning,
                number,
            }));
        }
        gauges
    }
}

/// A time as people write it.
pub(super) fn spelled(ms: u64) -> impl std::fmt::Display {
    humantime::format_duration(std::time::Duration::from_millis(ms))
}
