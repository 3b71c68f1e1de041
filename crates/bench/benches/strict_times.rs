// SPDX-License-Identifier: MIT OR Apache-2.0
//! What do a strict hit and a strict write over memcached and MariaDB take, beside the bare calls?
//!
//! Round trips are counted by a test (`crates/throughline/tests/round_trips.rs`): a hit is 1 to the cache; a write is 3
//! to the database, one after the other, and 1 to the cache. Here are the times: the hit beside `get` on a
//! plain socket, the write beside a bare autocommitted UPDATE, both with MariaDB's default durability
//! (an fsync per commit).

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use mysql_async::prelude::Queryable as _;
use throughline::{Change, Condition, Key, Served, Target, Write};
use throughline_bench::{Claim, Rounds, Strict, print_machine};
use throughline_testkit::Memcached;

const SEED: u64 = 1;
const ROUNDS: usize = 9;
const HITS: usize = 2_000;
const WRITES: usize = 100;

fn main() {
    print_machine("a strict hit and a strict write, beside the bare calls; one client", SEED);
    let strict = Strict::start();
    let (runtime, space) = (&strict.runtime, &strict.space);
    let key = Key::parse("1").unwrap();
    let put = |number: usize| {
        let value = format!("{{\"id\":1,\"body\":\"{number:->100}\"}}");
        let change = Change::Put { value: value.into(), flags: 0 };
        space.write(Write { target: Target::Key(key.clone()), change, condition: Condition::Always })
    };
    let mut bare =
        runtime.block_on(mysql_async::Conn::new(mysql_async::Opts::from_url(&strict.url).unwrap())).unwrap();
    let (mut hits, mut writes) = (Rounds::default(), Rounds::default());
    for round in 0..ROUNDS {
        let began = Instant::now();
        for number in 0..WRITES {
            runtime.block_on(put(round * WRITES + number)).unwrap();
        }
        let ours = micros(began, WRITES);
        let began = Instant::now();
        for number in 0..WRITES {
            let body = format!("{:->100}", round * WRITES + number);
            runtime.block_on(bare.exec_drop("UPDATE bare SET body = ? WHERE id = 1", (body,))).unwrap();
        }
        writes.add(ours, micros(began, WRITES));

        let began = Instant::now();
        for _ in 0..HITS {
            assert_eq!(runtime.block_on(space.get(&key)).unwrap().served, Served::Hit);
        }
        hits.add(micros(began, HITS), plain_gets(&strict.memcached));
    }
    hits.print("strict hit", "a get on a plain socket", "us", Claim::AtMost(4.0));
    writes.print("strict write", "a bare UPDATE", "us", Claim::AtMost(3.0));
}

fn micros(began: Instant, count: usize) -> f64 {
    began.elapsed().as_micros() as f64 / count as f64
}

fn plain_gets(memcached: &Memcached) -> f64 {
    let mut stream = TcpStream::connect(memcached.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = [0; 1_024];
    stream.write_all(b"set plain 0 0 3\r\none\r\n").unwrap();
    assert!(stream.read(&mut answer).unwrap() > 0);
    let began = Instant::now();
    for _ in 0..HITS {
        stream.write_all(b"get plain\r\n").unwrap();
        assert!(stream.read(&mut answer).unwrap() > 0);
    }
    micros(began, HITS)
}
