// SPDX-License-Identifier: MIT OR Apache-2.0
//! How fast are misses of SQLite, 64 at a time, beside bare rusqlite threads?
//!
//! Ours: a resource without a cache, so every read is a load through queue, reader threads, JSON and back. Peer: as
//! many threads as readers, each with its own connection and prepared statement, reading the same rows into the
//! same JSON.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use throughline::config::Settings;
use throughline::{Assembly, Key, Rng, Space};
use throughline_bench::{Claim, Rounds, print_machine};

const SEED: u64 = 1;
const KEYS: u64 = 10_000;
const READERS: usize = 2;
const TASKS: usize = 64;
const READS: usize = 64_000;
const ROUNDS: usize = 9;

fn main() {
    print_machine("misses of SQLite, 64 at a time, beside bare rusqlite threads", SEED);
    println!("{READERS} reading threads each");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("miss.db");
    make_table(&path);
    let text = format!(
        "[sources.db]\nurl = \"sqlite:{}\"\nread_connections = {READERS}\n\
         [resources.item]\nsource = \"db\"\ncache = \"none\"\n",
        path.display()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    let throughline = runtime.block_on(Assembly::new(settings).open()).unwrap();
    let space = throughline.listing("item").unwrap().space.clone();
    let mut rounds = Rounds::default();
    for round in 0..ROUNDS as u64 {
        rounds.add(runtime.block_on(ours(&space, round)), peers(&path, round));
    }
    rounds.print("misses", "bare rusqlite", "reads/s", Claim::AtLeast(0.67));
}

async fn ours(space: &Arc<Space>, seed: u64) -> f64 {
    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS as u64)
        .map(|task| {
            let (space, rng) = (space.clone(), Rng::from_seed(seed * 1_000 + task));
            tokio::spawn(async move {
                for _ in 0..READS / TASKS {
                    let key = Key::parse(&rng.below(KEYS).to_string()).unwrap();
                    assert!(space.get(&key).await.unwrap().record().is_some());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    READS as f64 / began.elapsed().as_secs_f64()
}

fn peers(path: &Path, seed: u64) -> f64 {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..READERS as u64 {
            scope.spawn(move || {
                let flags =
                    rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = rusqlite::Connection::open_with_flags(path, flags).unwrap();
                let rng = Rng::from_seed(seed * 1_000 + thread);
                for _ in 0..READS / READERS {
                    let mut select =
                        connection.prepare_cached("SELECT id, body FROM item WHERE id = ?1").unwrap();
                    let json = select.query_row([rng.below(KEYS) as i64], |row| {
                        let (id, body): (i64, String) = (row.get(0)?, row.get(1)?);
                        Ok(format!("{{\"id\":{id},\"body\":\"{body}\"}}"))
                    });
                    assert!(!std::hint::black_box(json.unwrap()).is_empty());
                }
            });
        }
    });
    READS as f64 / began.elapsed().as_secs_f64()
}

fn make_table(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT; BEGIN").unwrap();
    for id in 0..KEYS {
        let body = format!("{id:->80}");
        connection.execute("INSERT INTO item VALUES (?1, ?2)", rusqlite::params![id as i64, body]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}
