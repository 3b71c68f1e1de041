// SPDX-License-Identifier: MIT OR Apache-2.0
//! Server side: appends replies to an output buffer, byte for byte as memcached 1.6.18 writes them.

use super::key::MetaKey;
use super::number::{push_i64, push_u64};
use super::request::{MetaFlags, MetaRequest};
use super::status::{MetaCode, Status};

/// Appends a fixed reply.
pub fn status(out: &mut Vec<u8>, status: Status) {
    out.extend_from_slice(status.line());
}

/// Appends `VALUE <key> <flags> <length> [<cas>]` and the value.
pub fn value(out: &mut Vec<u8>, key: &[u8], flags: u32, cas: Option<u64>, value: &[u8]) {
    // One reservation, so that a large value is not copied again when the line end follows.
    out.reserve(key.len() + value.len() + 64);
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key);
    out.push(b' ');
    push_u64(out, u64::from(flags));
    out.push(b' ');
    push_u64(out, value.len() as u64);
    if let Some(cas) = cas {
        out.push(b' ');
        push_u64(out, cas);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the number that `incr` or `decr` came to.
pub fn number(out: &mut Vec<u8>, number: u64) {
    push_u64(out, number);
    out.extend_from_slice(b"\r\n");
}

/// Appends `VERSION <version>`.
pub fn version(out: &mut Vec<u8>, version: &str) {
    line(out, b"VERSION ", version);
}

/// Appends `STAT <name> <value>`; after the last of them comes [`Status::End`].
pub fn stat(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b"STAT ");
    push_text(out, name);
    out.push(b' ');
    push_text(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends `CLIENT_ERROR <message>`: the client asked for what cannot be.
pub fn client_error(out: &mut Vec<u8>, message: &str) {
    line(out, b"CLIENT_ERROR ", message);
}

/// Appends `SERVER_ERROR <message>`: we could not do what was asked.
pub fn server_error(out: &mut Vec<u8>, message: &str) {
    line(out, b"SERVER_ERROR ", message);
}

/// Appends `MN`, the answer to `mn`.
pub fn meta_noop(out: &mut Vec<u8>) {
    out.extend_from_slice(b"MN\r\n");
}

/// What `mg` tells about an entry that it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaItem<'a> {
    /// The value.
    pub value: &'a [u8],
    /// `f`: the client's flags.
    pub client_flags: u32,
    /// `c`: the CAS number.
    pub cas: u64,
    /// `t`: seconds left to live; `None` is for ever.
    pub ttl_s: Option<u32>,
    /// `l`: seconds since the last use.
    pub idle_s: u32,
    /// `h`: whether it was read before.
    pub fetched: bool,
    /// `W`: this client won the right to fill or refresh it.
    pub won: bool,
    /// `Z`: another client has won that right.
    pub already_won: bool,
    /// `X`: it was invalidated and kept.
    pub stale: bool,
}

/// Appends the answer to an `mg` that found something: `VA` with the value, or `HD`.
pub fn meta_hit(out: &mut Vec<u8>, request: &MetaRequest<'_>, item: &MetaItem<'_>) {
    let MetaRequest { key, flags } = request;
    out.reserve(item.value.len() + 512);
    meta_start(out, flags, item.value.len());
    for flag in flags.in_order() {
        match flag.letter {
            b's' => letter_and_number(out, b's', item.value.len() as u64),
            b't' => ttl(out, item.ttl_s),
            b'c' => letter_and_number(out, b'c', item.cas),
            b'f' => letter_and_number(out, b'f', u64::from(item.client_flags)),
            b'l' => letter_and_number(out, b'l', u64::from(item.idle_s)),
            b'h' => letter_and_number(out, b'h', u64::from(item.fetched)),
            other => key_or_opaque(out, other, flag.argument, key),
        }
    }
    for (is_set, letter) in [(item.already_won, b'Z'), (item.stale, b'X'), (item.won, b'W')] {
        if is_set {
            out.extend_from_slice(&[b' ', letter]);
        }
    }
    meta_end(out, flags, item.value);
}

/// Appends the answer to an `ma` that counted: `VA` with the number, or `HD`.
pub fn meta_number(out: &mut Vec<u8>, request: &MetaRequest<'_>, number: u64, cas: u64, ttl_s: Option<u32>) {
    let MetaRequest { key, flags } = request;
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number).as_bytes();
    meta_start(out, flags, digits.len());
    for flag in flags.in_order() {
        match flag.letter {
            b't' => ttl(out, ttl_s),
            b'c' => letter_and_number(out, b'c', cas),
            other => key_or_opaque(out, other, flag.argument, key),
        }
    }
    meta_end(out, flags, digits);
}

