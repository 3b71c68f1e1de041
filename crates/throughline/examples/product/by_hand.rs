// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same two functions as they are usually written by hand, **to show what is wrong with them**.
//!
//! Nothing here is careless: keys have a prefix, values a ttl, the database is written first, and a cache that
//! fails does not fail the caller. It is stale all the same, because `set` stores whatever it is given, however
//! old that is by now, and because a cache that missed an update is never told again.

use std::io;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::catalogue::Result;
use crate::product::Product;

const TTL_S: u32 = 300;
const CACHE_TIMEOUT: Duration = Duration::from_millis(200);

/// The products of a database, with a cache beside it.
#[derive(Debug)]
pub(crate) struct ByHand {
    database: mysql_async::Pool,
    memcached: String,
}

impl ByHand {
    pub(crate) fn open(database_url: &str, memcached: &str) -> Result<Self> {
        Ok(Self { database: mysql_async::Pool::from_url(database_url)?, memcached: memcached.to_owned() })
    }

    /// Reads a product: from the cache, or from the database and then into the cache.
    pub(crate) async fn get_product(&self, id: i64) -> Result<Option<Product>> {
        if let Some(product) = self.look_up(id).await {
            return Ok(Some(product));
        }
        let product = self.load(id).await?;
        if let Some(product) = &product {
            self.store(id, product).await;
        }
        Ok(product)
    }

    /// Writes a product: to the database, then to the cache.
    pub(crate) async fn update_product(&self, id: i64, product: &Product) -> Result<()> {
        let mut connection = self.database.get_conn().await?;
        let values = (&product.name, product.price_cents, product.stock, id);
        connection
            .exec_drop("UPDATE product SET name = ?, price_cents = ?, stock = ? WHERE id = ?", values)
            .await?;
        self.store(id, product).await;
        Ok(())
    }

    /// The database's part of a read.
    pub(crate) async fn load(&self, id: i64) -> Result<Option<Product>> {
        let mut connection = self.database.get_conn().await?;
        let row: Option<(String, i64, i64)> =
            connection.exec_first("SELECT name, price_cents, stock FROM product WHERE id = ?", (id,)).await?;
        Ok(row.map(|(name, price_cents, stock)| Product { name, price_cents, stock }))
    }

    /// The cache's part of a read. A cache that fails is a miss.
    pub(crate) async fn look_up(&self, id: i64) -> Option<Product> {
        let answer = self.ask(format!("get product:{id}\r\n")).await.ok()?;
        serde_json::from_str(answer.lines().nth(1)?).ok()
    }

    /// The last step of both. A cache that fails is no reason to fail the caller.
    pub(crate) async fn store(&self, id: i64, product: &Product) {
        let value = serde_json::to_string(product).expect("a product can be written as JSON");
        let command = format!("set product:{id} 0 {TTL_S} {}\r\n{value}\r\n", value.len());
        if let Err(error) = self.ask(command).await {
            tracing::warn!(%error, "Cache set failed.");
        }
    }

    /// Drops what the cache has, as an eviction would.
    pub(crate) async fn evict(&self, id: i64) {
        drop(self.ask(format!("delete product:{id}\r\n")).await);
    }

    /// One command and its whole answer.
    async fn ask(&self, command: String) -> io::Result<String> {
        let exchange = async {
            let mut stream = BufReader::new(TcpStream::connect(&self.memcached).await?);
            stream.write_all(command.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_line(&mut answer).await?;
            if answer.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if answer.starts_with("VALUE ") {
                stream.read_line(&mut answer).await?;
                stream.read_exact(&mut [0; b"END\r\n".len()]).await?;
            }
            Ok(answer)
        };
        tokio::time::timeout(CACHE_TIMEOUT, exchange).await?
    }
}
