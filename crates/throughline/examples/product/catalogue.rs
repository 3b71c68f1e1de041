// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products, read and written through Throughline.

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use throughline::config::Settings;
use throughline::{Assembly, RecordKey as _, Resource, Throughline};

use crate::product::Product;
use crate::slow_reader::{Gate, GatedLoader};

/// Whatever can go wrong, for people to read.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long opening waits for the cache before it goes on without.
const CACHE_WAIT: Duration = Duration::from_secs(2);

/// The products of a database, with a cache in front.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    throughline: Throughline,
    products: Resource<i64, Product>,
}

fn configuration(memcached: &str, level: &str) -> String {
    format!(
        r#"
[sources.shop]
url = "${{DATABASE_URL}}"

[caches.shared.memcached]
servers = ["{memcached}"]
# One connection (default: 2) and some patience (default: 20 ms) make a demonstration predictable.
connections = 1
timeout = "100ms"

[resources.product]
source = "shop"
cache = "shared"
read = "read-through"
write = "write-through"
access = "write"
level = "{level}"
ttl = "300s"
"#
    )
}

impl Catalogue {
    /// Connects to the database of `DATABASE_URL` and to this memcached. `gate` is for the demonstration of a
    /// race; other programs have none.
    pub(crate) async fn open(memcached: &str, level: &str, gate: Arc<Gate>) -> Result<Self> {
        let settings = Settings::parse(&configuration(memcached, level), &|name| env::var(name).ok())?;
        let assembly = Assembly::new(settings)
            .wrap_loaders(move |loader| Arc::new(GatedLoader::new(loader, Arc::clone(&gate))));
        let throughline = assembly.open().await?;
        let products = throughline.resource("product")?;
        let catalogue = Self { throughline, products };
        catalogue.wait_for_cache().await;
        Ok(catalogue)
    }

    /// Reads a product: from the cache, or from the database and then into the cache.
    pub(crate) async fn get_product(&self, id: i64) -> Result<Option<Product>> {
        Ok(self.products.get(&id).await?)
    }

    /// Writes a product: to the database, then to the cache.
    ///
    /// # Errors
    /// Nothing was written, and the cache is as it was.
    pub(crate) async fn update_product(&self, id: i64, product: &Product) -> Result<()> {
        self.products.put(&id, product).await?;
        Ok(())
    }

    /// Drops what the cache has, as an eviction would.
    pub(crate) async fn evict(&self, id: i64) -> Result<()> {
        Ok(self.products.invalidate(&id).await?)
    }

    /// What the cache has, and for how many seconds more.
    pub(crate) async fn cached(&self, id: i64) -> Result<Option<(Product, u64)>> {
        let Some(read) = self.products.space().get_cached(&id.key()?).await? else {
            return Ok(None);
        };
        let Some(record) = read.record() else {
            return Ok(None);
        };
        Ok(Some((serde_json::from_slice(&record.value)?, read.ttl_left_ms() / 1_000)))
    }

    /// What the database has.
    pub(crate) async fn in_database(&self, id: i64) -> Result<Option<Product>> {
        let read = self.products.space().get_fresh(&id.key()?).await?;
        Ok(read.record().map(|record| serde_json::from_slice(&record.value)).transpose()?)
    }

    /// How often the database was asked for a product.
    pub(crate) fn loads(&self) -> u64 {
        self.products.space().stats().loads.get()
    }

    /// What is promised about the records, and why.
    pub(crate) fn level(&self) -> String {
        let reason = self.throughline.listing("product").map(|listing| listing.about.level_reason.as_str());
        format!("{}: {}", self.products.space().policy().level, reason.unwrap_or_default())
    }

    /// Ends the background work.
    pub(crate) async fn close(&self) {
        self.throughline.shut_down(Duration::from_secs(1)).await;
    }

    /// The cache is connected to in the background, and until then reads do without. A program that serves
    /// for months need not wait for it; one that shows what a first read does waits a moment.
    async fn wait_for_cache(&self) {
        let there = async {
            while self.cached(1).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(CACHE_WAIT, there).await.is_err() {
            tracing::warn!("The cache does not answer; going on without it.");
        }
    }
}
