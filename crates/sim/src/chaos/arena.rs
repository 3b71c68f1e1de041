// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real servers of a run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use throughline_core::{Result, Rng};
use throughline_testkit::{Memcached, MemcachedOptions};

use super::Chaos;
use crate::database::{Kind, Server, Session};
use crate::faults::Fault;
use crate::sut::{Control, ControlSystem, DaemonPlan, Daemons, PairOptions, Process, System};

/// The least that memcached takes, twice its largest item; for runs in which it is to evict.
const MEMORY_MIN_MB: u32 = 2;
/// Room enough for everything.
const MEMORY_MB: u32 = 64;

/// The real servers of all runs: one database server, and for each run a database and caches of its own.
#[derive(Debug)]
pub struct Arena {
    server: Server,
}

/// The servers of one run.
#[derive(Debug)]
pub struct Cell {
    server: Server,
    database_url: String,
    caches: Vec<Arc<Memcached>>,
}

impl Arena {
    /// Starts the database server; blocks until it answers.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    pub fn start(kind: Kind) -> Self {
        Self { server: Server::start(kind) }
    }

    /// Makes the database `name` with the checker's tables, and empty caches; blocks until they answer.
    ///
    /// # Errors
    /// When the tables cannot be made.
    ///
    /// # Panics
    /// When memcached does not come up, with the end of its log.
    pub async fn cell(&self, name: &str, chaos: &Chaos) -> Result<Cell> {
        let database_url = self.server.create_database(name);
        let memory_mb = if chaos.faults.contains(&Fault::CacheEvict) { MEMORY_MIN_MB } else { MEMORY_MB };
        let cache =
            |_| Arc::new(Memcached::start(MemcachedOptions { memory_mb, ..MemcachedOptions::default() }));
        let caches = (0..chaos.cache_count.max(1)).map(cache).collect();
        Session::connect(&database_url).await?.create().await?;
        Ok(Cell { server: self.server.clone(), database_url, caches })
    }
}

impl Cell {
    /// Makes the control tables and starts daemons of `program`; blocks until they answer.
    ///
    /// # Errors
    /// When a configuration file cannot be written.
    ///
    /// # Panics
    /// When the control tables cannot be made, or a daemon does not come up, with the end of its log.
    pub fn daemons(
        &self,
        program: impl Into<PathBuf>,
        daemon_count: usize,
        chaos: &Chaos,
    ) -> Result<Daemons> {
        Daemons::start(&DaemonPlan {
            program: program.into(),
            daemon_count,
            caches: self.cache_addresses(),
            database: self.server.address(),
            database_url: self.database_url.clone(),
            has_outbox: chaos.outside_bound.is_some(),
        })
    }

    /// The controls: the database alone, which must keep the promise, and the two usual ways of writing a
    /// cache by hand, which must be convicted. They share this cell's servers, so one cell runs only one.
    pub fn control(&self, control: Control, seed: u64) -> Box<dyn System> {
        let options = PairOptions {
            cache: self.caches[0].address(),
            database_url: self.database_url.clone(),
            instance_count: 4,
            pause_percent: 5,
            rng: Arc::new(Rng::from_seed(seed)),
        };
        Box::new(ControlSystem::new(control, options))
    }

    pub(super) fn database_url(&self) -> &str {
        &self.database_url
    }

    pub(super) fn database_process(&self) -> Arc<dyn Process> {
        self.server.process()
    }

    pub(super) fn cache_addresses(&self) -> Vec<SocketAddr> {
        self.caches.iter().map(|cache| cache.address()).collect()
    }

    pub(super) fn caches(&self) -> Vec<(Arc<dyn Process>, SocketAddr)> {
        self.caches.iter().map(|cache| (Arc::clone(cache) as _, cache.address())).collect()
    }
}
