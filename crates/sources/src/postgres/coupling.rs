// SPDX-License-Identifier: MIT OR Apache-2.0
//! The locks by which fills and writes of one key know of each other.
//!
//! PostgreSQL's row locks do not show an INSERT that is not committed, so absence could not be filled safely
//! with them. Advisory locks do: a writer holds its key's lock from its statement until its commit is visible;
//! a fill looks whether it gets the lock *before* its snapshot is taken (consistency.md §4.2).
//!
//! 1. The probe is a statement of its own, in a transaction of its own, sent in front.
//! 2. The SELECT is a later statement, so its snapshot is younger than the probe's answer. In one statement, or
//!    in one REPEATABLE READ transaction, the snapshot would be older, and a fill would store the old row.
//!
//! Locks have a number, not a name: keys that share one refuse each other's fills now and then, no more.

use throughline_core::Key;

/// The first number of every lock of ours; the second is the key's. Applications that use the form with one
/// number of 64 bits, or another first number, cannot meet ours. Every daemon and every version uses the same.
pub(super) const LOCK_CLASS: i32 = 17_228;

/// How many locks one probe takes at most: the server has room for 64 per connection on average, and gives
/// the room back when the statement ends.
pub(super) const PROBE_LEN_MAX: usize = 128;

/// Which of these locks nobody holds.
pub(super) const PROBE: &str = "SELECT h, pg_catalog.pg_try_advisory_xact_lock_shared(17228, h) \
    FROM pg_catalog.unnest($1::pg_catalog.int4[]) AS asked (h)";

/// Takes these locks for the transaction, in their order.
pub(super) const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(17228, h) \
    FROM pg_catalog.unnest($1::pg_catalog.int4[]) AS held (h)";

/// Turns the keys of one table into the numbers of their locks.
#[derive(Debug)]
pub(super) struct LockNumbers {
    prefix: Vec<u8>,
}

impl LockNumbers {
    /// The numbers of the table `schema.name`.
    pub(super) fn new(schema: &str, name: &str) -> Self {
        // A name cannot hold a zero byte, so no two pairs of names are written alike.
        let prefix = [schema.as_bytes(), b"\0", name.as_bytes(), b"\0"].concat();
        Self { prefix }
    }

    /// The number of a canonical key's lock: the first 32 bits of a BLAKE3 hash.
    pub(super) fn of(&self, key: &Key) -> i32 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.prefix).update(key.as_str().as_bytes());
        let mut head = [0; 4];
        head.copy_from_slice(&hasher.finalize().as_bytes()[..4]);
        i32::from_be_bytes(head)
    }
}

/// Numbers as PostgreSQL reads an array of them.
pub(super) fn array(numbers: &[i32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

#[cfg(test)]
mod tests {
    use super::{LOCK, LOCK_CLASS, LockNumbers, PROBE, array};
    use throughline_core::Key;

    #[test]
    fn every_version_gives_a_key_the_same_number() {
        let number = |schema, name, key| LockNumbers::new(schema, name).of(&Key::parse(key).unwrap());
        assert_eq!(number("public", "person", "42"), 110_212_071);
        assert_ne!(number("public", "person", "42"), number("public", "person", "43"));
        assert_ne!(number("public", "person", "42"), number("other", "person", "42"));
        assert_ne!(number("a", "bc", "1"), number("ab", "c", "1"));
    }

    #[test]
    fn statements_name_the_class() {
        for sql in [PROBE, LOCK] {
            assert!(sql.contains(&format!("({LOCK_CLASS}, h)")), "{sql}");
        }
        assert_eq!(array(&[1, -2]), "{1,-2}");
    }
}
