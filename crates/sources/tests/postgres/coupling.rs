// SPDX-License-Identifier: MIT OR Apache-2.0
//! A fill never stores what a write has replaced: one daemon writes, another fills. Beside it, the same with a
//! reader that looks at the lock behind its SELECT, to show that the check finds an old value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use throughline_core::Loader;
use throughline_sources::postgres::PostgresTable;
use tokio_postgres::Client;

use crate::fixture::{Database, intent, key, prepare, put};
use crate::server::another_daemon;

const WRITE_COUNT: u64 = 300;
/// Far more than the naive reader needs to be convicted.
const NAIVE_WRITE_COUNT_MAX: u64 = 20_000;
const READER_COUNT: usize = 3;

/// What the cache knows of one key: how often it was marked. Write number n is marked before its commit, so what
/// is stored under the token n must show write n or a later one.
#[derive(Default)]
struct Slot {
    marks: AtomicU64,
    fills: AtomicU64,
    old: AtomicU64,
    ended: AtomicBool,
}

impl Slot {
    /// Takes a token, reads, and stores if the source allows it and nothing marked the slot meanwhile.
    async fn fill(&self, read: impl Future<Output = (u64, bool)>) {
        let token = self.marks.load(Ordering::SeqCst);
        let (number, fillable) = read.await;
        if fillable && self.marks.load(Ordering::SeqCst) == token {
            self.fills.fetch_add(1, Ordering::SeqCst);
            self.old.fetch_add(u64::from(number < token), Ordering::SeqCst);
        }
    }

    async fn write(&self, table: &PostgresTable, number: u64) {
        let prepared = prepare(table, put("1", &format!("{{\"v\":\"{number}\"}}"))).await.unwrap();
        self.marks.store(number, Ordering::SeqCst);
        prepared.commit().await.unwrap();
    }
}

fn number(json: &str) -> u64 {
    json.split('"').nth(5).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_is_never_older_than_a_write_of_another_daemon() {
    let (database, table) = Database::with_rows("coupling_stress", 1).await;
    let (other, slot) = (another_daemon(&database.url).await, Arc::new(Slot::default()));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..READER_COUNT {
        let (table, slot) = (Arc::clone(&table), Arc::clone(&slot));
        readers.spawn(async move {
            while !slot.ended.load(Ordering::SeqCst) {
                slot.fill(async {
                    let loaded = table.load(&key("1"), intent(true)).await.unwrap();
                    let json = loaded.record.unwrap().value;
                    (number(std::str::from_utf8(&json).unwrap()), loaded.fillable)
                })
                .await;
            }
        });
    }
    for number in 1..=WRITE_COUNT {
        slot.write(&other, number).await;
        // Fills have their turn between writes, too.
        slot.fill(async { (number, table.load(&key("1"), intent(true)).await.unwrap().fillable) }).await;
    }
    slot.ended.store(true, Ordering::SeqCst);
    readers.join_all().await;
    let (fills, old) = (slot.fills.load(Ordering::SeqCst), slot.old.load(Ordering::SeqCst));
    assert!(fills >= WRITE_COUNT / 2, "only {fills} fills");
    assert_eq!(old, 0, "of {fills} fills");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_convicts_a_reader_that_probes_behind_its_select() {
    let (database, table) = Database::with_rows("coupling_naive", 1).await;
    let lock = held_lock(&database, &table).await;
    let slot = Arc::new(Slot::default());
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..READER_COUNT {
        let (client, slot) = (database.stranger().await.0, Arc::clone(&slot));
        readers.spawn(async move {
            while !slot.ended.load(Ordering::SeqCst) {
                slot.fill(read_then_probe(&client, lock)).await;
            }
        });
    }
    let mut number = 0;
    while slot.old.load(Ordering::SeqCst) == 0 && number < NAIVE_WRITE_COUNT_MAX {
        number += 1;
        slot.write(&table, number).await;
    }
    slot.ended.store(true, Ordering::SeqCst);
    readers.join_all().await;
    assert!(slot.old.load(Ordering::SeqCst) > 0, "{number} writes and no old value");
}

async fn read_then_probe(client: &Client, lock: i32) -> (u64, bool) {
    let row = client.query_one("select v from t where id = 1", &[]).await.unwrap();
    let probe = "select pg_try_advisory_xact_lock_shared(17228, $1)";
    let granted = client.query_one(probe, &[&lock]).await.unwrap().get(0);
    (row.get::<_, String>(0).parse().unwrap_or(0), granted)
}

/// The number of the lock of key 1, which a prepared write holds.
async fn held_lock(database: &Database, table: &PostgresTable) -> i32 {
    let prepared = prepare(table, put("1", "{\"v\":\"0\"}")).await.unwrap();
    let held = "select objid::bigint from pg_locks where locktype = 'advisory' and classid = 17228
        and database = (select oid from pg_database where datname = current_database())";
    let number: u32 = database.sql(held).parse().unwrap();
    prepared.roll_back().await.unwrap();
    number as i32
}

#[tokio::test]
async fn every_daemon_and_every_resource_of_a_table_uses_the_same_lock() {
    let (database, table) = Database::with_rows("coupling_same", 1).await;
    let other = another_daemon(&database.url).await;
    assert_eq!(held_lock(&database, &table).await, held_lock(&database, &other).await);
}
