// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names for whatever gives tokens out.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that this process has never used before: what [`throughline_core::Token::connection`] holds.
pub(crate) fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
