// SPDX-License-Identifier: MIT OR Apache-2.0
//! Server side: reads one request from the bytes that have come so far.

mod line;
mod meta;
mod text;

use super::limits::Limits;
use line::Line;

pub use meta::{ArithmeticMode, MetaFlag, MetaFlags, MetaFlagsIter};
pub use text::Keys;

use super::key::MetaKey;

/// What the bytes at the front of a buffer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Not yet a whole request.
    Incomplete {
        /// Until the buffer holds this many bytes, asking again gives the same answer.
        need: usize,
    },
    /// A request that can be executed.
    Request {
        /// The request; it borrows from the buffer.
        request: Request<'a>,
        /// How many bytes of the buffer it took.
        consumed: usize,
    },
    /// A request that must not be executed.
    Bad {
        /// The line to answer, with its line end; empty where memcached stays silent (`noreply`).
        reply: &'static [u8],
        /// How many bytes of the buffer to drop.
        consumed: usize,
        /// Whether to close the connection once `reply` is sent.
        close: bool,
        /// How many bytes after the consumed ones to drop unread: the data block of a refused store.
        swallow: usize,
    },
}

/// One request. Keys and values borrow from the buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// `get` and `gets`.
    Get {
        /// The keys, in the order asked.
        keys: Keys<'a>,
        /// `gets`: replies carry the CAS number.
        with_cas: bool,
    },
    /// `gat` and `gats`: get, and set a new time to live.
    GetAndTouch {
        /// The keys, in the order asked; memcached accepts none at all and answers `END`.
        keys: Keys<'a>,
        /// `gats`: replies carry the CAS number.
        with_cas: bool,
        /// The new expiry, as in [`Store::exptime`].
        exptime: i64,
    },
    /// `set`, `add`, `replace`, `append`, `prepend`, `cas`.
    Store(Store<'a>),
    /// `delete`.
    Delete {
        /// The key.
        key: &'a [u8],
        /// Whether to send no reply.
        noreply: bool,
    },
    /// `incr` and `decr`.
    Arithmetic {
        /// Whether to add or to subtract.
        mode: ArithmeticMode,
        /// The key.
        key: &'a [u8],
        /// By how much.
        delta: u64,
        /// Whether to send no reply.
        noreply: bool,
    },
    /// `touch`.
    Touch {
        /// The key.
        key: &'a [u8],
        /// The new expiry, as in [`Store::exptime`].
        exptime: i64,
        /// Whether to send no reply.
        noreply: bool,
    },
    /// `flush_all`.
    FlushAll {
        /// When to flush, in seconds from now; zero and below is now.
        delay_s: i64,
        /// Whether to send no reply.
        noreply: bool,
    },
    /// `version`.
    Version,
    /// `verbosity`.
    Verbosity {
        /// The level asked for.
        level: u32,
        /// Whether to send no reply.
        noreply: bool,
    },
    /// `stats`.
    Stats {
        /// Which statistics, such as `settings`; words after it are dropped.
        argument: Option<&'a [u8]>,
    },
    /// `quit`: close without a reply.
    Quit,
    /// `mn`: answer `MN`.
    MetaNoop,
    /// `mg`: meta get.
    MetaGet(MetaRequest<'a>),
    /// `ms`: meta set.
    MetaSet {
        /// Key and flags.
        meta: MetaRequest<'a>,
        /// Its `M` flag.
        mode: StoreMode,
        /// The value.
        value: &'a [u8],
    },
    /// `md`: meta delete.
    MetaDelete(MetaRequest<'a>),
    /// `ma`: meta arithmetic.
    MetaArithmetic {
        /// Key and flags; `J` and `D` are in them.
        meta: MetaRequest<'a>,
        /// Its `M` flag.
        mode: ArithmeticMode,
    },
    /// `me`: meta debug.
    MetaDebug {
        /// The key.
        key: MetaKey<'a>,
    },
}

/// A store of the classic commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Store<'a> {
    /// Which command; `cas` is [`StoreMode::Set`] with a [`cas`](Self::cas).
    pub mode: StoreMode,
    /// The key.
    pub key: &'a [u8],
    /// Opaque to us, returned with the value.
    pub flags: u32,
    /// Seconds: 0 never, below 0 at once, up to 30 days from now, above that a Unix time.
    ///
    /// memcached cuts what exceeds 32 bits; here it is kept.
    pub exptime: i64,
    /// The value.
    pub value: &'a [u8],
    /// Store only if the entry still has this CAS number.
    pub cas: Option<u64>,
    /// Whether to send no reply.
    pub noreply: bool,
}

/// How a store treats what is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreMode {
    /// Store in any case.
    Set,
    /// Store only if there is nothing.
    Add,
    /// Store only if there is something.
    Replace,
    /// Add to the end of what is there.
    Append,
    /// Add to the front of what is there.
    Prepend,
}

/// Key and flags of a meta command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaRequest<'a> {
    /// The key.
    pub key: MetaKey<'a>,
    /// The flags.
    pub flags: MetaFlags<'a>,
}

/// Reads the request at the front of `buf`.
///
/// Never panics and never allocates. The answer depends only on the bytes, not on how they were cut into
/// reads: an answer other than [`Parsed::Incomplete`] stays the same when more bytes follow. (One that closes
/// because a line has no end drops all there is.)
// Inlined so that the caller's `match` sees which variant the quick way gives, and nothing is copied.
#[must_use]
#[inline]
pub fn parse<'a>(buf: &'a [u8], limits: &Limits) -> Parsed<'a> {
    if let Some(parsed) = text::single_get(buf) {
        return parsed;
    }
    parse_line(buf, limits)
}

