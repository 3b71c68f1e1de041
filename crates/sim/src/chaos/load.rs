// SPDX-License-Identifier: MIT OR Apache-2.0
//! How hard the database had to work before, during and after the faults.

use std::io;
use std::time::Duration;

use crate::Epoch;
use crate::database::Session;
use crate::history::History;

/// How often the server's counter is read.
const STEP: Duration = Duration::from_millis(500);
/// A server that was killed does not answer.
const CALL_TIMEOUT: Duration = Duration::from_millis(500);

/// The shortest time that is judged by itself: PostgreSQL's counters come a second late, or more.
const WINDOW_NS: u64 = 5_000_000_000;
/// What the daemons ask though nobody calls them: each polls its control tables and its outbox, and a checker looks.
const IDLE_PER_SECOND: f64 = 100.0;

/// What the database had to do, in statements (PostgreSQL: transactions).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Per second, on average, before the faults.
    pub before: f64,
    /// Per second, at most, while there were faults.
    pub peak: f64,
    /// Per second, on average, after them.
    pub after: f64,
    /// Per operation that was under way, at most, in any five seconds of the run. Unlike rates, this does not
    /// depend on how fast the machine was just then.
    pub per_operation: f64,
}

/// Reads the server's counter again and again.
pub(super) struct Meter {
    url: String,
    epoch: Epoch,
}

/// The counter at a moment of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) at_ns: u64,
    pub(super) count: u64,
}

impl Meter {
    pub(super) fn new(url: &str, epoch: Epoch) -> Self {
        Self { url: url.to_owned(), epoch }
    }

    /// Readings until `duration` of the run has passed.
    pub(super) async fn run(self, duration: Duration) -> Vec<Reading> {
        let (mut readings, mut session) = (Vec::new(), None);
        let until_ns = duration.as_nanos() as u64;
        while self.epoch.elapsed_ns() < until_ns {
            tokio::time::sleep(STEP).await;
            let asked = async {
                if session.is_none() {
                    session = Session::connect(&self.url).await.ok();
                }
                session.as_mut()?.statement_count().await.ok()
            };
            match tokio::time::timeout(CALL_TIMEOUT, asked).await {
                Ok(Some(count)) => readings.push(Reading { at_ns: self.epoch.elapsed_ns(), count }),
                _ => session = None,
            }
        }
        readings
    }
}

impl Load {
    /// The rates, when there are readings in every phase.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub(super) fn of(
        readings: &[Reading],
        faults: (Duration, Duration),
        history: &History,
    ) -> io::Result<Option<Self>> {
        let (mut before, mut during, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for window in windows(readings, 1) {
            let at = Duration::from_nanos(window.to_ns);
            let phase = if at <= faults.0 {
                &mut before
            } else if at <= faults.1 {
                &mut during
            } else {
                &mut after
            };
            phase.push(window.count as f64 / window.seconds());
        }
        let mean =
            |rates: &[f64]| (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64);
        let peak = during.iter().copied().max_by(f64::total_cmp);
        let (Some(before), Some(peak), Some(after)) = (mean(&before), peak, mean(&after)) else {
            return Ok(None);
        };
        Ok(Some(Self { before, peak, after, per_operation: per_operation(readings, history)? }))
    }
}

/// What was counted between two readings.
struct Window {
    from_ns: u64,
    to_ns: u64,
    count: u64,
}

impl Window {
    fn seconds(&self) -> f64 {
        (self.to_ns - self.from_ns) as f64 / 1e9
    }
}

/// The times between readings, each at least so long; none over a counter that began anew.
fn windows(readings: &[Reading], long_ns: u64) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut readings = readings.iter();
    let Some(mut from) = readings.next() else { return windows };
    let mut last = from;
    for reading in readings {
        if reading.count < last.count {
            from = reading;
        } else if reading.at_ns - from.at_ns >= long_ns {
            let count = reading.count - from.count;
            windows.push(Window { from_ns: from.at_ns, to_ns: reading.at_ns, count });
            from = reading;
        }
        last = reading;
    }
    windows
}

/// The most statements that any window saw for each operation that was under way in it.
fn per_operation(readings: &[Reading], history: &History) -> io::Result<f64> {
    let windows = windows(readings, WINDOW_NS);
    let mut under_way = vec![0_u64; windows.len()];
    for operation in history.operations()? {
        let operation = operation?;
        // What never ended is counted where it began.
        let end_ns = operation.end_ns.unwrap_or(operation.begin_ns);
        let first = windows.partition_point(|window| window.to_ns < operation.begin_ns);
        for (window, count) in windows[first..].iter().zip(&mut under_way[first..]) {
            if window.from_ns > end_ns {
                break;
            }
            *count += 1;
        }
    }
    let ratios = windows.iter().zip(under_way).map(|(window, operations)| {
        let asked = window.count as f64 - IDLE_PER_SECOND * window.seconds();
        asked.max(0.0) / operations.max(1) as f64
    });
    Ok(ratios.fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Load, Reading};
    use crate::history::{History, Kind, Operation, Outcome, Seen, ServedFrom};

    const SECOND_NS: u64 = 1_000_000_000;

    fn reading((second, count): (u64, u64)) -> Reading {
        Reading { at_ns: second * SECOND_NS, count }
    }

    /// One operation per second, each half a second long.
    fn history(seconds: u64) -> History {
        History::from_operations((0..seconds).map(|second| Operation {
            worker: 1,
            op: second,
            kind: Kind::Get,
            key: 1,
            begin_ns: second * SECOND_NS + 1,
            end_ns: Some(second * SECOND_NS + SECOND_NS / 2),
            outcome: Outcome::Ok,
            seen: Seen::Absent,
            served: ServedFrom::Unsaid,
        }))
    }

    #[test]
    fn rates_are_told_apart_by_phase_and_a_counter_that_began_anew_is_left_out() {
        let readings = [(0, 0), (1, 100), (2, 600), (3, 10), (4, 310), (5, 410)].map(reading);
        let faults = (Duration::from_secs(1), Duration::from_secs(4));
        let load = Load::of(&readings, faults, &history(5)).unwrap().unwrap();
        assert_eq!((load.before, load.peak, load.after), (100.0, 500.0, 100.0));
        assert_eq!(Load::of(&readings[..2], faults, &history(5)).unwrap(), None);
    }

    #[test]
    fn calls_are_counted_for_each_operation_under_way_beside_what_is_asked_anyway() {
        let readings = [(0, 0), (5, 510), (10, 1_110), (15, 5), (20, 505)].map(reading);
        let faults = (Duration::from_secs(5), Duration::from_secs(16));
        let load = Load::of(&readings, faults, &history(20)).unwrap().unwrap();
        // 100 more than the polls ask, for five operations; the counter that began anew hides nothing else.
        assert_eq!(load.per_operation, 20.0);
    }
}
