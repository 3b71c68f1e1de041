// SPDX-License-Identifier: MIT OR Apache-2.0
//! Read-through: the resource stands between its callers and the source.
//!
//! Concurrent reads of a key in this process are one flight. Among processes the lease decides who loads;
//! the others wait for the fill, up to `lease_wait`, before they go past the cache.

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Cache, Key, Result, Sent};

use super::look_up::{Found, look_up};
use super::{Bypass, Read, bypass, load};
use crate::space::Space;

/// What a flight brought.
#[derive(Clone)]
enum Landed {
    Answer(Read),
    /// The cache is of no use; each goes on to the flights that bypass it.
    Past(Bypass),
}

pub(super) async fn get(space: &Arc<Space>, cache: &Arc<dyn Cache>, key: &Key) -> Result<Read> {
    let flown = space.flights.run(key, |sent| async {
        match fly(space, cache, key, sent).await? {
            Landed::Answer(read) => Ok(read),
            Landed::Past(why) => bypass(space, key, why).await,
        }
    });
    let flown = flown.await;
    if flown.joined {
        space.stats.joined.add(1);
    }
    flown.value
}

async fn fly(space: &Arc<Space>, cache: &Arc<dyn Cache>, key: &Key, sent: Sent) -> Result<Landed> {
    let mut waits = Waits::up_to(space.policy().lease_wait_ms);
    loop {
        // What is found may be the flight's answer, and what follows past the cache may be, too. That holds
        // for a cache in this process as well: between its look-up and the landing a write may complete.
        sent.trip();
        let why = match look_up(space, cache, key).await {
            Found::Answer(read) => return Ok(Landed::Answer(read)),
            Found::Leased(lease) => {
                return load::load_and_fill(space, key, lease, sent).await.map(Landed::Answer);
            }
            Found::Past(why) => return Ok(Landed::Past(why)),
            Found::Wait(why) => why,
        };
        let Some(pause) = waits.next() else {
            return Ok(Landed::Past(why));
        };
        tokio::time::sleep(pause).await;
    }
}

/// Pauses of 1, 2, 4, 8, … ms whose sum is a given time.
struct Waits {
    next_ms: u64,
    left_ms: u64,
}

impl Waits {
    fn up_to(left_ms: u64) -> Self {
        Self { next_ms: 1, left_ms }
    }
}

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next_ms.min(self.left_ms);
        self.left_ms -= pause;
        self.next_ms *= 2;
        (pause > 0).then(|| Duration::from_millis(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::Waits;

    #[test]
    fn pauses_double_and_add_up_to_the_whole_wait() {
        let pauses: Vec<u64> = Waits::up_to(50).map(|pause| pause.as_millis() as u64).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 19]);
        assert_eq!(Waits::up_to(0).count(), 0);
    }
}
