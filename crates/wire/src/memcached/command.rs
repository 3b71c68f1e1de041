// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client side: appends requests to an output buffer.
//!
//! There is deliberately no way to store a value blindly. A value needs the [`Cas`] that a lease or a
//! mark gave, so a request that arrives late, after its sender has given up, cannot put an old value in
//! the place of a newer one. What is stored without a token is a [`mark`], which holds no value, and a server's
//! [`identity`], which never replaces anything.
//!
//! The server drops whatever is at the key when a store is too large for it, even if the token is wrong:
//! the caller must not send one.

use std::error::Error;
use std::fmt;

use super::key::Key;
use super::number::push_u64;

/// A CAS number, the server's part of a token. It is worth nothing on another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cas(pub u64);

/// A time to live in whole seconds, from [`Ttl::MIN_S`] to [`Ttl::MAX_S`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

impl Ttl {
    /// The shortest: memcached counts seconds by a clock of its own, so 1 may be over in a moment.
    pub const MIN_S: u32 = 2;
    /// The longest, 30 days: memcached takes more for a Unix time, long past.
    pub const MAX_S: u32 = 30 * 24 * 60 * 60;

    /// Checks a time to live.
    ///
    /// # Errors
    /// If it is out of bounds, which includes 0, for ever.
    pub fn new(seconds: u32) -> Result<Self, TtlError> {
        if (Self::MIN_S..=Self::MAX_S).contains(&seconds) {
            Ok(Ttl(seconds))
        } else {
            Err(TtlError { seconds })
        }
    }

    /// Takes the nearest time to live that is within bounds.
    #[must_use]
    pub fn clamped(seconds: u32) -> Self {
        Ttl(seconds.clamp(Self::MIN_S, Self::MAX_S))
    }

    /// Returns the seconds.
    #[must_use]
    pub fn as_secs(self) -> u32 {
        self.0
    }
}

/// A time to live that memcached would not take as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TtlError {
    /// The seconds asked for.
    pub seconds: u32,
}

impl fmt::Display for TtlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (Ttl::MIN_S, Ttl::MAX_S);
        write!(f, "a time to live of {} s is not between {min} s and {max} s", self.seconds)
    }
}

impl Error for TtlError {}

/// What a look-up asks for beside flags, CAS number and time left, which it always returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Return the value, else only its size.
    pub value: bool,
    /// On a miss give this client a lease that lives so long.
    pub lease: Option<Ttl>,
    /// Give this client the right to refresh if no more than this is left to live.
    pub refresh: Option<Ttl>,
}

/// Appends a look-up: `mg`.
pub fn read(out: &mut Vec<u8>, key: Key<'_>, read: Read, opaque: u64) {
    start(out, b"mg ", key);
    // The server answers flags as it reads them: `N` after `t` would return the time left before the
    // lease got its own.
    if let Some(lease) = read.lease {
        flag(out, b'N', u64::from(lease.0));
    }
    out.extend_from_slice(if read.value { b" v f c t" } else { b" s f c t" });
    if let Some(refresh) = read.refresh {
        flag(out, b'R', u64::from(refresh.0));
    }
    end(out, opaque);
}

/// Appends the store of a value under a token: a fill under a lease, or a publish under a mark.
pub fn fill(out: &mut Vec<u8>, key: Key<'_>, token: Cas, flags: u32, ttl: Ttl, value: &[u8], opaque: u64) {
    store(out, key, Some(token), flags, ttl, value, opaque);
}

/// Appends the store of a mark, which overwrites what is there and asks for the mark's CAS number.
///
/// `flags` must say that it is a mark: `body` is who writes, never a value.
pub fn mark(out: &mut Vec<u8>, key: Key<'_>, flags: u32, ttl: Ttl, body: &[u8], opaque: u64) {
    store(out, key, None, flags, ttl, body, opaque);
}