/// Reads what is not the commonest request.
fn parse_line<'a>(buf: &'a [u8], limits: &Limits) -> Parsed<'a> {
    match line::split(buf, limits) {
        Line::Incomplete => Parsed::Incomplete { need: buf.len() + 1 },
        Line::Refused { reply } => Parsed::Bad { reply, consumed: buf.len(), close: true, swallow: 0 },
        Line::Whole { text, len } => Head { buf, len, value_len_max: limits.value_len_max }.command(text),
    }
}

/// A request whose line is whole.
#[derive(Clone, Copy)]
struct Head<'a> {
    buf: &'a [u8],
    /// Length of the line with its line end.
    len: usize,
    value_len_max: usize,
}

const ERROR: &[u8] = b"ERROR\r\n";
const BAD_FORMAT: &[u8] = b"CLIENT_ERROR bad command line format\r\n";
const BAD_CHUNK: &[u8] = b"CLIENT_ERROR bad data chunk\r\n";
const TOO_LARGE: &[u8] = b"SERVER_ERROR object too large for cache\r\n";
const SHUTDOWN: &[u8] = b"ERROR: shutdown not enabled\r\n";

/// Largest data length that memcached reads; more is a malformed line to it.
const DATA_LEN_MAX: u64 = i32::MAX as u64 - 2;

impl<'a> Head<'a> {
    fn command(self, line: &'a [u8]) -> Parsed<'a> {
        // memcached reads a line up to its first NUL and so answers for another key than was sent.
        if memchr::memchr(0, line).is_some() {
            return self.bad(BAD_FORMAT);
        }
        let (command, rest) = line::word(line);
        match command {
            b"get" => text::get(self, rest, false),
            b"gets" => text::get(self, rest, true),
            b"mg" => meta::get(self, rest),
            b"ms" => meta::set(self, rest),
            b"md" => meta::delete(self, rest),
            b"mn" => self.request(Request::MetaNoop),
            b"set" => text::store(self, rest, StoreMode::Set, false),
            b"cas" => text::store(self, rest, StoreMode::Set, true),
            b"add" => text::store(self, rest, StoreMode::Add, false),
            b"replace" => text::store(self, rest, StoreMode::Replace, false),
            b"append" => text::store(self, rest, StoreMode::Append, false),
            b"prepend" => text::store(self, rest, StoreMode::Prepend, false),
            b"delete" => text::delete(self, rest),
            b"gat" => text::get_and_touch(self, rest, false),
            b"gats" => text::get_and_touch(self, rest, true),
            b"touch" => text::touch(self, rest),
            b"incr" => text::arithmetic(self, rest, ArithmeticMode::Increment),
            b"decr" => text::arithmetic(self, rest, ArithmeticMode::Decrement),
            b"ma" => meta::arithmetic(self, rest),
            b"me" => meta::debug(self, rest),
            b"version" => self.request(Request::Version),
            b"stats" => self.request(Request::Stats { argument: line::first(rest) }),
            b"flush_all" => text::flush_all(self, rest),
            b"verbosity" => text::verbosity(self, rest),
            b"quit" => self.request(Request::Quit),
            b"shutdown" => self.bad(SHUTDOWN),
            _ => self.unknown(command, rest),
        }
    }

    /// Answers a command that we do not know: `ERROR`, or as memcached a closed door to a web browser.
    fn unknown(self, command: &[u8], rest: &[u8]) -> Parsed<'a> {
        // memcached sorts by first letter and looks for a browser only behind the last of these.
        let sorted = matches!(command, [b'm', _] | [b'g' | b's' | b'a' | b'c' | b'i' | b'd' | b't', ..]);
        let last = line::last(rest).unwrap_or(command);
        if command.len() >= 2 && !sorted && last.starts_with(b"HTTP/") {
            return Parsed::Bad { reply: b"", consumed: self.len, close: true, swallow: 0 };
        }
        self.bad(ERROR)
    }

    fn request(self, request: Request<'a>) -> Parsed<'a> {
        Parsed::Request { request, consumed: self.len }
    }

    fn bad(self, reply: &'static [u8]) -> Parsed<'a> {
        Parsed::Bad { reply, consumed: self.len, close: false, swallow: 0 }
    }

    fn bad_unless(self, noreply: bool, reply: &'static [u8]) -> Parsed<'a> {
        self.bad(if noreply { b"" } else { reply })
    }

    /// Refuses a store and has its data block dropped.
    fn bad_swallowing(self, reply: &'static [u8], value_len: usize) -> Parsed<'a> {
        Parsed::Bad { reply, consumed: self.len, close: false, swallow: value_len + 2 }
    }

    /// Cuts the data block behind the line, then builds the request from it.
    ///
    /// As memcached, a block that does not end where it should is dropped by its length, and what
    /// follows is read as the next command.
    fn with_value(
        self,
        value_len: usize,
        noreply: bool,
        request: impl FnOnce(&'a [u8]) -> Request<'a>,
    ) -> Parsed<'a> {
        if value_len > self.value_len_max {
            return self.bad_swallowing(if noreply { b"" } else { TOO_LARGE }, value_len);
        }
        let consumed = self.len + value_len + 2;
        let Some(block) = self.buf.get(self.len..consumed) else {
            return Parsed::Incomplete { need: consumed };
        };
        match block.strip_suffix(b"\r\n") {
            Some(value) => Parsed::Request { request: request(value), consumed },
            None => {
                let reply: &[u8] = if noreply { b"" } else { BAD_CHUNK };
                Parsed::Bad { reply, consumed, close: false, swallow: 0 }
            }
        }
    }
}

/// Reads the length of a data block; `None` where memcached calls the line malformed.
fn data_len(text: &[u8]) -> Option<usize> {
    super::number::parse_u64(text)
        .filter(|len| *len <= DATA_LEN_MAX)
        .and_then(|len| usize::try_from(len).ok())
}
