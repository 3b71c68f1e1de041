// SPDX-License-Identifier: MIT OR Apache-2.0
//! The meta commands and their flags, as memcached 1.6.18 knows them.

use super::super::key::MetaKey;
use super::super::limits::{KEY_LEN_MAX, OPAQUE_LEN_MAX};
use super::super::number::{parse_i64, parse_u32, parse_u64};
use super::line;
use super::{BAD_FORMAT, ERROR, Head, MetaRequest, Parsed, Request, StoreMode, data_len};

/// Most words of a meta line, its command counted.
const WORDS_MAX: usize = 19;

const DUPLICATE: &[u8] = b"CLIENT_ERROR duplicate flag\r\n";
const INVALID: &[u8] = b"CLIENT_ERROR invalid flag\r\n";
const INVALID_OR_DUPLICATE: &[u8] = b"CLIENT_ERROR invalid or duplicate flag\r\n";
const BAD_TOKEN: &[u8] = b"CLIENT_ERROR bad token in command line format\r\n";
const BAD_KEY: &[u8] = b"CLIENT_ERROR error decoding key\r\n";
const BAD_MODE_LEN: &[u8] = b"CLIENT_ERROR incorrect length for M token\r\n";
const BAD_INITIAL: &[u8] = b"CLIENT_ERROR invalid numeric initial value\r\n";
const BAD_DELTA: &[u8] = b"CLIENT_ERROR invalid numeric delta value\r\n";
const BAD_SET_MODE: &[u8] = b"CLIENT_ERROR invalid mode for ms M token\r\n";
const BAD_ARITHMETIC_MODE: &[u8] = b"CLIENT_ERROR invalid mode for ma M token\r\n";
const OPAQUE_TOO_LONG: &[u8] = b"CLIENT_ERROR opaque token too long\r\n";
const FLAGS_TOO_LONG: &[u8] = b"CLIENT_ERROR options flags too long\r\n";
/// `mg` alone says it in other words.
const GET_FLAGS_TOO_LONG: &[u8] = b"CLIENT_ERROR options flags are too long\r\n";

/// Whether arithmetic adds or subtracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArithmeticMode {
    /// `incr`, `MI`, `M+`: add, and wrap at 64 bits.
    Increment,
    /// `decr`, `MD`, `M-`: subtract, and stop at zero.
    Decrement,
}

/// The flags of a meta command. Every command takes every flag and ignores those that are not its own.
///
/// Flags that ask for something in the reply (`c f h k l s t O`) are answered in the order in which they
/// were written: walk them by [`in_order`](Self::in_order).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetaFlags<'a> {
    /// `v`: return the value.
    pub value: bool,
    /// `q`: leave out the nominal reply (`EN` of `mg`, `HD` of the others).
    pub quiet: bool,
    /// `u`: do not count as a use.
    pub no_update: bool,
    /// `I`: invalidate, that is keep the value but mark it as old.
    pub invalidate: bool,
    /// `N`: on a miss make an empty entry that lives so long, in the form of [`Store::exptime`].
    ///
    /// [`Store::exptime`]: super::Store::exptime
    pub vivify: Option<i64>,
    /// `T`: the new expiry, in the form of [`Store::exptime`].
    ///
    /// [`Store::exptime`]: super::Store::exptime
    pub ttl: Option<i64>,
    /// `R`: win the right to refresh if less than this is left to live.
    pub recache: Option<i64>,
    /// `F`: the client's flags.
    pub client_flags: Option<u32>,
    /// `C`: act only if the entry has this CAS number.
    pub cas: Option<u64>,
    /// `J`: what arithmetic starts with.
    pub initial: Option<u64>,
    /// `D`: by how much arithmetic changes.
    pub delta: Option<u64>,
    /// `O`: returned as it came.
    pub opaque: Option<&'a [u8]>,
    /// `b`: the key is in base64.
    pub base64_key: bool,
    /// The letter of `M`, not yet judged: `ms` and `ma` know different ones.
    mode: Option<u8>,
    text: &'a [u8],
}

