// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parsers and composers of the bytes of foreign protocols: no I/O, no panic.
//!
//! The parsers of `memcached` take what has arrived so far and say how much of it one message took; those
//! of `http` take header values that the HTTP library has found. So they serve any transport and can be
//! fuzzed without one.

pub mod http;
pub mod memcached;
