// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many hits per second do 64 tasks get through a resource over memcached, beside a bare socket and beside
//! another asynchronous client?
//!
//! Ours: `Space::get` of prepared keys, by 64 tasks; the typed `Resource` beside it, which decodes each record.
//! The bare socket: one connection, 64 `mg` requests of the same items in one write, the next 64 when all
//! answers are there: what a protocol without any safeguard can do. The other client: async-memcached (Shopify),
//! chosen because it is the only one of the asynchronous Rust clients on crates.io that is on tokio 1 and was
//! released in the last year (memcache-async has no pipelining either and brings no connection of its own; rsmc rests
//! since 2021; memcache is synchronous). Used the ordinary way, a client per task, since it is one connection that
//! one task uses at a time.
//!
//! All values are the entries that we stored. Rounds alternate; memcached has one thread, and so has each client: the
//! bare socket is one loop that can use no more. What a second thread of ours brings is printed beside it.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_memcached::AsciiProtocol as _;
use serde::{Deserialize, Serialize};
use throughline::config::Settings;
use throughline::{Assembly, Key, Resource, Served, Space, Throughline};
use throughline_bench::{Claim, Load, Rounds, print_machine, rate, stored_keys};
use throughline_testkit::{Memcached, MemcachedOptions};
use tokio::runtime::{Builder, Runtime};

const SEED: u64 = 1;
const KEYS: usize = 1_000;
const TASKS: usize = 64;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Item {
    id: i64,
    body: String,
}

fn main() {
    print_machine("hits of 64 tasks through a resource over memcached", SEED);
    let runtime = threads(1);
    let memcached = Memcached::start(MemcachedOptions { threads: 1, ..MemcachedOptions::default() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hit.db");
    make_table(&path);
    let text = format!(
        "[sources.main]\nurl = \"sqlite:{}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"], timeout = \"1s\" }}\n\
         [resources.item]\nsource = \"main\"\naccess = \"write\"\nlevel = \"strict\"\nttl = \"1h\"\n",
        path.display(),
        memcached.address(),
    );
    let throughline =
        runtime.block_on(Assembly::new(Settings::parse(&text, &|_| None).unwrap()).open()).unwrap();
    let space = throughline.listing("item").unwrap().space.clone();
    let typed: Resource<i64, Item> = throughline.resource("item").unwrap();
    runtime.block_on(fill(&space));
    let stored = stored_keys(memcached.address(), KEYS);
    let load = bare(memcached.address(), &stored);

    let (mut beside_socket, mut typed_beside, mut beside_client) =
        (Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let ours = hits(&runtime, &space);
        beside_socket.add(ours, load.run().rate);
        beside_client.add(ours, other_client(&runtime, memcached.address(), &stored));
        typed_beside.add(typed_hits(&runtime, &typed), load.run().rate);
    }
    let two = threads(2);
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        alone.push(hits(&runtime, &space));
        together.push(hits(&two, &space));
    }
    println!("hits of 64 tasks on one thread {alone:.0?} op/s, on two {together:.0?}");
    print_costs(&runtime, &throughline, &space, &load, memcached.address(), &stored);
    beside_socket.print("hits of 64 tasks", "a bare socket, 64 deep", "op/s", Claim::AtLeast(0.6));
    typed_beside.print("the same, decoded", "a bare socket, 64 deep", "op/s", Claim::AtLeast(0.6));
    beside_client.print(
        "hits of 64 tasks",
        "async-memcached, a client per task",
        "op/s",
        Claim::AtLeast(3.0),
    );
    runtime.block_on(throughline.shut_down(Duration::from_secs(1)));
}

fn threads(count: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(count).enable_all().build().unwrap()
}