impl<'a> MetaFlags<'a> {
    /// Returns the flags as they were written.
    #[must_use]
    pub fn in_order(&self) -> MetaFlagsIter<'a> {
        MetaFlagsIter { rest: self.text }
    }

    /// Reads the flags; the error is the line that `mg` and `ms` answer.
    ///
    /// memcached reads on after a bad number and then gives the last complaint, so that order is kept.
    fn read(text: &'a [u8], key: &'a [u8]) -> Result<Self, &'static [u8]> {
        let mut flags = MetaFlags { text, ..MetaFlags::default() };
        let mut seen = 0_u128;
        let mut complaint = BAD_FORMAT;
        let mut failed = false;
        for flag in flags.in_order() {
            let bit = 1_u128.checked_shl(u32::from(flag.letter)).unwrap_or(0);
            if flag.letter >= 127 || seen & bit != 0 {
                return Err(DUPLICATE);
            }
            seen |= bit;
            match flags.take(flag, key) {
                Ok(()) => {}
                Err(INVALID) => return Err(INVALID),
                Err(reply) => {
                    failed = true;
                    // A bad `F` has no words of its own in memcached.
                    complaint = if flag.letter == b'F' { complaint } else { reply };
                }
            }
        }
        if failed { Err(complaint) } else { Ok(flags) }
    }

    fn take(&mut self, flag: MetaFlag<'a>, key: &'a [u8]) -> Result<(), &'static [u8]> {
        let argument = flag.argument;
        match flag.letter {
            b'v' => self.value = true,
            b'q' => self.quiet = true,
            b'u' => self.no_update = true,
            b'I' => self.invalidate = true,
            b'N' => self.vivify = Some(parse_i64(argument).ok_or(BAD_TOKEN)?),
            b'T' => self.ttl = Some(parse_i64(argument).ok_or(BAD_TOKEN)?),
            b'R' => self.recache = Some(parse_i64(argument).ok_or(BAD_TOKEN)?),
            b'C' => self.cas = Some(parse_u64(argument).ok_or(BAD_TOKEN)?),
            b'F' => self.client_flags = Some(parse_u32(argument).ok_or(BAD_FORMAT)?),
            b'J' => self.initial = Some(parse_u64(argument).ok_or(BAD_INITIAL)?),
            b'D' => self.delta = Some(parse_u64(argument).ok_or(BAD_DELTA)?),
            b'M' => match argument {
                [letter] => self.mode = Some(*letter),
                _ => return Err(BAD_MODE_LEN),
            },
            b'O' => self.opaque = Some(argument),
            b'b' => {
                self.base64_key = true;
                MetaKey::new(key, true).ok_or(BAD_KEY)?;
            }
            // Answered by the reply, or known and of no use to this side (`P` and `L` are a proxy's).
            b'c' | b'f' | b'h' | b'k' | b'l' | b's' | b't' | b'P' | b'L' => {}
            _ => return Err(INVALID),
        }
        Ok(())
    }

    fn opaque_fits(&self) -> bool {
        self.opaque.is_none_or(|opaque| opaque.len() <= OPAQUE_LEN_MAX)
    }
}

/// One flag as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaFlag<'a> {
    /// Its first byte.
    pub letter: u8,
    /// What follows; empty for most.
    pub argument: &'a [u8],
}

/// The flags of a request in the order of their writing.
#[derive(Debug, Clone)]
pub struct MetaFlagsIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for MetaFlagsIter<'a> {
    type Item = MetaFlag<'a>;

    fn next(&mut self) -> Option<MetaFlag<'a>> {
        let (word, rest) = line::word(self.rest);
        self.rest = rest;
        word.split_first().map(|(letter, argument)| MetaFlag { letter: *letter, argument })
    }
}

pub(super) fn get<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    let (key, flags) = line::key(rest);
    if let Some(reply) = bad_line(key, flags, 2, GET_FLAGS_TOO_LONG) {
        return head.bad(reply);
    }
    match MetaFlags::read(flags, key) {
        Err(reply) => head.bad(reply),
        Ok(flags) if !flags.opaque_fits() => head.bad(OPAQUE_TOO_LONG),
        Ok(flags) => with_key(head, key, flags, Request::MetaGet),
    }
}

