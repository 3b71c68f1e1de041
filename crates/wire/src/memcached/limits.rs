// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bounds of the protocol, and those that whoever reads it may choose.

/// Longest key in bytes; a base64 key counts as it is written.
pub const KEY_LEN_MAX: usize = 250;

/// Longest line in bytes that is not a list of keys, its line feed not counted.
///
/// memcached gives up on a line of which 2,048 bytes have come without a line feed.
pub const LINE_LEN_MAX: usize = 2048;

/// Longest opaque of a meta command in bytes, its `O` not counted.
pub const OPAQUE_LEN_MAX: usize = 31;

/// Bounds on what one message may make its reader keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest value in bytes. Default 1 MiB less 1 KiB, which memcached stores at its default item size.
    pub value_len_max: usize,
    /// Longest line of `get`, `gets`, `gat` or `gats` in bytes. Default 1 MiB; memcached has no bound here.
    pub keys_line_len_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { value_len_max: 1024 * 1024 - 1024, keys_line_len_max: 1024 * 1024 }
    }
}
