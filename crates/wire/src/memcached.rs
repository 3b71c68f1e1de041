// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memcached text and meta protocols as memcached 1.6.18 speaks them, both sides.
//!
//! | side | reads | writes |
//! |---|---|---|
//! | server | [`request::parse`] | [`reply`] |
//! | client | [`response::parse`] | [`command`] |
//!
//! Parsers borrow from the caller's buffer and allocate nothing; composers append to a `Vec<u8>`.
//! What a server answers to malformed lines was recorded from a running memcached; the table and every
//! deliberate difference are in `tests/memcached_answers/`.
//!
//! Each parser has a fuzz target (`request`, `response`, `meta_flags`); in `crates/wire/fuzz`:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run request -- -dict=memcached.dict -max_len=700 -max_total_time=60`.

mod key;
mod limits;
mod number;
mod status;

pub mod command;
pub mod reply;
pub mod request;
pub mod response;

pub use key::{Key, KeyError, MetaKey};
pub use limits::{KEY_LEN_MAX, LINE_LEN_MAX, Limits, OPAQUE_LEN_MAX};
pub use number::{parse_i64, parse_u32, parse_u64, push_i64, push_u64};
pub use status::{MetaCode, Status};