/// What other programs on the machine cannot change much: requests per write, and the client's own processor time.
fn print_costs(
    runtime: &Runtime,
    throughline: &Throughline,
    space: &Arc<Space>,
    load: &Load,
    address: SocketAddr,
    stored: &[Vec<u8>],
) {
    let count = |name| {
        let gauges = throughline.gauges();
        gauges.iter().filter(|gauge| gauge.name == name).map(|gauge| gauge.number).sum::<u64>() as f64
    };
    let before = (count("commands"), count("round_trips"));
    let ours = cpu_us_per_op(|| hits(runtime, space));
    let per_write = (count("commands") - before.0) / (count("round_trips") - before.1);
    let bare = cpu_us_per_op(|| load.run().rate);
    let other = cpu_us_per_op(|| other_client(runtime, address, stored));
    println!(
        "{per_write:.1} look-ups per write; processor time of the client per look-up: {ours:.2} us, bare socket {bare:.2} us, async-memcached {other:.2} us"
    );
}

fn cpu_us_per_op(rate: impl FnOnce() -> f64) -> f64 {
    let now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
    };
    let (cpu, began) = (now(), Instant::now());
    let rate = rate();
    (now() - cpu) / (rate * began.elapsed().as_secs_f64())
}

fn hits(runtime: &Runtime, space: &Arc<Space>) -> f64 {
    let keys: Arc<Vec<Key>> = Arc::new((0..KEYS).map(|id| Key::parse(&id.to_string()).unwrap()).collect());
    rate(runtime, TASKS, ROUND, |place, until| {
        let (space, keys) = (space.clone(), keys.clone());
        async move {
            let mut count = 0;
            while Instant::now() < until {
                for _ in 0..16 {
                    let read = space.get(&keys[(place * 31 + count) % KEYS]).await.unwrap();
                    assert_eq!(read.served, Served::Hit);
                    count += 1;
                }
            }
            count
        }
    })
}

fn typed_hits(runtime: &Runtime, typed: &Resource<i64, Item>) -> f64 {
    rate(runtime, TASKS, ROUND, |place, until| {
        let typed = typed.clone();
        async move {
            let mut count = 0;
            while Instant::now() < until {
                for _ in 0..16 {
                    let id = ((place * 31 + count) % KEYS) as i64;
                    assert_eq!(typed.get(&id).await.unwrap().unwrap().id, id);
                    count += 1;
                }
            }
            count
        }
    })
}

fn other_client(runtime: &Runtime, address: SocketAddr, keys: &[Vec<u8>]) -> f64 {
    let connect = async_memcached::Client::new(format!("tcp://{address}"));
    drop(runtime.block_on(connect).unwrap());
    let keys: Arc<[Vec<u8>]> = keys.into();
    rate(runtime, TASKS, ROUND, |place, until| {
        let keys = keys.clone();
        async move {
            let mut client = async_memcached::Client::new(format!("tcp://{address}")).await.unwrap();
            let mut count = 0;
            while Instant::now() < until {
                for _ in 0..16 {
                    let value = client.get(&keys[(place * 31 + count) % keys.len()]).await.unwrap();
                    assert!(value.is_some_and(|value| value.data.is_some()));
                    count += 1;
                }
            }
            count
        }
    })
}

/// One connection, 64 look-ups at a time.
fn bare(address: SocketAddr, keys: &[Vec<u8>]) -> Load {
    let requests = (0..keys.len()).map(|first| {
        let keys = (0..TASKS).map(|place| &keys[(first + place * 31) % keys.len()]);
        let request: Vec<u8> = keys.flat_map(|key| [b"mg ", key.as_slice(), b" v\r\n"].concat()).collect();
        let answer = throughline_bench::ask(address, &request, TASKS);
        (request, answer.len())
    });
    Load { address, connections: 1, depth: TASKS, requests: requests.collect(), time: ROUND }
}

async fn fill(space: &Arc<Space>) {
    for id in 0..KEYS {
        let key = Key::parse(&id.to_string()).unwrap();
        while space.get(&key).await.unwrap().served != Served::Hit {
            tokio::task::yield_now().await;
        }
    }
}

/// Rows whose JSON is about 100 bytes.
fn make_table(path: &std::path::Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT; BEGIN")
        .unwrap();
    for id in 0..KEYS {
        let body = format!("{id:->80}");
        connection.execute("INSERT INTO item VALUES (?1, ?2)", rusqlite::params![id as i64, body]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}
