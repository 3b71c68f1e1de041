// SPDX-License-Identifier: MIT OR Apache-2.0
//! The convergence check: when writers are quiet, every cache holds the database's values or none.

use std::collections::BTreeMap;

use crate::history::Seen;

/// What one key looked like through one instance, or in one raw slot, after the writers had stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Through what it was seen.
    pub through: String,
    /// The key.
    pub key: i64,
    /// What it showed.
    pub seen: Seen,
}

/// The probes that differ from the rows of the database; a key without a row is absent.
pub fn differing(rows: &BTreeMap<i64, Seen>, probes: &[Probe]) -> Vec<Probe> {
    let truth = |key| rows.get(&key).copied().unwrap_or(Seen::Absent);
    probes.iter().filter(|probe| probe.seen != truth(probe.key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{Probe, differing};
    use crate::history::Seen;

    #[test]
    fn a_probe_that_differs_from_the_row_is_found() {
        let value = |op| Seen::Value { op, counter: 1 };
        let probe = |key, seen| Probe { through: "daemon 0".to_owned(), key, seen };
        let rows = [(1, value(10)), (2, value(11))].into();
        let probes = [
            probe(1, value(10)),
            probe(2, value(9)),
            probe(3, Seen::Absent),
            probe(4, value(1)),
            probe(1, Seen::Garbled),
        ];
        assert_eq!(differing(&rows, &probes), [probes[1].clone(), probes[3].clone(), probes[4].clone()]);
    }
}