pub(super) fn set<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    let (key, rest) = line::key(rest);
    let (value_len, flags) = line::word(rest);
    if key.is_empty() {
        return head.bad(ERROR);
    }
    if key.len() > KEY_LEN_MAX || value_len.is_empty() {
        return head.bad(BAD_FORMAT);
    }
    if let Some(reply) = bad_line(key, flags, 3, FLAGS_TOO_LONG) {
        return head.bad(reply);
    }
    let Some(value_len) = data_len(value_len) else {
        return head.bad(BAD_FORMAT);
    };
    // From here on the block is known, so it is dropped with the line.
    let flags = match MetaFlags::read(flags, key) {
        Ok(flags) => flags,
        Err(reply) => return head.bad_swallowing(reply, value_len),
    };
    let Some(mode) = set_mode(flags.mode) else {
        return head.bad_swallowing(BAD_SET_MODE, value_len);
    };
    if !flags.opaque_fits() {
        return head.bad_swallowing(OPAQUE_TOO_LONG, value_len);
    }
    let Some(key) = MetaKey::new(key, flags.base64_key) else {
        return head.bad_swallowing(BAD_KEY, value_len);
    };
    // Errors are said even to a quiet command.
    head.with_value(value_len, false, |value| Request::MetaSet {
        meta: MetaRequest { key, flags },
        mode,
        value,
    })
}

pub(super) fn delete<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    let (key, flags) = line::key(rest);
    if let Some(reply) = bad_line(key, flags, 2, FLAGS_TOO_LONG) {
        return head.bad(reply);
    }
    match MetaFlags::read(flags, key) {
        Err(_) => head.bad(INVALID_OR_DUPLICATE),
        Ok(flags) if !flags.opaque_fits() => head.bad(OPAQUE_TOO_LONG),
        Ok(flags) => with_key(head, key, flags, Request::MetaDelete),
    }
}

pub(super) fn arithmetic<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    let (key, flags) = line::key(rest);
    if let Some(reply) = bad_line(key, flags, 2, FLAGS_TOO_LONG) {
        return head.bad(reply);
    }
    let Ok(flags) = MetaFlags::read(flags, key) else {
        return head.bad(INVALID_OR_DUPLICATE);
    };
    let Some(mode) = arithmetic_mode(flags.mode) else {
        return head.bad(BAD_ARITHMETIC_MODE);
    };
    // memcached counts first and then complains; a refused command had better do nothing.
    if !flags.opaque_fits() {
        return head.bad(OPAQUE_TOO_LONG);
    }
    with_key(head, key, flags, |meta| Request::MetaArithmetic { meta, mode })
}

pub(super) fn debug<'a>(head: Head<'a>, rest: &'a [u8]) -> Parsed<'a> {
    let (key, flags) = line::key(rest);
    let base64 = line::first(flags) == Some(b"b");
    match MetaKey::new(key, base64) {
        Some(key) => head.request(Request::MetaDebug { key }),
        None => head.bad(BAD_FORMAT),
    }
}

/// Says what is wrong with a line before its flags are read. `before` counts the words before the flags.
fn bad_line(key: &[u8], flags: &[u8], before: usize, too_long: &'static [u8]) -> Option<&'static [u8]> {
    if key.is_empty() {
        Some(ERROR)
    } else if key.len() > KEY_LEN_MAX {
        Some(BAD_FORMAT)
    } else if (MetaFlagsIter { rest: flags }).count() > WORDS_MAX - before {
        Some(too_long)
    } else {
        None
    }
}

fn with_key<'a>(
    head: Head<'a>,
    key: &'a [u8],
    flags: MetaFlags<'a>,
    request: impl FnOnce(MetaRequest<'a>) -> Request<'a>,
) -> Parsed<'a> {
    match MetaKey::new(key, flags.base64_key) {
        Some(key) => head.request(request(MetaRequest { key, flags })),
        None => head.bad(BAD_FORMAT),
    }
}

fn set_mode(mode: Option<u8>) -> Option<StoreMode> {
    match mode {
        None | Some(b'S') => Some(StoreMode::Set),
        Some(b'E') => Some(StoreMode::Add),
        Some(b'A') => Some(StoreMode::Append),
        Some(b'P') => Some(StoreMode::Prepend),
        Some(b'R') => Some(StoreMode::Replace),
        Some(_) => None,
    }
}

fn arithmetic_mode(mode: Option<u8>) -> Option<ArithmeticMode> {
    match mode {
        None | Some(b'I' | b'+') => Some(ArithmeticMode::Increment),
        Some(b'D' | b'-') => Some(ArithmeticMode::Decrement),
        Some(_) => None,
    }
}
