// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client says of its read.

use throughline::{Key, Read, Served};

/// The one record of the stories.
pub(super) fn key() -> Key {
    Key::parse("1").expect("a key")
}

/// What was read, and how.
pub(super) fn read(read: &Read) -> String {
    let how = match read.served {
        Served::Hit => "hit",
        Served::Miss { stored: true } => "miss, stored",
        Served::Miss { stored: false } => "miss, not stored",
        Served::Bypass(_) => "past the cache",
    };
    let value =
        read.record().map_or("absent".into(), |record| String::from_utf8_lossy(&record.value).into_owned());
    format!("gets {value} ({how})")
}
