// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client side: reads one response from the bytes that have come so far.

use super::limits::{LINE_LEN_MAX, Limits};
use super::number::{parse_u32, parse_u64};
use super::status::{MetaCode, Status};

/// What the bytes at the front of a buffer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Not yet a whole response.
    Incomplete {
        /// Until the buffer holds this many bytes, asking again gives the same answer.
        need: usize,
    },
    /// A response.
    Response {
        /// The response; it borrows from the buffer.
        response: Response<'a>,
        /// How many bytes of the buffer it took.
        consumed: usize,
    },
    /// No response that we understand. Whatever follows cannot be told apart: close the connection.
    Malformed {
        /// What is wrong, without any of the bytes.
        what: &'static str,
    },
}

/// One response, or one line of those that have several (`VALUE`, `STAT`, ended by `END`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    /// `HD`, `EN`, `NF`, `NS` or `EX`.
    Meta {
        /// Which.
        code: MetaCode,
        /// What came with it.
        flags: MetaAnswer<'a>,
    },
    /// `VA`.
    MetaValue {
        /// The value.
        value: &'a [u8],
        /// What came with it.
        flags: MetaAnswer<'a>,
    },
    /// `MN`.
    MetaNoop,
    /// A classic reply of one word. `ERROR` may have an explanation, which is dropped.
    Status(Status),
    /// `VALUE`.
    Value {
        /// The key.
        key: &'a [u8],
        /// The client's flags.
        flags: u32,
        /// The CAS number, if asked for.
        cas: Option<u64>,
        /// The value.
        value: &'a [u8],
    },
    /// What `incr` or `decr` came to.
    Number(u64),
    /// `VERSION`.
    Version(&'a [u8]),
    /// `STAT`.
    Stat {
        /// What is counted.
        name: &'a [u8],
        /// Its value, which may have spaces and may be empty.
        value: &'a [u8],
    },
    /// `CLIENT_ERROR`: our request was wrong.
    ClientError(&'a [u8]),
    /// `SERVER_ERROR`: the server could not.
    ServerError(&'a [u8]),
}

/// The flags of a meta response. Flags that we do not know are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetaAnswer<'a> {
    /// `s`: the value's length.
    pub size: Option<u64>,
    /// `f`: the client's flags.
    pub client_flags: Option<u32>,
    /// `c`: the CAS number; 0 in the refusal of a store.
    pub cas: Option<u64>,
    /// `t`: how long it has left to live.
    pub ttl: Option<TtlLeft>,
    /// `l`: seconds since the last use.
    pub idle_s: Option<u32>,
    /// `h`: whether it was read before.
    pub fetched: Option<bool>,
    /// `O`: what the request sent along.
    pub opaque: Option<&'a [u8]>,
    /// `k`: the key as it was sent.
    pub key: Option<&'a [u8]>,
    /// `b`: that key is in base64.
    pub base64_key: bool,
    /// `W`: this client has won the right to fill or to refresh.
    pub won: bool,
    /// `Z`: another client has won that right.
    pub already_won: bool,
    /// `X`: it was invalidated and kept.
    pub stale: bool,
}

impl MetaAnswer<'_> {
    /// Returns the opaque as the number that [`command`](super::command) sends; `None` if it is none.
    #[must_use]
    pub fn opaque_number(&self) -> Option<u64> {
        self.opaque.and_then(parse_u64)
    }
}

/// How long an entry has left to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TtlLeft {
    /// `t-1`: it does not expire.
    Forever,
    /// So many seconds.
    Seconds(u32),
}

/// Reads the response at the front of `buf`.
///
/// Never panics and never allocates. The answer depends only on the bytes, not on how they were cut into
/// reads: an answer other than [`Parsed::Incomplete`] stays the same when more bytes follow.
#[must_use]
pub fn parse<'a>(buf: &'a [u8], limits: &Limits) -> Parsed<'a> {
    let near = &buf[..buf.len().min(LINE_LEN_MAX + 1)];
    let Some(at) = memchr::memchr(b'\n', near) else {
        return match buf.len() {
            len if len <= LINE_LEN_MAX => Parsed::Incomplete { need: len + 1 },
            _ => malformed("the line is too long"),
        };
    };
    let Some(line) = buf[..at].strip_suffix(b"\r") else {
        return malformed("the line does not end in carriage return and line feed");
    };
    Head { buf, len: at + 1, value_len_max: limits.value_len_max }.line(line)
}

fn malformed<'a>(what: &'static str) -> Parsed<'a> {
    Parsed::Malformed { what }
}