/// Appends a meta answer without a value, with the `O` and `k` that the request asked for.
///
/// `cas` is what `ms` returns for its `c`: the new number, or 0 if nothing was stored. No other command
/// returns one here. A quiet request leaves out its nominal code, which is the caller's decision:
/// [`is_hidden`].
pub fn meta_code(out: &mut Vec<u8>, request: &MetaRequest<'_>, code: MetaCode, cas: Option<u64>) {
    out.extend_from_slice(code.letters());
    for flag in request.flags.in_order() {
        match (flag.letter, cas) {
            (b'c', Some(cas)) => letter_and_number(out, b'c', cas),
            (other, _) => key_or_opaque(out, other, flag.argument, &request.key),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends `EN` as `me` answers a miss, without anything that its line asked for.
pub fn meta_miss(out: &mut Vec<u8>) {
    out.extend_from_slice(b"EN\r\n");
}

/// Says whether `q` keeps this code from being sent: `EN` of `mg`, `HD` of `ms`, `md` and `ma`.
#[must_use]
pub fn is_hidden(flags: &MetaFlags<'_>, code: MetaCode, is_get: bool) -> bool {
    flags.quiet && code == if is_get { MetaCode::Miss } else { MetaCode::Done }
}

/// What `me` tells about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaDetail {
    /// Seconds left to live; `None` is for ever.
    pub ttl_s: Option<u32>,
    /// Seconds since the last use.
    pub idle_s: u32,
    /// The CAS number.
    pub cas: u64,
    /// Whether it was read before.
    pub fetched: bool,
    /// Bytes that the entry takes.
    pub size: u64,
}

/// Appends the answer to an `me` that found something. We have no slab classes: `cls` is always 0.
pub fn meta_detail(out: &mut Vec<u8>, key: &MetaKey<'_>, detail: &MetaDetail) {
    out.extend_from_slice(b"ME ");
    out.extend_from_slice(key.text());
    out.extend_from_slice(b" exp=");
    push_i64(out, detail.ttl_s.map_or(-1, i64::from));
    out.extend_from_slice(b" la=");
    push_u64(out, u64::from(detail.idle_s));
    out.extend_from_slice(b" cas=");
    push_u64(out, detail.cas);
    out.extend_from_slice(if detail.fetched { b" fetch=yes cls=0 size=" } else { b" fetch=no cls=0 size=" });
    push_u64(out, detail.size);
    out.extend_from_slice(b"\r\n");
}

fn meta_start(out: &mut Vec<u8>, flags: &MetaFlags<'_>, value_len: usize) {
    if flags.value {
        out.extend_from_slice(b"VA ");
        push_u64(out, value_len as u64);
    } else {
        out.extend_from_slice(b"HD");
    }
}

fn meta_end(out: &mut Vec<u8>, flags: &MetaFlags<'_>, value: &[u8]) {
    out.extend_from_slice(b"\r\n");
    if flags.value {
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

fn key_or_opaque(out: &mut Vec<u8>, letter: u8, argument: &[u8], key: &MetaKey<'_>) {
    match letter {
        b'O' => {
            out.extend_from_slice(b" O");
            out.extend_from_slice(argument);
        }
        b'k' => {
            out.extend_from_slice(b" k");
            out.extend_from_slice(key.text());
            if key.is_base64() {
                out.extend_from_slice(b" b");
            }
        }
        _ => {}
    }
}

fn letter_and_number(out: &mut Vec<u8>, letter: u8, number: u64) {
    out.extend_from_slice(&[b' ', letter]);
    push_u64(out, number);
}

fn ttl(out: &mut Vec<u8>, ttl_s: Option<u32>) {
    out.extend_from_slice(b" t");
    push_i64(out, ttl_s.map_or(-1, i64::from));
}

fn line(out: &mut Vec<u8>, start: &[u8], text: &str) {
    out.extend_from_slice(start);
    push_text(out, text);
    out.extend_from_slice(b"\r\n");
}

/// Appends text that must stay on its line: a line end in an error's text would be read as a reply.
fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
}
