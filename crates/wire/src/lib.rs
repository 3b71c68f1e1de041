// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parsers and composers of the bytes of foreign protocols: no I/O, no panic.
//!
//! Every parser takes what has arrived so far and says how much of it one message took, so it serves
//! any transport and can be fuzzed without one.

pub mod memcached;
