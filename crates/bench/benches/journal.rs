// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long does the acknowledgement of a write take that is written behind, and how many fit into a second?
//!
//! One client, beside the least that durability costs: a record of the same size appended to a preallocated file, and
//! fdatasync, on a thread that does nothing else. Then 64 clients, beside the same writes through to MariaDB with its
//! default durability (an fsync per commit, which it shares between transactions): with as many connections as clients,
//! and autocommitted UPDATEs by 64 bare clients. The same rows, the same disk; every client has keys of its own.
//! Accepted writes are applied between the rounds, and in one comparison meanwhile.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::Opts;
use mysql_async::prelude::Queryable as _;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::time::{ClockId, clock_gettime};
use throughline::config::Settings;
use throughline::{Assembly, Change, Condition, Effect, Key, Space, Target, Throughline, Write};
use throughline_bench::{Claim, Rounds, print_machine, rate};
use throughline_testkit::{Mariadb, MariadbOptions};
use tokio::runtime::{Builder, Runtime};

const SEED: u64 = 1;
const CLIENTS: usize = 64;
const KEYS: usize = 150;
const SINGLE: (usize, Duration) = (31, Duration::from_millis(300));
const SEVERAL: (usize, Duration) = (7, Duration::from_millis(1_500));
/// Resources of one table each: accepted and held until they are asked for, accepted and applied at once, written through.
const RESOURCES: [&str; 3] = ["held", "applied", "through"];

fn main() {
    print_machine("acknowledgements of writes behind", SEED);
    let server = Mariadb::start(MariadbOptions::default());
    let url = server.create_database("shop");
    for table in RESOURCES.iter().chain(&["bare"]) {
        let rows = CLIENTS * KEYS;
        server.execute(&format!(
            "USE shop; CREATE TABLE {table} (id BIGINT PRIMARY KEY, body VARCHAR(100) NOT NULL); \
             INSERT INTO {table} SELECT seq, 'old' FROM seq_1_to_{rows}"
        ));
    }
    let folder = tempfile::tempdir().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let throughline = open(&runtime, folder.path(), &url);
    single(&runtime, &throughline, folder.path());
    several(&runtime, &throughline, &url);
    runtime.block_on(throughline.shut_down(Duration::from_secs(5)));
}

fn open(runtime: &Runtime, folder: &Path, url: &str) -> Throughline {
    let data = folder.join("data");
    let text = format!(
        "data_dir = \"{}\"\n[sources.shop]\nurl = \"{url}\"\nwrite_connections = {CLIENTS}\n[caches.main]\nmemory = {{}}\n\
         [resources.held]\nsource = \"shop\"\naccess = \"write\"\nwrite = \"write-behind\"\n\
         behind = {{ delay = \"never\", count = 1000000 }}\n\
         [resources.applied]\nsource = \"shop\"\naccess = \"write\"\nwrite = \"write-behind\"\n\
         [resources.through]\nsource = \"shop\"\naccess = \"write\"\n",
        data.display()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    runtime.block_on(throughline::install(&settings)).unwrap();
    runtime.block_on(Assembly::new(settings).open()).unwrap()
}

fn space(throughline: &Throughline, resource: &str) -> Arc<Space> {
    throughline.listing(resource).unwrap().space.clone()
}

fn drain(runtime: &Runtime, throughline: &Throughline, resource: &str) {
    let behind = throughline.listing(resource).unwrap().behind.clone().unwrap();
    runtime.block_on(behind.drain()).unwrap();
    assert_eq!(behind.letter_count(), 0);
}

fn body(client: usize, count: usize) -> String {
    format!("{client:->50}{count:->50}")
}

fn id(client: usize, count: usize) -> usize {
    client * KEYS + count % KEYS + 1
}

/// Writes one key after the other until the time is over; how many.
async fn write(space: Arc<Space>, client: usize, until: Instant) -> usize {
    let mut count = 0;
    while Instant::now() < until {
        let id = id(client, count);
        let value = format!("{{\"id\":{id},\"body\":\"{}\"}}", body(client, count));
        let target = Target::Key(Key::parse(&id.to_string()).unwrap());
        let change = Change::Put { value: value.into(), flags: 0 };
        let effect = space.write(Write { target, change, condition: Condition::Always }).await.unwrap();
        assert!(!matches!(effect, Effect::Refused(_)));
        count += 1;
    }
    count
}

/// One client beside the bare append.
fn single(runtime: &Runtime, throughline: &Throughline, folder: &Path) {
    let held = space(throughline, "held");
    let record_len = {
        let few = Instant::now() + Duration::from_millis(50);
        rate(runtime, 1, Duration::from_millis(50), |client, _| write(held.clone(), client, few));
        record_len(&folder.join("data/journal/writes"))
    };
    let mut appender = Appender::new(&folder.join("bare"), record_len);
    let (count, time) = SINGLE;
    let mut rounds = Rounds::default();
    for _ in 0..count {
        let ours = rate(runtime, 1, time, |client, until| write(held.clone(), client, until));
        rounds.add(1e6 / ours, 1e6 / appender.rate(time));
    }
    println!("one client, records of {record_len} bytes");
    rounds.print("acknowledged", "bare append and fdatasync", "us", Claim::AtMost(2.0));
    drain(runtime, throughline, "held");
}

/// What the first record in the journal takes: a header of 40 bytes is before it, its payload's length at its byte 8.
fn record_len(journal: &Path) -> usize {
    let first = std::fs::read_dir(journal).unwrap().map(|file| file.unwrap().path());
    let first = first.filter(|path| path.extension().is_some_and(|name| name == "log")).min().unwrap();
    let mut length = [0; 4];
    File::open(first).unwrap().read_exact_at(&mut length, 40 + 8).unwrap();
    24 + (u32::from_le_bytes(length) as usize).next_multiple_of(8)
}

/// The least that an append costs which survives a loss of power.
struct Appender {
    file: File,
    record: Vec<u8>,
    end: u64,
}

impl Appender {
    const ROOM: u64 = 64 << 20;

    fn new(path: &Path, record_len: usize) -> Self {
        let file = File::create_new(path).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, Self::ROOM).unwrap();
        file.sync_all().unwrap();
        Self { file, record: vec![b'x'; record_len], end: 0 }
    }

    fn rate(&mut self, time: Duration) -> f64 {
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < time {
            self.file.write_all_at(&self.record, self.end).unwrap();
            self.file.sync_data().unwrap();
            self.end += self.record.len() as u64;
            assert!(self.end < Self::ROOM, "appends stay in what was preallocated");
            count += 1;
        }
        f64::from(count) / began.elapsed().as_secs_f64()
    }
}

