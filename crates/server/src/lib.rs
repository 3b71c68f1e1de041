// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front doors: the memcached protocol and HTTP.

pub mod http;
pub mod memcached;
