// SPDX-License-Identifier: MIT OR Apache-2.0
//! The classic commands: get, set and their kin.

use super::super::limits::KEY_LEN_MAX;
use super::super::number::{parse_i64, parse_u32, parse_u64};
use super::line::{self, Words};
use super::{ArithmeticMode, BAD_FORMAT, ERROR, Head, Parsed, Request, Store, StoreMode, data_len};

const BAD_EXPTIME: &[u8] = b"CLIENT_ERROR invalid exptime argument\r\n";
const BAD_DELTA: &[u8] = b"CLIENT_ERROR invalid numeric delta argument\r\n";
const BAD_DELETE: &[u8] = b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";

/// The keys of a get, each at most [`KEY_LEN_MAX`] long. Iterating allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys<'a> {
    /// The first key, already found; empty at the end.
    first: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Keys<'a> {
    /// Takes a line of keys; `None` if one is too long.
    fn new(line: &'a [u8]) -> Option<Self> {
        let (first, rest) = line::key(line);
        let keys = Keys { first, rest };
        keys.into_iter().all(|key| key.len() <= KEY_LEN_MAX).then_some(keys)
    }

    /// Returns the only key, if there is exactly one.
    #[must_use]
    pub fn single(&self) -> Option<&'a [u8]> {
        (!self.first.is_empty() && line::first(self.rest).is_none()).then_some(self.first)
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let key = self.first;
        (self.first, self.rest) = line::key(self.rest);
        (!key.is_empty()).then_some(key)
    }
}

/// Reads `get <key>` of one key, the commonest request by far, in one pass over its bytes.
///
/// Anything unusual (a second key, a control byte, a missing line end) is left to the general way, which
/// gives the same answer for what this takes.
#[inline]
pub(super) fn single_get(buf: &[u8]) -> Option<Parsed<'_>> {
    let rest = buf.strip_prefix(b"get ")?;
    let len = line::key_end(&rest[..rest.len().min(KEY_LEN_MAX + 1)])?;
    let (key, end) = rest.split_at(len);
    let end_len = match end {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => return None,
    };
    if key.is_empty() {
        return None;
    }
    let keys = Keys { first: key, rest: b"" };
    let consumed = b"get ".len() + len + end_len;
    Some(Parsed::Request { request: Request::Get { keys, with_cas: false }, consumed })
}

pub(super) fn get<'a>(head: Head<'a>, rest: &'a [u8], with_cas: bool) -> Parsed<'a> {
    match Keys::new(rest) {
        None => head.bad(BAD_FORMAT),
        Some(keys) if keys.first.is_empty() => head.bad(ERROR),
        Some(keys) => head.request(Request::Get { keys, with_cas }),
    }
}

pub(super) fn get_and_touch<'a>(head: Head<'a>, rest: &'a [u8], with_cas: bool) -> Parsed<'a> {
    let (exptime, rest) = line::word(rest);
    if exptime.is_empty() {
        return head.bad(ERROR);
    }
    let Some(exptime) = parse_i64(exptime) else {
        return head.bad(BAD_EXPTIME);
    };
    match Keys::new(rest) {
        None => head.bad(BAD_FORMAT),
        Some(keys) => head.request(Request::GetAndTouch { keys, with_cas, exptime }),
    }
}

pub(super) fn store<'a>(head: Head<'a>, rest: &'a [u8], mode: StoreMode, with_cas: bool) -> Parsed<'a> {
    let words = Words::of(rest);
    let words = words.as_slice();
    let count = if with_cas { 5 } else { 4 };
    if words.len() != count && words.len() != count + 1 {
        return head.bad(ERROR);
    }
    let noreply = ends_with_noreply(words);
    let key = words[0];
    let numbers = || {
        let cas = if with_cas { Some(parse_u64(words[4])?) } else { None };
        Some((parse_u32(words[1])?, parse_i64(words[2])?, data_len(words[3])?, cas))
    };
    match numbers() {
        Some((flags, exptime, value_len, cas)) if key.len() <= KEY_LEN_MAX => {
            head.with_value(value_len, noreply, |value| {
                Request::Store(Store { mode, key, flags, exptime, value, cas, noreply })
            })
        }
        _ => head.bad_unless(noreply, BAD_FORMAT),
    }
}

pub(super) fn delete<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    let words = Words::of(rest);
    let words = words.as_slice();
    // Long ago a delete took a time; a zero there is still accepted.
    let (valid, noreply) = match words {
        [_] => (true, false),
        [_, b"0"] => (true, false),
        [_, b"noreply"] => (true, true),
        [_, hold, b"noreply"] => (*hold == b"0", true),
        [_, _] | [_, _, _] => (false, false),
        _ => return head.bad(ERROR),
    };
    let key = words[0];
    if !valid {
        return head.bad_unless(noreply, BAD_DELETE);
    }
    if key.len() > KEY_LEN_MAX {
        return head.bad_unless(noreply, BAD_FORMAT);
    }
    head.request(Request::Delete { key, noreply })
}

pub(super) fn arithmetic<'a>(head: Head<'a>, rest: &'a [u8], mode: ArithmeticMode) -> Parsed<'a> {
    key_and_word(head, rest, |key, word, noreply| match parse_u64(word) {
        Some(delta) => head.request(Request::Arithmetic { mode, key, delta, noreply }),
        None => head.bad_unless(noreply, BAD_DELTA),
    })
}

pub(super) fn touch<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    key_and_word(head, rest, |key, word, noreply| match parse_i64(word) {
        Some(exptime) => head.request(Request::Touch { key, exptime, noreply }),
        None => head.bad_unless(noreply, BAD_EXPTIME),
    })
}

pub(super) fn flush_all<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    let words = Words::of(rest);
    let words = words.as_slice();
    if words.len() > 2 {
        return head.bad(ERROR);
    }
    let noreply = ends_with_noreply(words);
    let delay = match words {
        [] | [b"noreply"] => Some(0),
        [delay, ..] => parse_i64(delay),
    };
    match delay {
        Some(delay_s) => head.request(Request::FlushAll { delay_s, noreply }),
        None => head.bad_unless(noreply, BAD_EXPTIME),
    }
}

pub(super) fn verbosity<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    let words = Words::of(rest);
    let words = words.as_slice();
    let ([level] | [level, _]) = words else {
        return head.bad(ERROR);
    };
    let noreply = ends_with_noreply(words);
    match parse_u32(level) {
        Some(level) => head.request(Request::Verbosity { level, noreply }),
        None => head.bad_unless(noreply, BAD_FORMAT),
    }
}

/// Reads a line of a key, a word, and perhaps `noreply`.
fn key_and_word<'a>(
    head: Head<'a>,
    rest: &'a [u8],
    request: impl FnOnce(&'a [u8], &'a [u8], bool) -> Parsed<'a>,
) -> Parsed<'a> {
    let words = Words::of(rest);
    let words = words.as_slice();
    let ([key, word] | [key, word, _]) = words else {
        return head.bad(ERROR);
    };
    let noreply = ends_with_noreply(words);
    if key.len() > KEY_LEN_MAX {
        return head.bad_unless(noreply, BAD_FORMAT);
    }
    request(key, word, noreply)
}

/// Says whether the last word is `noreply`; as in memcached it counts in any place, even a number's.
fn ends_with_noreply(words: &[&[u8]]) -> bool {
    words.last() == Some(&&b"noreply"[..])
}
