// SPDX-License-Identifier: MIT OR Apache-2.0
//! What does the fence of one cache server cost those who read another one?
//!
//! One daemon, strict, over MariaDB and two memcached servers. Calm: 16 tasks read keys of the first server, 4 tasks
//! keys of the second, a writer writes a key of the second. Then the same while the way to the second is cut: the
//! writer finds out, the server is fenced, its keys are read at the database. Compared are the times of the 16 tasks,
//! at the 99th percentile. All callers pause between two calls, so that the load is the same both times.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use throughline::config::Settings;
use throughline::{Assembly, Change, Condition, Key, Level, Served, Space, Target, Write};
use throughline_bench::{Claim, Rounds, print_machine};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions, Proxy, Way};
use tokio::task::JoinSet;

const SEED: u64 = 1;
const KEYS: u64 = 200;
const READERS: usize = 16;
const OTHER_READERS: usize = 4;
/// Each round keeps the server out twice as long as the one before, from 5 s on.
const ROUNDS: usize = 3;
/// Longer than a reader's lease (2 s), which the fence waits for.
const WINDOW: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(2);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    print_machine("reads of one cache server while another one is fenced", SEED);
    let mariadb = Mariadb::start(MariadbOptions::default());
    let memcached = [(); 2].map(|()| Memcached::start(MemcachedOptions::default()));
    let way = Proxy::start(memcached[1].address());
    let url = mariadb.create_database("shop");
    let rows: Vec<String> = (0..KEYS).map(|id| format!("({id}, 'a text of some length')")).collect();
    mariadb.execute(&format!(
        "CREATE TABLE shop.item (id BIGINT PRIMARY KEY, body VARCHAR(100) NOT NULL); INSERT INTO shop.item VALUES {}",
        rows.join(", ")
    ));
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [{{ name = \"a\", address = \"{}\" }}, \
         {{ name = \"b\", address = \"{}\" }}] }}\n\
         [resources.item]\nsource = \"shop\"\naccess = \"write\"\nlevel = \"strict\"\nttl = \"1h\"\n",
        memcached[0].address(),
        way.address(),
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    throughline::install(&settings).await.unwrap();
    let throughline = Assembly::new(settings).open().await.unwrap();
    let space = throughline.listing("item").unwrap().space.clone();
    assert_eq!(space.policy().level, Level::Strict);
    let keys: Vec<Key> = (0..KEYS).map(|id| Key::parse(&id.to_string()).unwrap()).collect();
    all_hit(&space, &keys).await;
    way.set(Way::Cut);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for key in keys.clone() {
        let is_hit = space.get(&key).await.unwrap().served == Served::Hit;
        if is_hit { here.push(key) } else { there.push(key) }
    }
    way.heal();
    println!("{} keys on the server that stays, {} on the one that is fenced", here.len(), there.len());
    let (here, there): (Arc<[Key]>, Arc<[Key]>) = (here.into(), there.into());

    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        all_hit(&space, &keys).await;
        let calm_us = p99_us(&space, &here, &there).await;
        way.set(Way::Cut);
        let fence_us = p99_us(&space, &here, &there).await;
        way.heal();
        rounds.add(fence_us, calm_us);
    }
    rounds.print("p99 of reads during a fence", "before it", "us", Claim::AtMost(1.5));
    throughline.shut_down(Duration::from_secs(1)).await;
}

/// Returns when every key is a hit.
async fn all_hit(space: &Arc<Space>, keys: &[Key]) {
    while !space.get_many(keys).await.iter().all(|read| read.as_ref().unwrap().served == Served::Hit) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The 99th percentile of the times of reads `here`, while others read and write `there`.
async fn p99_us(space: &Arc<Space>, here: &Arc<[Key]>, there: &Arc<[Key]>) -> f64 {
    let until = Instant::now() + WINDOW;
    let mut others = JoinSet::new();
    for place in 0..OTHER_READERS {
        others.spawn(read(space.clone(), there.clone(), place, until));
    }
    let (writer, key) = (space.clone(), there[0].clone());
    others.spawn(async move {
        while Instant::now() < until {
            let change = Change::Put { value: "{\"body\":\"another text\"}".into(), flags: 0 };
            let write = Write { target: Target::Key(key.clone()), change, condition: Condition::Always };
            writer.write(write).await.unwrap();
            tokio::time::sleep(PAUSE).await;
        }
        Vec::new()
    });
    let readers: JoinSet<Vec<Duration>> =
        (0..READERS).map(|place| read(space.clone(), here.clone(), place, until)).collect();
    let mut times: Vec<Duration> = readers.join_all().await.concat();
    others.join_all().await;
    times.sort_unstable();
    times[times.len() * 99 / 100].as_secs_f64() * 1e6
}

async fn read(space: Arc<Space>, keys: Arc<[Key]>, place: usize, until: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let key = &keys[(place * 31 + times.len()) % keys.len()];
        let began = Instant::now();
        space.get(key).await.unwrap();
        times.push(began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    times
}
