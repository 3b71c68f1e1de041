// SPDX-License-Identifier: MIT OR Apache-2.0
//! How does a daemon over memcached, door to door, compare with twemproxy over the same memcached?
//!
//! The same load (one thread, hits of 100-byte values, the memcached protocol) goes to the daemon and to twemproxy; each
//! asks a memcached with one thread. The daemon has one thread as well (`THREADS` for more), as twemproxy has. Needs
//! the release build of the program (`cargo build --release -p throughline-cli`) and `nutcracker`, Debian's
//! package of twemproxy.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use throughline_bench::{
    Claim, DOOR_CONNECTIONS, DOOR_KEYS, Gets, Rounds, ask_once, door_get, door_load, door_set,
    make_door_table, print_machine,
};
use throughline_testkit::{Daemon, DaemonOptions, Listener, Memcached, MemcachedOptions};

const SEED: u64 = 1;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(1);

fn main() {
    print_machine("a daemon over memcached, beside twemproxy over memcached", SEED);
    let threads = std::env::var("THREADS").unwrap_or_else(|_| "1".to_owned());
    println!(
        "{threads} daemon threads, {DOOR_CONNECTIONS} connections, {DOOR_KEYS} keys, load from one thread"
    );
    let memcached = Memcached::start(MemcachedOptions { threads: 1, ..MemcachedOptions::default() });
    let folder = tempfile::tempdir().unwrap();
    let Some(proxy) = Proxy::start(folder.path(), memcached.address()) else {
        println!("nutcracker is not installed (Debian: apt-get install nutcracker); nothing was measured");
        return;
    };
    let daemon = daemon(folder.path(), memcached.address(), &threads);
    let ours = daemon.address(Listener::Memcached);
    for id in 0..DOOR_KEYS {
        door_set(proxy.address, id);
        while !ask_once(ours, &door_get(&[id])).starts_with(b"VALUE") {}
    }
    for depth in [1, 16] {
        let mut rounds = Rounds::default();
        for _ in 0..ROUNDS {
            let rate = |address| door_load(address, depth, Gets::Single, ROUND).run().rate;
            rounds.add(rate(ours), rate(proxy.address));
        }
        rounds.print(&format!("gets {depth} deep"), "twemproxy", "op/s", Claim::AtLeast(1.0));
    }
}

/// A running twemproxy, ended when dropped.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// `None` when the program is not there.
    fn start(folder: &Path, memcached: SocketAddr) -> Option<Self> {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let (address, stats) = (free(), free());
        let file = folder.join("nutcracker.yml");
        let text = format!(
            "bench:\n  listen: {address}\n  hash: fnv1a_64\n  distribution: ketama\n  preconnect: true\n  \
             auto_eject_hosts: false\n  servers:\n   - {memcached}:1\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("nutcracker");
        command.arg("-c").arg(&file).args(["-a", "127.0.0.1", "-s", &stats.port().to_string()]);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = quiet.spawn().ok()?;
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        Some(Self { child, address })
    }
}

fn daemon(folder: &Path, memcached: SocketAddr, threads: &str) -> Daemon {
    let (database, file) = (folder.join("door.db"), folder.join("throughline.toml"));
    make_door_table(&database);
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\nmemcached = \"127.0.0.1:0\"\n\
         [sources.main]\nurl = \"sqlite:{}\"\n[caches.main]\nmemcached = {{ servers = [\"{memcached}\"], timeout = \"1s\" }}\n\
         [resources.item]\nsource = \"main\"\naccess = \"write\"\nttl = \"1h\"\n",
        database.display()
    );
    std::fs::write(&file, text).unwrap();
    let args = ["serve", "--config", file.to_str().unwrap(), "--threads", threads];
    Daemon::start(DaemonOptions::new(DaemonOptions::built_program(), &args))
}
