// SPDX-License-Identifier: MIT OR Apache-2.0
//! `incr` and `decr`, and what `ma` does behind its flags.

use std::sync::Arc;

use bytes::Bytes;
use throughline::{PlainItem, PlainStore, PlainStored, PlainWhen};
use throughline_wire::memcached::request::ArithmeticMode;
use throughline_wire::memcached::{Status, parse_u64, push_u64, reply};

use super::answer::Failure;
use super::exptime::Life;
use super::output::Output;
use super::route::Target;
use super::session::Session;
use super::store::not_for_records;

/// How often others may come between the look and the store. Each time one of them got ahead, so this is
/// only reached where hundreds count the same key at once.
const RETRY_COUNT_MAX: u32 = 1_000;

/// What to count, whichever command asked for it.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) mode: ArithmeticMode,
    pub(super) delta: u64,
    /// Count only what has this cas number.
    pub(super) cas: Option<u64>,
    /// What to begin with, and for how long, where there is nothing.
    pub(super) start: Option<(u64, Life)>,
}

/// How counting went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// It came to this.
    Done(Sum),
    /// There is nothing to count.
    NotFound,
    /// It has another cas number.
    Exists,
}

/// What counting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) number: u64,
    pub(super) cas: u64,
    pub(super) ttl_left_ms: Option<u64>,
}

pub(super) async fn answer(
    session: &mut Session,
    key: &[u8],
    mode: ArithmeticMode,
    delta: u64,
    noreply: bool,
    out: &mut Output<'_>,
) {
    let count = Count { mode, delta, cas: None, start: None };
    match count_at(session, key, &count).await {
        Ok(Counted::Done(sum)) if !noreply => reply::number(out.response(), sum.number),
        Ok(Counted::Done(_)) => {}
        Ok(Counted::NotFound | Counted::Exists) => session.status(Ok(Status::NotFound), noreply, out),
        Err(failure) => session.status(Err(failure), noreply, out),
    }
}

/// Counts whatever `key` names.
pub(super) async fn count_at(session: &mut Session, key: &[u8], count: &Count) -> Result<Counted, Failure> {
    let counted = match session.target(key)? {
        Target::Record(space, _) => return Err(not_for_records("counting", &space)),
        Target::Item(plain, key) => count_item(&plain, key, count).await?,
    };
    let counters = session.counters();
    let found = counted != Counted::NotFound;
    match (count.mode, found) {
        (ArithmeticMode::Increment, true) => counters.incr_hits.add(1),
        (ArithmeticMode::Increment, false) => counters.incr_misses.add(1),
        (ArithmeticMode::Decrement, true) => counters.decr_hits.add(1),
        (ArithmeticMode::Decrement, false) => counters.decr_misses.add(1),
    }
    Ok(counted)
}

async fn count_item(plain: &Arc<dyn PlainStore>, key: &[u8], count: &Count) -> Result<Counted, Failure> {
    for _ in 0..RETRY_COUNT_MAX {
        let held = plain.get(key).await?;
        let (number, value, flags, ttl_ms, when) = match (&held, count.start) {
            (None, None) => return Ok(Counted::NotFound),
            (None, Some((number, life))) => {
                let value = digits(number, 0);
                (number, value, 0, life.plain_ttl_ms(), PlainWhen::Absent)
            }
            (Some(item), _) if count.cas.is_some_and(|cas| cas != item.cas) => return Ok(Counted::Exists),
            (Some(item), _) => {
                let number = next(item, count)?;
                let value = digits(number, item.value.len());
                (number, value, item.flags, item.ttl_left_ms, PlainWhen::Cas(item.cas))
            }
        };
        if let PlainStored::Stored(cas) = plain.set(key, value, flags, ttl_ms, when).await? {
            return Ok(Counted::Done(Sum { number, cas, ttl_left_ms: ttl_ms }));
        }
    }
    Err(Failure::Contended)
}

fn next(item: &PlainItem, count: &Count) -> Result<u64, Failure> {
    let number = number_in(&item.value).ok_or(Failure::NoNumber)?;
    Ok(match count.mode {
        ArithmeticMode::Increment => number.wrapping_add(count.delta),
        ArithmeticMode::Decrement => number.saturating_sub(count.delta),
    })
}

/// Reads a number as memcached does: whatever follows a space behind it does not matter.
fn number_in(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii_start();
    let len = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    parse_u64(&value[..len])
}

/// Writes a number as memcached does: a value that gets shorter is filled up with spaces.
fn digits(number: u64, len_min: usize) -> Bytes {
    let mut value = Vec::with_capacity(len_min.max(20));
    push_u64(&mut value, number);
    if value.len() < len_min {
        value.resize(len_min, b' ');
    }
    value.into()
}

#[cfg(test)]
mod tests {
    use super::{digits, number_in};

    #[test]
    fn a_number_that_gets_shorter_keeps_its_length() {
        assert_eq!(digits(9, 2), "9 ");
        assert_eq!(digits(10, 1), "10");
        assert_eq!(number_in(b"9 "), Some(9));
    }

    #[test]
    fn what_is_no_number_cannot_be_counted() {
        for value in [&b""[..], b" ", b"x", b"1x", b"-1", b"99999999999999999999"] {
            assert_eq!(number_in(value), None, "{value:?}");
        }
        assert_eq!(number_in(b" 7 x"), Some(7));
    }
}
