// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several `throughline serve` over one memcached and one database.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Result};
use throughline_testkit::{Daemon, DaemonOptions, Listener, Proxy, Scratch, free_port, init_database};

use super::daemon_http::HttpDoor;
use super::daemon_memcached::MemcachedDoor;
use super::{Client, Links, Process, System};

/// What the daemons are started with.
#[derive(Clone, Debug)]
pub struct DaemonPlan {
    /// The program `throughline`.
    pub program: PathBuf,
    /// How many daemons.
    pub daemon_count: usize,
    /// The memcached servers that they share.
    pub caches: Vec<SocketAddr>,
    /// Where the database listens.
    pub database: SocketAddr,
    /// Its URL; it holds the table `kv`.
    pub database_url: String,
    /// Whether other programs' writes are told by an outbox.
    pub has_outbox: bool,
}

/// The running daemons, killed when dropped.
#[derive(Debug)]
pub struct Daemons {
    daemons: Vec<Arc<Daemon>>,
    ways: Vec<Ways>,
    server_count: usize,
    // Dropped after the daemons that read their configuration from it.
    _folder: Scratch,
}

/// The ways of one daemon.
#[derive(Debug)]
struct Ways {
    caches: Vec<Arc<Proxy>>,
    database: Arc<Proxy>,
}

impl Daemons {
    /// Starts them. Each keeps its ports when it is killed and started again, and reaches its servers over
    /// ways of its own. Blocks until all answer.
    ///
    /// # Errors
    /// When a configuration file cannot be written.
    ///
    /// # Panics
    /// When a daemon does not come up, with the end of its log.
    pub fn start(plan: &DaemonPlan) -> Result<Self> {
        let folder = Scratch::new();
        init_database(&plan.program, &plan.database_url);
        if plan.has_outbox {
            install_outbox(plan)?;
        }
        let way = |address: &SocketAddr| Arc::new(Proxy::start(*address));
        let ways = |_| Ways { caches: plan.caches.iter().map(way).collect(), database: way(&plan.database) };
        let ways: Vec<Ways> = (0..plan.daemon_count).map(ways).collect();
        let start = |(index, ways): (usize, &Ways)| {
            let path = folder.join(&format!("daemon-{index}.toml"));
            std::fs::write(&path, configuration(plan, ways)).map_err(|error| {
                Error::new(ErrorKind::Other, "write a configuration file", "scratch folder").with_cause(error)
            })?;
            let args = ["serve", "--config", &path.to_string_lossy()];
            Ok(Arc::new(Daemon::start(DaemonOptions::new(&plan.program, &args))))
        };
        let daemons = ways.iter().enumerate().map(start).collect::<Result<_>>()?;
        Ok(Self { daemons, ways, server_count: plan.caches.len(), _folder: folder })
    }

    /// The end of each daemon's log.
    pub fn logs(&self) -> Vec<String> {
        self.daemons.iter().map(|daemon| daemon.log()).collect()
    }

    fn http_door(&self, index: usize) -> Box<dyn Client> {
        let address = self.daemons[index].address(Listener::Http);
        let door = HttpDoor::new(format!("daemon {index} http"), address);
        Box::new(door.expect("a client without TLS and proxy needs nothing that can be missing"))
    }
}

impl System for Daemons {
    fn name(&self) -> String {
        let servers =
            if self.server_count == 1 { String::new() } else { format!(" x {}", self.server_count) };
        format!("{} daemons{servers}, strict", self.daemons.len())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn doors(&self) -> Vec<Box<dyn Client>> {
        let doors = self.daemons.iter().enumerate().flat_map(|(index, daemon)| {
            let address = daemon.address(Listener::Memcached);
            let memcached = MemcachedDoor::new(format!("daemon {index} memcached"), address);
            [self.http_door(index), Box::new(memcached) as Box<dyn Client>]
        });
        doors.collect()
    }

    fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.daemons.iter().map(|daemon| Arc::clone(daemon) as Arc<dyn Process>).collect()
    }

    fn links(&self) -> Vec<Links> {
        let links = self.ways.iter().enumerate().map(|(index, ways)| Links {
            caches: ways.caches.clone(),
            database: Arc::clone(&ways.database),
            door: self.http_door(index),
        });
        links.collect()
    }
}

fn install_outbox(plan: &DaemonPlan) -> Result<()> {
    let failed = || Error::new(ErrorKind::Other, "install an outbox", "throughline init");
    let init = Command::new(&plan.program).args(["init", &plan.database_url, "--outbox", "kv"]).output();
    let init = init.map_err(|error| failed().with_cause(error))?;
    if init.status.success() {
        return Ok(());
    }
    Err(failed().with_cause(std::io::Error::other(String::from_utf8_lossy(&init.stderr).into_owned())))
}

/// The configuration of one daemon, with ports of its own that it keeps for life.
fn configuration(plan: &DaemonPlan, ways: &Ways) -> String {
    let (http, memcached) = (free_port(), free_port());
    let database_url =
        plan.database_url.replace(&plan.database.to_string(), &ways.database.address().to_string());
    // Every daemon has other addresses for the same servers, so the names tell which is which.
    let servers = ways.caches.iter().enumerate().map(|(index, way)| {
        format!(r#"{{ name = "{}", address = "{}" }}"#, server_name(index), way.address())
    });
    let servers = servers.collect::<Vec<_>>().join(", ");
    format!(
        r#"[listen]
http = "127.0.0.1:{http}"
memcached = "127.0.0.1:{memcached}"

[sources.shop]
url = "{database_url}"

[caches.main]
memcached = {{ servers = [{servers}] }}

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

/// What the daemons call a cache server.
pub(crate) fn server_name(index: usize) -> String {
    format!("cache-{index}")
}