/// A response whose line is whole.
#[derive(Clone, Copy)]
struct Head<'a> {
    buf: &'a [u8],
    len: usize,
    value_len_max: usize,
}

impl<'a> Head<'a> {
    fn line(self, line: &'a [u8]) -> Parsed<'a> {
        let (word, rest) = cut(line);
        match word {
            b"VA" => self.meta_value(rest),
            b"MN" => self.whole(Some(Response::MetaNoop)),
            b"VALUE" => self.value(rest),
            b"STAT" => {
                let (name, value) = cut(rest);
                self.whole(Some(Response::Stat { name, value }))
            }
            b"VERSION" => self.whole(Some(Response::Version(rest))),
            b"CLIENT_ERROR" => self.whole(Some(Response::ClientError(rest))),
            b"SERVER_ERROR" => self.whole(Some(Response::ServerError(rest))),
            b"ERROR" | b"ERROR:" => self.whole(Some(Response::Status(Status::Error))),
            _ => match MetaCode::read(word) {
                Some(code) => self.whole(MetaAnswer::read(rest).map(|flags| Response::Meta { code, flags })),
                None => {
                    let status = Status::read(line).map(Response::Status);
                    self.whole(status.or_else(|| parse_u64(line).map(Response::Number)))
                }
            },
        }
    }

    fn whole(self, response: Option<Response<'a>>) -> Parsed<'a> {
        match response {
            Some(response) => Parsed::Response { response, consumed: self.len },
            None => malformed("the line is no response"),
        }
    }

    fn meta_value(self, rest: &'a [u8]) -> Parsed<'a> {
        let (len, rest) = cut(rest);
        match (parse_u64(len), MetaAnswer::read(rest)) {
            (Some(len), Some(flags)) => self.with_value(len, |value| Response::MetaValue { value, flags }),
            _ => malformed("the line of a value is malformed"),
        }
    }

    fn value(self, rest: &'a [u8]) -> Parsed<'a> {
        let (key, rest) = cut(rest);
        let (flags, rest) = cut(rest);
        let (len, cas) = cut(rest);
        let cas_number = parse_u64(cas);
        match (parse_u32(flags), parse_u64(len)) {
            (Some(flags), Some(len)) if cas.is_empty() || cas_number.is_some() => {
                self.with_value(len, |value| Response::Value { key, flags, cas: cas_number, value })
            }
            _ => malformed("the line of a value is malformed"),
        }
    }

    fn with_value(self, value_len: u64, response: impl FnOnce(&'a [u8]) -> Response<'a>) -> Parsed<'a> {
        let value_len = match usize::try_from(value_len) {
            Ok(len) if len <= self.value_len_max => len,
            _ => return malformed("the value is larger than we read"),
        };
        let consumed = self.len.saturating_add(value_len).saturating_add(2);
        let Some(block) = self.buf.get(self.len..consumed) else {
            return Parsed::Incomplete { need: consumed };
        };
        match block.strip_suffix(b"\r\n") {
            Some(value) => Parsed::Response { response: response(value), consumed },
            None => malformed("the value does not end where it should"),
        }
    }
}

impl<'a> MetaAnswer<'a> {
    /// Reads flags; `None` if the number of one that we know is none.
    fn read(mut rest: &'a [u8]) -> Option<Self> {
        let mut answer = MetaAnswer::default();
        while !rest.is_empty() {
            let (word, after) = cut(rest);
            rest = after;
            if let Some((letter, argument)) = word.split_first() {
                answer.take(*letter, argument)?;
            }
        }
        Some(answer)
    }

    fn take(&mut self, letter: u8, argument: &'a [u8]) -> Option<()> {
        match letter {
            b's' => self.size = Some(parse_u64(argument)?),
            b'f' => self.client_flags = Some(parse_u32(argument)?),
            b'c' => self.cas = Some(parse_u64(argument)?),
            b't' => {
                self.ttl = Some(match argument {
                    b"-1" => TtlLeft::Forever,
                    seconds => TtlLeft::Seconds(parse_u32(seconds)?),
                });
            }
            b'l' => self.idle_s = Some(parse_u32(argument)?),
            b'h' => self.fetched = Some(parse_u32(argument)? != 0),
            b'O' => self.opaque = Some(argument),
            b'k' => self.key = Some(argument),
            b'b' => self.base64_key = true,
            b'W' => self.won = true,
            b'Z' => self.already_won = true,
            b'X' => self.stale = true,
            _ => {}
        }
        Some(())
    }
}

/// Cuts a line at its first space, which goes to neither part.
fn cut(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, b""),
    }
}
