// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a few keys that are written again and again cost the database, over a real MariaDB.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

use futures_util::future::join_all;
use throughline::config::Settings;
use throughline::{Assembly, Change, Condition, Effect, Key, Target, Throughline, Write};
use throughline_testkit::{Mariadb, MariadbOptions};

const KEYS: usize = 10;
const DRAINS: usize = 10;
/// Accepted before each of the drains, by so many callers at once.
const WRITES: usize = 1_000;

/// Two tables, the second one without coalescing; `n` counts how often a row is written.
async fn open(mariadb: &Mariadb, folder: &tempfile::TempDir) -> Throughline {
    let url = mariadb.create_database("shop");
    let mut text =
        format!("data_dir = \"{}\"\n[sources.shop]\nurl = \"{url}\"\n", folder.path().join("data").display());
    for (table, coalesce) in [("coalesced", true), ("uncoalesced", false)] {
        mariadb.execute(&format!(
            "USE shop; CREATE TABLE {table} (id INT PRIMARY KEY, v INT NOT NULL, n BIGINT NOT NULL DEFAULT 0); \
             INSERT INTO {table} SELECT seq, 0, 0 FROM seq_1_to_{KEYS}"
        ));
        text += &format!(
            "[resources.{table}]\nsource = \"shop\"\naccess = \"write\"\nwrite = \"write-behind\"\nversion_column = \"n\"\n\
             behind = {{ delay = \"never\", count = 1000000, coalesce = {coalesce} }}\n"
        );
    }
    let settings = Settings::parse(&text, &|_| None).unwrap();
    throughline::install(&settings).await.unwrap();
    Assembly::new(settings).open().await.unwrap()
}

/// Accepts writes of a resource's keys and drains it, again and again; how many batches that took.
async fn write_and_drain(throughline: &Throughline, resource: &str, drains: usize) -> u64 {
    let listing = throughline.listing(resource).unwrap();
    let behind = listing.behind.as_ref().unwrap();
    for drain in 0..drains {
        let put = async |number: usize| {
            let id = number % KEYS + 1;
            let value = format!("{{\"id\":{id},\"v\":{}}}", drain * WRITES + number);
            let target = Target::Key(Key::parse(&id.to_string()).unwrap());
            let change = Change::Put { value: value.into(), flags: 0 };
            let write = Write { target, change, condition: Condition::Always };
            let effect = listing.space.write(write).await.unwrap();
            assert!(matches!(effect, Effect::Accepted { .. }));
        };
        join_all((0..WRITES).map(put)).await;
        assert_eq!(behind.pending_count(), WRITES);
        behind.drain().await.unwrap();
    }
    let mut batches = 0;
    behind.stats().for_each(&mut |name, _, number| {
        if name == "batches" {
            batches = number;
        }
    });
    batches
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coalesced_hot_set_costs_at_most_one_row_per_key_and_batch() {
    let mariadb = Mariadb::start(MariadbOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let throughline = open(&mariadb, &folder).await;
    let counts = |table: &str| {
        mariadb.execute(&format!("SELECT MIN(n), MAX(n), SUM(n), MIN(v) FROM shop.{table}")).trim().to_owned()
    };

    let batches = write_and_drain(&throughline, "coalesced", DRAINS).await;
    // A drain of ten keys is one batch of each of their lanes, and writes each row once.
    let oldest = (DRAINS - 1) * WRITES + WRITES - KEYS;
    assert_eq!(counts("coalesced"), format!("{DRAINS}\t{DRAINS}\t{}\t{oldest}", KEYS * DRAINS));
    assert!((2 * DRAINS as u64..=8 * DRAINS as u64).contains(&batches), "{batches} batches");

    // The counter counts: without coalescing each accepted write is one of its row.
    write_and_drain(&throughline, "uncoalesced", 1).await;
    let each = WRITES / KEYS;
    assert_eq!(counts("uncoalesced"), format!("{each}\t{each}\t{WRITES}\t{}", WRITES - KEYS));
}