/// Many clients beside those who write through, and the bare UPDATE.
fn several(runtime: &Runtime, throughline: &Throughline, url: &str) {
    let opts = Opts::from_url(url).unwrap();
    let [held, applied, through] = RESOURCES.map(|name| space(throughline, name));
    let mut comparisons: [Rounds; 3] = Default::default();
    let mut processor_us = Vec::new();
    let (count, time) = SEVERAL;
    let run = |space: &Arc<Space>| {
        rate(runtime, CLIENTS, time, |client, until| write(space.clone(), client, until))
    };
    for _ in 0..count {
        let through_rate = run(&through);
        let bare_rate = rate(runtime, CLIENTS, time, |client, until| update(opts.clone(), client, until));
        let (began, used) = (Instant::now(), processor_time());
        let held_rate = run(&held);
        let acknowledged = held_rate * began.elapsed().as_secs_f64();
        processor_us.push((processor_time() - used).as_secs_f64() * 1e6 / acknowledged);
        drain(runtime, throughline, "held");
        let applied_rate = run(&applied);
        drain(runtime, throughline, "applied");
        comparisons[0].add(held_rate, through_rate);
        comparisons[1].add(held_rate, bare_rate);
        comparisons[2].add(applied_rate, through_rate);
    }
    processor_us.sort_by(f64::total_cmp);
    println!("{CLIENTS} clients; {:.1} us of processor time per acknowledgement", processor_us[count / 2]);
    let peers = ["write-through", "the bare UPDATE", "write-through"];
    let ours = ["acknowledged", "acknowledged", "acknowledged while they are applied"];
    // The first is the claim; the others are to be faster.
    let wanted = [10.0, 1.0, 1.0];
    for (((rounds, peer), ours), wanted) in comparisons.iter().zip(peers).zip(ours).zip(wanted) {
        rounds.print(ours, peer, "op/s", Claim::AtLeast(wanted));
    }
}

/// What this process has used of the processors.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

async fn update(opts: Opts, client: usize, until: Instant) -> usize {
    let mut connection = mysql_async::Conn::new(opts).await.unwrap();
    let mut count = 0;
    while Instant::now() < until {
        let row = (body(client, count), id(client, count));
        connection.exec_drop("UPDATE bare SET body = ? WHERE id = ?", row).await.unwrap();
        count += 1;
    }
    connection.disconnect().await.unwrap();
    count
}
