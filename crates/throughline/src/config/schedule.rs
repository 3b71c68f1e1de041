// SPDX-License-Identifier: MIT OR Apache-2.0
//! Moments by cron expressions, in UTC.

use std::fmt;
use std::str::FromStr as _;

use croner::Cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A cron expression of five fields, in UTC.
#[derive(Clone)]
pub struct Schedule {
    cron: Cron,
    text: String,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schedule").field(&self.text).finish()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Schedule {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let cron = Cron::from_str(text).map_err(|error| format!("not a cron expression: {error}"))?;
        let schedule = Self { cron, text: text.to_owned() };
        // The thirtieth of February is well formed.
        match schedule.next_ms(0) {
            Some(_) => Ok(schedule),
            None => Err("this cron expression names no moment".to_owned()),
        }
    }

    /// The first moment after `now_ms`, both in milliseconds since 1970.
    pub fn next_ms(&self, now_ms: u64) -> Option<u64> {
        let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
        let next = self.cron.find_next_occurrence(&now.to_zoned(TimeZone::UTC), false).ok()?;
        u64::try_from(next.timestamp().as_millisecond()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    const MINUTE_MS: u64 = 60_000;

    #[test]
    fn the_next_moment_is_after_now() {
        let every_five = Schedule::parse("*/5 * * * *").unwrap();
        assert_eq!(every_five.next_ms(0), Some(5 * MINUTE_MS));
        assert_eq!(every_five.next_ms(5 * MINUTE_MS), Some(10 * MINUTE_MS), "not this one again");
        assert_eq!(every_five.next_ms(5 * MINUTE_MS - 1), Some(5 * MINUTE_MS));
        // 1970 began with a Thursday.
        let mondays = Schedule::parse("0 3 * * 1").unwrap();
        assert_eq!(mondays.next_ms(0), Some((4 * 24 + 3) * 60 * MINUTE_MS));
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        for text in ["", "often", "61 * * * *", "0 0 30 2 *"] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
