// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memcached door through a socket: every command on records and on items, byte for byte; broken and
//! hostile input; shutting down; a plain map as the model; and a real memcached beside it.

mod bench;
mod hostile;
mod items;
mod live;
mod meta;
mod model;
mod records;
mod sample;
mod shutdown;
mod stats;
