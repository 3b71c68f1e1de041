// SPDX-License-Identifier: MIT OR Apache-2.0
//! How does the memcached door, on a table resource in process memory, compare with memcached itself?
//!
//! Both serve the same 100-byte values to the same load (hits only, 32 connections) with as many threads; the load
//! generator is one thread. Rounds alternate. Needs the release build of the program:
//! `cargo build --release -p throughline-cli`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use throughline_bench::{Claim, Load, Rounds, print_machine};
use throughline_testkit::{Daemon, DaemonOptions, Listener, Memcached, MemcachedOptions};

const SEED: u64 = 1;
const KEYS: usize = 1_000;
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    print_machine("the memcached door on a table resource, beside memcached", SEED);
    let threads: u32 = std::env::var("THREADS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("{threads} server threads each, {CONNECTIONS} connections, {KEYS} keys, load from one thread");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door.db");
    make_table(&path);
    let daemon = daemon(&path, threads);
    let memcached = Memcached::start(MemcachedOptions { threads, ..MemcachedOptions::default() });
    fill(memcached.address());
    let ours = daemon.address(Listener::Memcached);
    for key in 0..KEYS {
        assert!(ask(ours, &get(&[key])).starts_with(b"VALUE"), "the row is read and cached");
    }
    for (depth, many, claim) in
        [(1, false, Claim::AtLeast(1.0)), (16, false, Claim::AtLeast(2.0)), (16, true, Claim::AtLeast(1.0))]
    {
        let mut rounds = Rounds::default();
        for _ in 0..ROUNDS {
            let rate = |address| load(address, depth, many).run().rate;
            rounds.add(rate(ours), rate(memcached.address()));
        }
        let what = match (depth, many) {
            (1, _) => "one get at a time".to_owned(),
            (_, false) => format!("{depth} gets deep"),
            (_, true) => format!("one get of {depth} keys"),
        };
        rounds.print(&what, "memcached", "op/s", claim);
    }
}

fn daemon(path: &Path, threads: u32) -> Daemon {
    let url = format!("sqlite:{}", path.display());
    let threads = threads.to_string();
    let args = ["serve", &url, "--http", "127.0.0.1:0", "--memcached", "127.0.0.1:0", "--threads", &threads];
    Daemon::start(DaemonOptions::new(DaemonOptions::built_program(), &args))
}

/// The value of a key: a row as JSON, 100 bytes.
fn value(key: usize) -> String {
    let id = key + 1_000;
    let value = format!("{{\"id\":{id},\"body\":\"{:->79}\"}}", key);
    assert_eq!(value.len(), 100);
    value
}

fn make_table(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT; BEGIN")
        .unwrap();
    for key in 0..KEYS {
        let body = format!("{key:->79}");
        connection
            .execute("INSERT INTO item VALUES (?1, ?2)", rusqlite::params![(key + 1_000) as i64, body])
            .unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}

fn fill(address: SocketAddr) {
    for key in 0..KEYS {
        let value = value(key);
        let request = format!("set item:{} 0 0 {}\r\n{value}\r\n", key + 1_000, value.len());
        assert_eq!(ask(address, request.as_bytes()), b"STORED\r\n");
    }
}

fn get(keys: &[usize]) -> Vec<u8> {
    let mut request = b"get".to_vec();
    for key in keys {
        request.extend(format!(" item:{}", key + 1_000).bytes());
    }
    request.extend(b"\r\n");
    request
}

/// One request, one answer.
fn ask(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = vec![0; 4_096];
    let count = stream.read(&mut answer).unwrap();
    answer.truncate(count);
    answer
}

fn load(address: SocketAddr, depth: usize, many: bool) -> Load {
    // "VALUE item:1000 0 100\r\n" value "\r\n", and "END\r\n" behind each get.
    let hit = "VALUE item:1000 0 100\r\n".len() + 102;
    let requests = (0..KEYS).map(|first| {
        let keys: Vec<usize> = (0..depth).map(|place| (first + place * 31) % KEYS).collect();
        if many {
            (get(&keys), depth * hit + 5)
        } else {
            (keys.iter().flat_map(|key| get(&[*key])).collect(), depth * (hit + 5))
        }
    });
    Load { address, connections: CONNECTIONS, depth, requests: requests.collect(), time: ROUND }
}
