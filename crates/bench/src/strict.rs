// SPDX-License-Identifier: MIT OR Apache-2.0
//! A strict resource over memcached and MariaDB, and a table beside it for the bare calls.

use std::sync::Arc;

use throughline::config::Settings;
use throughline::{Assembly, Level, Space, Throughline};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};
use tokio::runtime::{Builder, Runtime};

/// Resource `item` with the row 1, of an integer key and a text of up to 100 characters; table `bare` is the same. MariaDB
/// has its default durability, memcached its defaults, the runtime two threads.
#[derive(Debug)]
pub struct Strict {
    /// The resource.
    pub space: Arc<Space>,
    /// What it is a resource of.
    pub throughline: Throughline,
    /// What calls run on.
    pub runtime: Runtime,
    /// Its cache.
    pub memcached: Memcached,
    /// The database, as a URL.
    pub url: String,
    _mariadb: Mariadb,
}

impl Strict {
    /// Starts the servers and opens the resource.
    ///
    /// # Panics
    /// When one of them is missing.
    pub fn start() -> Self {
        let mariadb = Mariadb::start(MariadbOptions::default());
        let memcached = Memcached::start(MemcachedOptions::default());
        let url = mariadb.create_database("shop");
        mariadb.execute(
            "CREATE TABLE shop.item (id BIGINT PRIMARY KEY, body VARCHAR(100) NOT NULL); \
             CREATE TABLE shop.bare (id BIGINT PRIMARY KEY, body VARCHAR(100) NOT NULL); \
             INSERT INTO shop.item VALUES (1, 'one'); INSERT INTO shop.bare VALUES (1, 'one')",
        );
        let text = format!(
            "[sources.shop]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"] }}\n\
             [resources.item]\nsource = \"shop\"\naccess = \"write\"\nlevel = \"strict\"\n",
            memcached.address()
        );
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let settings = Settings::parse(&text, &|_| None).unwrap();
        runtime.block_on(throughline::install(&settings)).unwrap();
        let throughline = runtime.block_on(Assembly::new(settings).open()).unwrap();
        let space = throughline.listing("item").unwrap().space.clone();
        assert_eq!(space.policy().level, Level::Strict);
        Self { space, throughline, runtime, memcached, url, _mariadb: mariadb }
    }
}
