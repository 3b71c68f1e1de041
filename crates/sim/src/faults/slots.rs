// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults of single slots, made through a connection of the injector's own.

use std::io;
use std::net::SocketAddr;

use throughline_core::Rng;

use super::{Fault, Injection};
use crate::sut::text_client::TextClient;

/// The beginning of the keys that only fill the cache.
pub(crate) const JUNK: &str = "junk:";
/// How many foreign values one injection of [`Fault::CacheEvict`] stores.
const JUNK_COUNT: u64 = 10_000;
/// Keys for [`Fault::CacheDelete`] are listed anew after so many deletes.
const LISTED_FOR: u32 = 20;

/// The injector's own connection to memcached.
pub(super) struct Slots {
    client: TextClient,
    listed: Vec<String>,
    deletes_left: u32,
}

impl Slots {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { client: TextClient::new(address), listed: Vec::new(), deletes_left: 0 }
    }

    pub(super) async fn strike(&mut self, injection: Injection) -> io::Result<bool> {
        match injection.fault {
            Fault::CacheFlush => Ok(self.client.flush_all().await? == "OK"),
            Fault::CacheDelete => self.delete(injection.target).await,
            Fault::CacheEvict => self.fill(injection.target).await,
            _ => Ok(false),
        }
    }

    async fn delete(&mut self, target: u64) -> io::Result<bool> {
        if self.deletes_left == 0 || self.listed.is_empty() {
            self.listed = self.client.keys(JUNK).await?;
            self.deletes_left = LISTED_FOR;
        }
        self.deletes_left -= 1;
        let Some(count) = std::num::NonZeroUsize::new(self.listed.len()) else {
            return Ok(false);
        };
        let key = &self.listed[target as usize % count];
        Ok(self.client.delete(key).await? == "DELETED")
    }

    /// Stores values of the sizes that entries, marks and leases have, so that those are evicted.
    async fn fill(&mut self, target: u64) -> io::Result<bool> {
        let before = self.client.stat("evictions").await?;
        let rng = Rng::from_seed(target);
        let value = |_| (format!("{JUNK}{:016x}", rng.next_u64()), rng.below(400) as usize);
        self.client.store_unread(&(0..JUNK_COUNT).map(value).collect::<Vec<_>>()).await?;
        Ok(self.client.stat("evictions").await? > before)
    }
}
