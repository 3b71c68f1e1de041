// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several `throughline serve` over one memcached and one database.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Result};
use throughline_testkit::{Daemon, DaemonOptions, Listener, Scratch, free_port, init_database};

use super::daemon_http::HttpDoor;
use super::daemon_memcached::MemcachedDoor;
use super::{Client, Process, System};

/// What the daemons are started with.
#[derive(Clone, Debug)]
pub struct DaemonPlan {
    /// The program `throughline`.
    pub program: PathBuf,
    /// How many daemons.
    pub daemon_count: usize,
    /// The memcached that they share.
    pub cache: SocketAddr,
    /// The URL of the database that holds the table `kv`.
    pub database_url: String,
}

/// The running daemons, killed when dropped.
#[derive(Debug)]
pub struct Daemons {
    daemons: Vec<Arc<Daemon>>,
    // Dropped after the daemons that read their configuration from it.
    _folder: Scratch,
}

impl Daemons {
    /// Starts them. Each keeps its ports when it is killed and started again. Blocks until all answer.
    ///
    /// # Errors
    /// When a configuration file cannot be written.
    ///
    /// # Panics
    /// When a daemon does not come up, with the end of its log.
    pub fn start(plan: &DaemonPlan) -> Result<Self> {
        let folder = Scratch::new();
        init_database(&plan.program, &plan.database_url);
        let start = |index: usize| {
            let path = folder.join(&format!("daemon-{index}.toml"));
            std::fs::write(&path, configuration(plan)).map_err(|error| {
                Error::new(ErrorKind::Other, "write a configuration file", "scratch folder").with_cause(error)
            })?;
            let args = ["serve", "--config", &path.to_string_lossy()];
            Ok(Arc::new(Daemon::start(DaemonOptions::new(&plan.program, &args))))
        };
        let daemons = (0..plan.daemon_count).map(start).collect::<Result<_>>()?;
        Ok(Self { daemons, _folder: folder })
    }

    /// The end of each daemon's log.
    pub fn logs(&self) -> Vec<String> {
        self.daemons.iter().map(|daemon| daemon.log()).collect()
    }
}

impl System for Daemons {
    fn name(&self) -> String {
        format!("{} daemons, strict", self.daemons.len())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn doors(&self) -> Vec<Box<dyn Client>> {
        let doors = self.daemons.iter().enumerate().flat_map(|(index, daemon)| {
            let http = HttpDoor::new(format!("daemon {index} http"), daemon.address(Listener::Http));
            let address = daemon.address(Listener::Memcached);
            let memcached = MemcachedDoor::new(format!("daemon {index} memcached"), address);
            let http = http.expect("a client without TLS and proxy needs nothing that can be missing");
            [Box::new(http) as Box<dyn Client>, Box::new(memcached)]
        });
        doors.collect()
    }

    fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.daemons.iter().map(|daemon| Arc::clone(daemon) as Arc<dyn Process>).collect()
    }
}

/// The configuration of one daemon, with ports of its own that it keeps for life.
fn configuration(plan: &DaemonPlan) -> String {
    let (http, memcached) = (free_port(), free_port());
    let DaemonPlan { cache, database_url, .. } = plan;
    format!(
        r#"[listen]
http = "127.0.0.1:{http}"
memcached = "127.0.0.1:{memcached}"

[sources.shop]
url = "{database_url}"

[caches.main]
memcached = {{ servers = ["{cache}"] }}

[resources.kv]
source = "shop"
table = "kv"
cache = "main"
read = "read-through"
write = "write-through"
access = "write"
level = "strict"
ttl = "5m"
"#
    )
}
