// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last look, when everything is quiet: every key through every door, and the raw slots of the cache.

use std::net::SocketAddr;
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result};

use crate::Workload;
use crate::checker::Probe;
use crate::database::Session;
use crate::faults::JUNK;
use crate::history::Seen;
use crate::sut::text_client::TextClient;
use crate::sut::{Client, System, server_name};
use crate::truth_table::slot_seen;

/// How often a door is asked that does not answer, and how long it is given each time.
const RETRY_COUNT_MAX: u32 = 20;
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(250);

/// Looks at every key from everywhere.
///
/// # Errors
/// When memcached does not answer.
pub(super) async fn probe(
    system: &dyn System,
    caches: &[SocketAddr],
    workload: &Workload,
    database: &mut Session,
) -> Result<Vec<Probe>> {
    // Entries of older generations may lie about until they expire: nobody can ask for them.
    let prefixes = prefixes(database, caches.len()).await;
    let caches: Vec<(SocketAddr, Option<String>)> = caches.iter().copied().zip(prefixes).collect();
    let caches = caches.as_slice();
    // Before the doors, because a read could replace what is to be looked at; and after them, because a read
    // could fill what is wrong.
    let mut probes = raw_slots(caches).await?;
    for mut door in system.doors() {
        for key in workload.keys() {
            let seen = ask(door.as_mut(), key).await;
            let through =
                if seen.is_some() { door.name().to_owned() } else { format!("{} (no answer)", door.name()) };
            probes.push(Probe { through, key, seen: seen.unwrap_or(Seen::Garbled) });
        }
    }
    probes.extend(raw_slots(caches).await?);
    Ok(probes)
}

async fn ask(door: &mut dyn Client, key: i64) -> Option<Seen> {
    for _ in 0..=RETRY_COUNT_MAX {
        if let Ok(Some(answer)) = tokio::time::timeout(CALL_TIMEOUT, door.get(key)).await {
            return Some(answer.seen);
        }
        tokio::time::sleep(REST).await;
    }
    None
}

/// What the values in the caches show, whatever is around them. Marks and leases hold no payload.
async fn raw_slots(caches: &[(SocketAddr, Option<String>)]) -> Result<Vec<Probe>> {
    let mut probes = Vec::new();
    for (cache, prefix) in caches {
        let mut client = TextClient::new(*cache);
        for slot in client.keys(JUNK).await.map_err(map)? {
            if prefix.as_ref().is_some_and(|prefix| !slot.starts_with(prefix)) {
                continue;
            }
            let Some(value) = client.get(&slot).await.map_err(map)? else {
                continue;
            };
            if let Some((key, seen)) = slot_seen(&value.bytes) {
                probes.push(Probe { through: format!("slot {slot}"), key, seen });
            }
        }
    }
    Ok(probes)
}

/// What the keys of the present generation begin with, on each server; `None` where generations are not kept.
async fn prefixes(database: &mut Session, cache_count: usize) -> Vec<Option<String>> {
    let (nodes, resource) = database.generations().await;
    let prefix = |name: String| {
        let node = *nodes.get(&name)?;
        Some(format!("kv:{}.{}:", base36(node), base36(resource)))
    };
    (0..cache_count).map(|index| prefix(server_name(index))).collect()
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or_default());
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

fn map(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "read the raw slots", "memcached").with_cause(error)
}

#[cfg(test)]
mod tests {
    use super::base36;

    #[test]
    fn numbers_are_written_as_the_cache_writes_them() {
        assert_eq!((base36(0), base36(35), base36(36)), ("0".to_owned(), "z".to_owned(), "10".to_owned()));
    }
}
