// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one implementation of time outside tests.

use rustix::time::{ClockId, Timespec, clock_gettime};
use throughline_core::{Clock, Tick};

/// The system's coarse monotonic clock: a few nanoseconds to read, exact to a few milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotonicClock;

impl Clock for MonotonicClock {
    fn now(&self) -> Tick {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::MonotonicCoarse);
        Tick::from_ms(tv_sec as u64 * 1_000 + tv_nsec as u64 / 1_000_000)
    }
}

/// A monotonic clock that goes on while the machine is suspended, by which leases are judged: whoever wakes up must
/// know that his have run out. It costs a few times as much to read as [`MonotonicClock`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> Tick {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        Tick::from_ms(tv_sec as u64 * 1_000 + tv_nsec as u64 / 1_000_000)
    }
}

/// The time of day, in milliseconds since 1970, for ages that outlast this process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Tick {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Realtime);
        Tick::from_ms(u64::try_from(tv_sec).unwrap_or(0) * 1_000 + tv_nsec as u64 / 1_000_000)
    }
}

/// The time of day, in seconds since 1970: the one time that two machines have in common, roughly.
pub(crate) fn unix_s() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::MonotonicClock;
    use throughline_core::Clock as _;

    #[test]
    fn it_never_goes_backward() {
        let first = MonotonicClock.now();
        assert!((0..1_000).all(|_| MonotonicClock.now() >= first));
    }
}
