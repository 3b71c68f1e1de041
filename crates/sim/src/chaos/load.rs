// SPDX-License-Identifier: MIT OR Apache-2.0
//! How hard the database had to work before, during and after the faults.

use std::time::Duration;

use crate::Epoch;
use crate::database::Session;

/// How often the server's counter is read.
const STEP: Duration = Duration::from_millis(500);
/// A server that was killed does not answer.
const CALL_TIMEOUT: Duration = Duration::from_millis(500);

/// Statements per second at the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// On average before the faults.
    pub before: f64,
    /// At most while there were faults.
    pub peak: f64,
    /// On average after them.
    pub after: f64,
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
    pub(super) fn of(readings: &[Reading], faults: (Duration, Duration)) -> Option<Self> {
        let rates = readings.windows(2).filter(|pair| pair[1].count >= pair[0].count).map(|pair| {
            let seconds = (pair[1].at_ns - pair[0].at_ns) as f64 / 1e9;
            (Duration::from_nanos(pair[1].at_ns), (pair[1].count - pair[0].count) as f64 / seconds)
        });
        let (mut before, mut during, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for (at, rate) in rates {
            let phase = if at <= faults.0 {
                &mut before
            } else if at <= faults.1 {
                &mut during
            } else {
                &mut after
            };
            phase.push(rate);
        }
        let mean =
            |rates: &[f64]| (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64);
        let peak = during.iter().copied().max_by(f64::total_cmp)?;
        Some(Self { before: mean(&before)?, peak, after: mean(&after)? })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Load, Reading};

    #[test]
    fn rates_are_told_apart_by_phase_and_a_counter_that_began_anew_is_left_out() {
        let reading = |second: u64, count| Reading { at_ns: second * 1_000_000_000, count };
        let readings = [(0, 0), (1, 100), (2, 600), (3, 10), (4, 310), (5, 410)];
        let readings = readings.map(|(second, count)| reading(second, count));
        let faults = (Duration::from_secs(1), Duration::from_secs(4));
        let load = Load::of(&readings, faults).unwrap();
        assert_eq!(load, Load { before: 100.0, peak: 500.0, after: 100.0 });
        assert_eq!(Load::of(&readings[..2], faults), None);
    }
}
