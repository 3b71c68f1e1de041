// SPDX-License-Identifier: MIT OR Apache-2.0
//! memcached's answers and errors in our words.

use std::io;

use throughline_core::{Error, ErrorKind, Fill, Hit, Result};
use throughline_wire::memcached::MetaCode;
use throughline_wire::memcached::command::Cas;

use super::answer::{Answer, Failure, Item};
use super::config::MemcachedServer;
use super::value::{self, Decoded, Kind};

const OPERATION: &str = "ask memcached";

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Hit(Hit),
    /// Nothing, and the lease is ours.
    Lease(Cas),
    /// Nothing, and another has the lease.
    Busy,
    Marked,
    /// Nothing, and no lease.
    Nothing,
    /// Something that is not ours.
    Foreign,
    /// The entry of another key.
    OtherKey,
}

pub(super) fn found(answer: &Answer, check: u64) -> Found {
    match answer {
        Answer::Found(item) => item_found(item, check),
        Answer::Header { .. } | Answer::Code { .. } | Answer::Failed(_) => Found::Nothing,
    }
}

fn item_found(item: &Item, check: u64) -> Found {
    if item.stale {
        return Found::Marked;
    }
    match Kind::of(item.flags) {
        Kind::None if !item.value.is_empty() => Found::Foreign,
        // A server without cas numbers gives 0 to everybody. It is not admitted; this is the second lock.
        Kind::None if item.won && item.token.0 != 0 => Found::Lease(item.token),
        Kind::None if item.already_won => Found::Busy,
        Kind::Mark => Found::Marked,
        Kind::Value | Kind::Negative => {
            match item.ttl_left_s.map(|ttl_left_s| entry_found(item, check, ttl_left_s)) {
                Some(Decoded::Hit(hit)) => Found::Hit(hit),
                Some(Decoded::OtherKey) => Found::OtherKey,
                // We never store without an end.
                Some(Decoded::Foreign) | None => Found::Foreign,
            }
        }
        Kind::None | Kind::Unknown => Found::Foreign,
    }
}

fn entry_found(item: &Item, check: u64, ttl_left_s: u32) -> Decoded {
    value::decode(&item.value, item.flags, check, ttl_left_s)
}

/// The time that is left to the entry that `token` came with, if it still is what the slot holds.
pub(super) fn same(answer: &Answer, tag: Cas) -> Option<u64> {
    match answer {
        Answer::Header { flags, token, ttl_left_s: Some(ttl_left_s), stale: false }
            if *token == tag && matches!(Kind::of(*flags), Kind::Value | Kind::Negative) =>
        {
            Some(u64::from(*ttl_left_s) * 1_000)
        }
        _ => None,
    }
}

/// How a store under a token went.
pub(super) fn filled(server: &MemcachedServer, answer: &Answer) -> Result<Fill> {
    match answer {
        Answer::Code { code: MetaCode::Done, .. } => Ok(Fill::Stored),
        Answer::Code { code: MetaCode::Exists | MetaCode::NotFound | MetaCode::NotStored, .. } => {
            Ok(Fill::Refused)
        }
        Answer::Failed(Failure::OutOfMemory) => Ok(Fill::Refused),
        Answer::Failed(Failure::TooLarge) => Ok(Fill::TooLarge),
        Answer::Code { .. } | Answer::Found(_) | Answer::Header { .. } | Answer::Failed(Failure::Other) => {
            Err(refused(server))
        }
    }
}

/// The token of a mark; `None` when the server has no memory for it and confirmed only that the slot is empty.
pub(super) fn marked(server: &MemcachedServer, answer: &Answer) -> Result<Option<Cas>> {
    match answer {
        Answer::Code { code: MetaCode::Done, cas } => Ok(cas.filter(|cas| cas.0 != 0)),
        Answer::Failed(Failure::OutOfMemory | Failure::TooLarge) => Ok(None),
        _ => Err(refused(server)),
    }
}

/// Whether a slot was emptied.
pub(super) fn deleted(server: &MemcachedServer, answer: &Answer) -> Result<()> {
    match answer {
        Answer::Code { code: MetaCode::Done | MetaCode::NotFound, .. } => Ok(()),
        _ => Err(refused(server)),
    }
}

fn error(kind: ErrorKind, server: &MemcachedServer, what: &str) -> Error {
    Error::new(kind, OPERATION, format!("{server}: {what}"))
}

/// There is no connection.
pub(super) fn unavailable(server: &MemcachedServer, what: &str) -> Error {
    error(ErrorKind::Unavailable, server, what)
}

/// There is no connection, for the reason that the last one ended or the last attempt failed.
pub(super) fn down(reason: &Error) -> Error {
    match reason.kind() {
        ErrorKind::Unavailable => reason.clone(),
        _ => Error::new(ErrorKind::Unavailable, OPERATION, reason.detail().to_owned()),
    }
}

/// The cache was closed.
pub(super) fn closed(server: &MemcachedServer) -> Error {
    error(ErrorKind::Closed, server, "the cache was closed")
}

/// Too much is under way.
pub(super) fn overloaded(server: &MemcachedServer) -> Error {
    error(ErrorKind::Overloaded, server, "too many requests are under way")
}

/// No answer in time.
pub(super) fn late(server: &MemcachedServer, timeout_ms: u64) -> Error {
    error(ErrorKind::Timeout, server, &format!("no answer within {timeout_ms} ms"))
}

/// The operating system reported an error.
pub(super) fn io(server: &MemcachedServer, what: &str, cause: io::Error) -> Error {
    error(ErrorKind::Unavailable, server, &format!("{what} ({cause})")).with_cause(cause)
}

/// The server broke its protocol.
pub(super) fn corrupt(server: &MemcachedServer, what: &str) -> Error {
    error(ErrorKind::Corrupt, server, what)
}

/// The server will not do, and how to change that.
pub(super) fn inadmissible(server: &MemcachedServer, what: &str) -> Error {
    error(ErrorKind::Configuration, server, what)
}

/// The server is not the one that it was, or that the others take it for.
pub(super) fn stranger(server: &MemcachedServer) -> Error {
    error(
        ErrorKind::Unavailable,
        server,
        "it was restarted, or another server answers at its address, so it is not used yet",
    )
}

/// The server wants a password.
pub(super) fn denied(server: &MemcachedServer) -> Error {
    error(ErrorKind::Denied, server, "it wants a user name and a password; set `username` and `password`")
}

/// The server does not know the user or takes another password.
pub(super) fn wrong_credentials(server: &MemcachedServer) -> Error {
    error(ErrorKind::Denied, server, "it refused the user name and password")
}

fn refused(server: &MemcachedServer) -> Error {
    error(ErrorKind::Other, server, "it did not do what it was asked for")
}

#[cfg(test)]
mod tests;
