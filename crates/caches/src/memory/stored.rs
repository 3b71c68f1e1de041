// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kept value, what it weighs, and how much room there is.

use std::sync::Arc;

use quick_cache::{Options, OptionsBuilder, Weighter};
use throughline_core::KeptEntry;

use super::key::StoredKey;

/// A guess at an entry's weight, only used to size the list of keys that were evicted lately.
pub(super) const ENTRY_BYTES_ESTIMATE: u64 = 512;

/// Shards above this size are split until there are enough of them for all cores: a shard bounds the size of
/// an entry, so small ones would make large entries impossible.
const SHARD_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// What quick_cache needs beside key and value for each entry (its documentation: 21 bytes, in tables that
/// are up to twice as large as what is in them).
const TABLE_BYTES: usize = 2 * 21;
/// The two reference counts before a key's text, before an entry and before a value's bytes.
const COUNTS_BYTES: usize = 3 * 2 * size_of::<usize>();
const FIXED_BYTES: usize =
    TABLE_BYTES + COUNTS_BYTES + 2 * (size_of::<StoredKey>() + size_of::<Stored>()) + size_of::<KeptEntry>();

/// An entry and its life, as the table holds it: one word.
pub(super) type Stored = Arc<KeptEntry>;

/// Counts an entry in bytes.
#[derive(Clone, Debug)]
pub(super) struct ByWeight;

impl Weighter<StoredKey, Stored> for ByWeight {
    fn weight(&self, key: &StoredKey, stored: &Stored) -> u64 {
        weight(key, stored)
    }
}

/// The weight of an entry: its bytes and its share of the tables.
pub(super) fn weight(key: &StoredKey, stored: &Stored) -> u64 {
    let value_len = stored.record().map_or(0, |record| record.value.len());
    (FIXED_BYTES + key.text_len() + value_len) as u64
}

/// The options of a quick_cache that holds `capacity_bytes`.
pub(super) fn options(capacity_bytes: u64, entry_bytes: u64) -> Options {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = (capacity_bytes / SHARD_BYTES_MIN).clamp(1, 4 * cores as u64);
    // quick_cache rounds up; rounding down here keeps the shards as large as promised.
    let shards = 1 << shards.ilog2();
    OptionsBuilder::new()
        .shards(shards)
        .weight_capacity(capacity_bytes)
        .estimated_items_capacity(usize::try_from(capacity_bytes / entry_bytes).unwrap_or(usize::MAX))
        .build()
        .expect("both capacities are set")
}

/// The heaviest entry that is taken: a quarter of the capacity, or less where a shard could not keep more.
pub(super) fn weight_max(capacity_bytes: u64, shard_bytes: u64) -> u64 {
    // quick_cache silently refuses an entry that does not fit the shard's hot part (97 hundredths).
    (capacity_bytes / 4).min(shard_bytes / 10 * 9)
}
