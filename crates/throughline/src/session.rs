// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one caller wrote and must not read older, at whichever daemon it reads next.
//!
//! Within a process every reader sees every acknowledged write. Where a resource is `bounded`, other processes may
//! use an old entry a while longer: the cache did not confirm an invalidation, or they keep copies of their own. A
//! caller that goes from one to the other carries a session, and what it wrote is read at the source meanwhile.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Key, Result, Version};
use throughline_engine::{Read, Space};

use crate::clock::unix_s;

/// The most writes that are remembered one by one; beyond it every record is read at the source until the last of
/// them cannot be stale anywhere. It keeps the text of a session below 1 KiB.
const RECENT_LEN_MAX: usize = 32;
/// By how much the clocks of two machines may differ.
const CLOCKS_APART_S: u64 = 5;
/// The longest time for which a record is read at the source on a session's word.
const AGE_S_MAX: u64 = 7 * 24 * 3600;
/// Stands for every record.
const ALL: &str = "*";

/// The writes of one caller that other processes may not show yet.
///
/// It is empty, and stays so, with `strict` resources. As text ([`fmt::Display`], [`FromStr`]) it goes with the caller
/// from process to process; the HTTP door takes and gives it as `Throughline-Session`. At most 32 records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    recent: Vec<Recent>,
    /// Until when every record is read at the source.
    all_until_s: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recent {
    record: u64,
    until_s: u64,
}

impl Session {
    /// Remembers a write of `key` that was just acknowledged, if another process may show an older record.
    pub fn wrote(&mut self, space: &Space, key: &Key) {
        let stale_ms = space.stale_elsewhere_ms(key);
        if stale_ms > 0 {
            let now_s = unix_s();
            let until_s = now_s + stale_ms.div_ceil(1_000) + CLOCKS_APART_S;
            self.remember(Recent { record: record(space, key), until_s }, now_s);
        }
    }

    /// Whether `key` must be read at the source.
    pub fn must_ask(&self, space: &Space, key: &Key) -> bool {
        !self.is_empty() && self.covers(record(space, key), unix_s())
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.all_until_s == 0
    }

    /// Reads a record that is no older than this session's own writes.
    ///
    /// # Errors
    /// As [`Space::get`].
    pub async fn get(&self, space: &Arc<Space>, key: &Key) -> Result<Read> {
        if self.must_ask(space, key) { space.get_fresh(key).await } else { space.get(key).await }
    }

    fn remember(&mut self, write: Recent, now_s: u64) {
        self.recent.retain(|recent| recent.until_s > now_s && recent.record != write.record);
        self.recent.push(write);
        if self.recent.len() > RECENT_LEN_MAX {
            let last = self.recent.drain(..).map(|recent| recent.until_s).max();
            self.all_until_s = self.all_until_s.max(last.unwrap_or(0));
        }
    }

    fn covers(&self, record: u64, now_s: u64) -> bool {
        let is_recent = |recent: &Recent| recent.record == record && recent.until_s > now_s;
        self.all_until_s > now_s || self.recent.iter().any(is_recent)
    }

    fn read(text: &str, now_s: u64) -> Option<Self> {
        let mut session = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (record, until) = part.split_once('.')?;
            // Who writes a later time himself gets answers from the source for as long, and no longer.
            let until_s = until.parse::<u64>().ok()?.min(now_s + AGE_S_MAX);
            if record == ALL {
                session.all_until_s = until_s;
            } else if session.recent.len() < RECENT_LEN_MAX {
                session.recent.push(Recent { record: u64::from_str_radix(record, 16).ok()?, until_s });
            } else {
                return None;
            }
        }
        session.recent.retain(|recent| recent.until_s > now_s);
        if session.all_until_s <= now_s {
            session.all_until_s = 0;
        }
        Some(session)
    }
}

/// Names a record in a session: the first 64 bits of a hash, so that a session tells nobody what was written.
fn record(space: &Space, key: &Key) -> u64 {
    Version::of_content(format!("{}\0{}", space.name(), key.as_str()).as_bytes()).0
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = (self.all_until_s > 0).then(|| format!("{ALL}.{}", self.all_until_s));
        let recent = self.recent.iter().map(|recent| format!("{:016x}.{}", recent.record, recent.until_s));
        f.write_str(&all.into_iter().chain(recent).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Session {
    type Err = Error;

    /// Reads what [`fmt::Display`] wrote, without what is over.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            let detail = "this is no text of a session; send back what the last answer gave, or nothing";
            Error::new(ErrorKind::InvalidValue, "read a session", detail)
        };
        Self::read(text, unix_s()).ok_or_else(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::{AGE_S_MAX, RECENT_LEN_MAX, Recent, Session};

    fn with(writes: impl IntoIterator<Item = (u64, u64)>) -> Session {
        let mut session = Session::default();
        writes.into_iter().for_each(|(record, until_s)| session.remember(Recent { record, until_s }, 0));
        session
    }

    #[test]
    fn a_record_is_covered_until_its_time_and_no_other_is() {
        let session = with([(7, 100), (8, 200)]);
        assert!(session.covers(7, 99) && !session.covers(7, 100) && session.covers(8, 100));
        assert!(!session.covers(9, 1));
    }

    #[test]
    fn as_text_it_is_the_same_without_what_is_over() {
        let session = with([(7, 100), (u64::MAX, 200)]);
        assert_eq!(Session::read(&session.to_string(), 50), Some(session.clone()));
        assert_eq!(Session::read(&session.to_string(), 100), Some(with([(u64::MAX, 200)])));
        assert_eq!(Session::read("", 0), Some(Session::default()));
    }

    #[test]
    fn more_than_it_can_name_is_everything() {
        let many = with((0..=RECENT_LEN_MAX as u64).map(|record| (record, 100 + record)));
        let last_s = 100 + RECENT_LEN_MAX as u64;
        assert!(many.covers(9_999, last_s - 1) && !many.covers(9_999, last_s));
        assert_eq!(Session::read(&many.to_string(), 0), Some(many));
    }

    #[test]
    fn what_nobody_gave_is_refused_and_bounded() {
        for text in ["7", "7.", ".1", "x.1", "7.x", "7.1.1", "7 1"] {
            assert_eq!(Session::read(text, 0), None, "{text}");
        }
        let long = (0..=RECENT_LEN_MAX).map(|n| format!("{n:x}.9")).collect::<Vec<_>>().join(",");
        assert_eq!(Session::read(&long, 0), None);
        let far = Session::read(&format!("*.{}", u64::MAX), 10).unwrap();
        assert!(!far.covers(1, 10 + AGE_S_MAX));
    }
}
