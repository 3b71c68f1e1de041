// SPDX-License-Identifier: MIT OR Apache-2.0
//! What protects a source, over a real MariaDB and a real memcached.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in what its tests share")]

mod cold_start;
mod silence;

use throughline::config::Settings;
use throughline::{Assembly, Throughline};
use throughline_testkit::{Mariadb, Memcached};

/// A table of 1,000 rows, served from `cache` lines and with `source` lines of settings.
async fn open(mariadb: &Mariadb, source: &str, cache: &str) -> Throughline {
    let url = mariadb.create_database("shop");
    mariadb.execute(
        "CREATE TABLE shop.item (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL); \
         INSERT INTO shop.item SELECT seq, CONCAT('item ', seq) FROM shop.seq_1_to_1000",
    );
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n{source}\n{cache}\n\
         [resources.item]\nsource = \"shop\"\naccess = \"write\"\n",
    );
    Assembly::new(Settings::parse(&text, &|_| None).unwrap()).open().await.unwrap()
}

fn shared(memcached: &Memcached, timeout: &str) -> String {
    let address = memcached.address();
    format!("[caches.main]\nmemcached = {{ servers = [\"{address}\"], timeout = \"{timeout}\" }}")
}

fn gauge(throughline: &Throughline, role: &str, name: &str) -> u64 {
    let gauges = throughline.gauges();
    gauges.iter().find(|gauge| gauge.role == role && gauge.name == name).expect("the gauge").number
}
