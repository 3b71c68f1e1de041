// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which caches' servers the fleet agrees on, and by which database.

use std::sync::Arc;

use throughline_core::ResourceName;
use throughline_engine::{Fence, FenceParts, FenceTimes};

use super::Surroundings;
use super::cache::OpenCache;
use super::level::Obstacle;
use super::source::{OpenSource, mistake};
use crate::clock::BootClock;
use crate::config::{ConfigError, ResourceSettings};
use crate::throughline::Gauge;

/// The agreements of one program: one for each cache on servers whose resources are in a database with control tables.
pub(super) struct Fences(Vec<Agreement>);

struct Agreement {
    source: usize,
    cache: usize,
    /// The cache's and the source's names.
    name: String,
    /// `None` when nothing may be changed.
    fence: Option<Arc<Fence>>,
}

impl Fences {
    /// Reads the rows, enrolls servers and resources, and starts to poll.
    pub(super) async fn open(
        chosen: &[ResourceSettings],
        sources: &[OpenSource],
        caches: &[OpenCache],
        surroundings: &Surroundings,
    ) -> Result<Self, ConfigError> {
        let mut agreements: Vec<Agreement> = Vec::new();
        for settings in chosen {
            let Some(cache) = settings.cache else { continue };
            let (Some(control), Some(nodes)) = (sources[settings.source].control(), &caches[cache].nodes)
            else {
                continue;
            };
            if agreements.iter().any(|agreement| agreement.cache == cache) {
                continue;
            }
            let is_its =
                |other: &&ResourceSettings| other.cache == Some(cache) && other.source == settings.source;
            let resources: Vec<ResourceName> =
                chosen.iter().filter(is_its).map(|settings| settings.name.clone()).collect();
            let parts = FenceParts {
                control: control.clone(),
                nodes: nodes.clone(),
                resources,
                clock: Arc::new(BootClock),
                rng: surroundings.rng.clone(),
                tasks: Arc::new(surroundings.tasks.clone()),
                times: FenceTimes::default(),
            };
            let fence = match surroundings.checking {
                true => None,
                false => Some(Fence::open(parts).await.map_err(|error| mistake(&error))?),
            };
            let name = caches[cache].name.clone();
            agreements.push(Agreement { source: settings.source, cache, name, fence });
        }
        Ok(Self(agreements))
    }

    fn agreement(&self, settings: &ResourceSettings) -> Option<&Agreement> {
        self.0.iter().find(|agreement| Some(agreement.cache) == settings.cache)
    }

    /// The agreement that a resource's entries are under.
    pub(super) fn of(&self, settings: &ResourceSettings) -> Option<&Arc<Fence>> {
        self.agreement(settings).filter(|agreement| agreement.source == settings.source)?.fence.as_ref()
    }

    /// Every agreement.
    pub(super) fn all(&self) -> Vec<Arc<Fence>> {
        self.0.iter().filter_map(|agreement| agreement.fence.clone()).collect()
    }

    /// Why a resource's entries cannot be under one: each database counts its own generations of a server, and the
    /// connections to it can follow one only.
    pub(super) fn obstacle(&self, settings: &ResourceSettings) -> Option<Obstacle> {
        let agreement = self.agreement(settings).filter(|agreement| agreement.source != settings.source)?;
        Some(Obstacle {
            why: format!("cache `{}` is agreed on by another database", agreement.name),
            remedy: "give this source a cache of its own in [caches]; it may name the same servers"
                .to_owned(),
        })
    }

    /// What the agreements count.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let mut gauges = Vec::new();
        for agreement in &self.0 {
            let Some(fence) = &agreement.fence else { continue };
            let mut gauge = |name, meaning, number| {
                gauges.push(Gauge {
                    role: "fence",
                    backend: agreement.name.clone(),
                    node: None,
                    name,
                    meaning,
                    number,
                });
            };
            let standings = fence.standings();
            let readable = standings.iter().filter(|standing| standing.is_readable).count();
            gauge("servers", "Cache servers of the configuration.", standings.len() as u64);
            gauge("servers_readable", "Cache servers that this daemon may read now.", readable as u64);
            fence.stats().for_each(&mut gauge);
        }
        gauges
    }
}