/// Appends the store of a server's identity, which does not expire, if there is nothing at the key yet.
pub fn identity(out: &mut Vec<u8>, key: Key<'_>, body: &[u8], opaque: u64) {
    start(out, b"ms ", key);
    out.push(b' ');
    push_u64(out, body.len() as u64);
    out.extend_from_slice(b" ME F0 T0");
    end(out, opaque);
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// Appends an unconditional delete.
pub fn delete(out: &mut Vec<u8>, key: Key<'_>, opaque: u64) {
    start(out, b"md ", key);
    end(out, opaque);
}

/// Appends a delete of what the token was given for, and of nothing newer.
pub fn delete_if(out: &mut Vec<u8>, key: Key<'_>, token: Cas, opaque: u64) {
    start(out, b"md ", key);
    flag(out, b'C', token.0);
    end(out, opaque);
}

/// Appends the store that a server with an authentication file (`-Y`) takes for user name and password.
///
/// A server without one would keep them as a value: it must have said that it wants them. Neither may hold
/// a blank or a line end.
pub fn authenticate(out: &mut Vec<u8>, username: &str, password: &str) {
    out.extend_from_slice(b"set auth 0 0 ");
    push_u64(out, (username.len() + 1 + password.len()) as u64);
    for part in ["\r\n", username, " ", password, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends `mn`, whose answer shows that everything before it was answered.
pub fn noop(out: &mut Vec<u8>) {
    out.extend_from_slice(b"mn\r\n");
}

/// Appends `version`.
pub fn version(out: &mut Vec<u8>) {
    out.extend_from_slice(b"version\r\n");
}

/// Which statistics to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stats {
    /// The general ones.
    General,
    /// `stats settings`: how the server was started.
    Settings,
}

/// Appends `stats`.
pub fn stats(out: &mut Vec<u8>, stats: Stats) {
    out.extend_from_slice(match stats {
        Stats::General => b"stats\r\n",
        Stats::Settings => b"stats settings\r\n",
    });
}

fn store(
    out: &mut Vec<u8>,
    key: Key<'_>,
    token: Option<Cas>,
    flags: u32,
    ttl: Ttl,
    body: &[u8],
    opaque: u64,
) {
    out.reserve(body.len() + key.as_bytes().len() + 128);
    start(out, b"ms ", key);
    out.push(b' ');
    push_u64(out, body.len() as u64);
    match token {
        Some(token) => flag(out, b'C', token.0),
        None => out.extend_from_slice(b" c"),
    }
    flag(out, b'F', u64::from(flags));
    flag(out, b'T', u64::from(ttl.0));
    end(out, opaque);
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

fn start(out: &mut Vec<u8>, command: &[u8], key: Key<'_>) {
    out.extend_from_slice(command);
    out.extend_from_slice(key.as_bytes());
}

fn flag(out: &mut Vec<u8>, letter: u8, number: u64) {
    out.extend_from_slice(&[b' ', letter]);
    push_u64(out, number);
}

fn end(out: &mut Vec<u8>, opaque: u64) {
    flag(out, b'O', opaque);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{Cas, Key, Read, Ttl, TtlError, delete, delete_if, fill, mark, read};

    #[test]
    fn a_lease_is_asked_for_before_the_time_left() {
        let mut out = Vec::new();
        let asked = Read { value: true, lease: Ttl::new(5).ok(), refresh: Ttl::new(30).ok() };
        read(&mut out, Key::new(b"k").unwrap(), asked, 7);
        assert_eq!(out, b"mg k N5 v f c t R30 O7\r\n");
    }

    #[test]
    fn a_fill_names_its_token() {
        let mut out = Vec::new();
        fill(&mut out, Key::new(b"k").unwrap(), Cas(9), 1, Ttl::new(300).unwrap(), b"ab", u64::MAX);
        assert_eq!(out, b"ms k 2 C9 F1 T300 O18446744073709551615\r\nab\r\n");
    }

    #[test]
    fn a_mark_asks_for_its_token() {
        let mut out = Vec::new();
        mark(&mut out, Key::new(b"k").unwrap(), 2, Ttl::new(10).unwrap(), b"wid", 1);
        assert_eq!(out, b"ms k 3 c F2 T10 O1\r\nwid\r\n");
    }

    #[test]
    fn a_conditional_delete_names_its_token() {
        let mut out = Vec::new();
        delete_if(&mut out, Key::new(b"k").unwrap(), Cas(4), 2);
        delete(&mut out, Key::new(b"k").unwrap(), 3);
        assert_eq!(out, b"md k C4 O2\r\nmd k O3\r\n");
    }

    #[test]
    fn a_time_to_live_that_memcached_misreads_is_refused() {
        for seconds in [0, 1, Ttl::MAX_S + 1, u32::MAX] {
            assert_eq!(Ttl::new(seconds), Err(TtlError { seconds }));
        }
        assert_eq!(Ttl::new(2).map(Ttl::as_secs), Ok(2));
        assert_eq!(Ttl::new(Ttl::MAX_S).map(Ttl::as_secs), Ok(2_592_000));
        assert_eq!((Ttl::clamped(0).as_secs(), Ttl::clamped(u32::MAX).as_secs()), (2, 2_592_000));
    }
}
