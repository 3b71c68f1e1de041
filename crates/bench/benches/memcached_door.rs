// SPDX-License-Identifier: MIT OR Apache-2.0
//! How does the memcached door, on a table resource in process memory, compare with memcached itself?
//!
//! Both serve the same 100-byte values to the same load (hits only, 32 connections) with as many threads; the load
//! generator is one thread. Rounds alternate. Needs the release build of the program:
//! `cargo build --release -p throughline-cli`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::path::Path;
use std::time::Duration;

use throughline_bench::{
    Claim, DOOR_CONNECTIONS, DOOR_KEYS, Gets, Rounds, ask_once, door_get, door_load, door_set,
    make_door_table, print_machine,
};
use throughline_testkit::{Daemon, DaemonOptions, Listener, Memcached, MemcachedOptions};

const SEED: u64 = 1;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    print_machine("the memcached door on a table resource, beside memcached", SEED);
    let threads: u32 = std::env::var("THREADS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!(
        "{threads} server threads each, {DOOR_CONNECTIONS} connections, {DOOR_KEYS} keys, load from one thread"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door.db");
    make_door_table(&path);
    let daemon = daemon(&path, threads);
    let memcached = Memcached::start(MemcachedOptions { threads, ..MemcachedOptions::default() });
    (0..DOOR_KEYS).for_each(|key| door_set(memcached.address(), key));
    let ours = daemon.address(Listener::Memcached);
    for key in 0..DOOR_KEYS {
        assert!(ask_once(ours, &door_get(&[key])).starts_with(b"VALUE"), "the row is read and cached");
    }
    for (depth, gets, claim) in [
        (1, Gets::Single, Claim::AtLeast(1.0)),
        (16, Gets::Single, Claim::AtLeast(2.0)),
        (16, Gets::Joined, Claim::AtLeast(1.0)),
    ] {
        let mut rounds = Rounds::default();
        for _ in 0..ROUNDS {
            let rate = |address| door_load(address, depth, gets, ROUND).run().rate;
            rounds.add(rate(ours), rate(memcached.address()));
        }
        let what = match (depth, gets) {
            (1, _) => "one get at a time".to_owned(),
            (_, Gets::Single) => format!("{depth} gets deep"),
            (_, Gets::Joined) => format!("one get of {depth} keys"),
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
