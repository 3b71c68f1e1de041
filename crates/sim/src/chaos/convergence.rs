// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last look, when everything is quiet: every key through every door, and the raw slots of the cache.

use std::net::SocketAddr;
use std::time::Duration;

use throughline_core::{Error, ErrorKind, Result};

use crate::Workload;
use crate::checker::Probe;
use crate::faults::JUNK;
use crate::history::Seen;
use crate::sut::text_client::TextClient;
use crate::sut::{Client, System};
use crate::truth_table::slot_seen;

/// How often a door is asked that does not answer, and how long it is given each time.
const RETRY_COUNT_MAX: u32 = 20;
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(250);

/// Looks at every key from everywhere.
///
/// # Errors
/// When memcached does not answer.
pub(super) async fn probe(system: &dyn System, cache: SocketAddr, workload: &Workload) -> Result<Vec<Probe>> {
    // Before the doors, because a read could replace what is to be looked at; and after them, because a read
    // could fill what is wrong.
    let mut probes = raw_slots(cache).await?;
    for mut door in system.doors() {
        for key in workload.keys() {
            let seen = ask(door.as_mut(), key).await;
            let through =
                if seen.is_some() { door.name().to_owned() } else { format!("{} (no answer)", door.name()) };
            probes.push(Probe { through, key, seen: seen.unwrap_or(Seen::Garbled) });
        }
    }
    probes.extend(raw_slots(cache).await?);
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

/// What the values in the cache show, whatever is around them. Marks and leases hold no payload.
async fn raw_slots(cache: SocketAddr) -> Result<Vec<Probe>> {
    let mut client = TextClient::new(cache);
    let mut probes = Vec::new();
    for slot in client.keys(JUNK).await.map_err(map)? {
        let Some(value) = client.get(&slot).await.map_err(map)? else {
            continue;
        };
        if let Some((key, seen)) = slot_seen(&value.bytes) {
            probes.push(Probe { through: format!("slot {slot}"), key, seen });
        }
    }
    Ok(probes)
}

fn map(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "read the raw slots", "memcached").with_cause(error)
}
