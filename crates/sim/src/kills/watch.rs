// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watches rows while writes are applied: a row may skip writes, and never goes back to an earlier one.

use std::collections::BTreeMap;
use std::time::Duration;

use throughline_core::Result;

use super::Shared;
use super::findings::Finding;
use super::house::{House, rows};
use super::ledger::{Act, Known, RecordId, Resource};
use crate::database::Session;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a look may take; the database may be away.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// The earliest write that a row may show now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Floor {
    /// Its number; 0 before all writes.
    number: u64,
    is_there: bool,
}

impl Floor {
    /// Takes in what the row is now; whether that is no step back.
    pub(super) fn see(&mut self, row: Option<i64>, known: &Known) -> bool {
        let mut later = known.since(self.number);
        let next = match row {
            Some(value) => later.find(|write| write.act == Act::Put && write.value() == Some(value)),
            None if !self.is_there => return true,
            // The first delete that explains it leaves the most room for what comes.
            None => later.find(|write| write.act == Act::Delete),
        };
        if let Some(write) = next {
            *self = Self { number: write.number, is_there: row.is_some() };
        }
        next.is_some()
    }
}

/// Looks until it is told to end.
pub(super) async fn watch(house: &House, shared: &Shared, mut ended: tokio::sync::watch::Receiver<bool>) {
    let watching = async {
        let mut session = None;
        loop {
            let looking = tokio::time::timeout(LOOK_LIMIT, look(house, &mut session)).await;
            match looking {
                Ok(Ok(seen)) => compare(&seen, shared),
                // The database is gone; a call that was dropped half-way is a connection's last.
                _ => session = None,
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = watching => {}
        _ = ended.wait_for(|is_over| *is_over) => {}
    }
}

type Rows = BTreeMap<RecordId, i64>;

async fn look(house: &House, session: &mut Option<Session>) -> Result<Rows> {
    let session = match session {
        Some(session) => session,
        None => session.insert(Session::connect(house.database_url()).await?),
    };
    let mut seen = Rows::new();
    for resource in Resource::ALL {
        seen.extend(rows(session, resource).await?);
    }
    Ok(seen)
}

fn compare(seen: &Rows, shared: &Shared) {
    let (ledger, mut floors) = (shared.ledger.lock(), shared.floors.lock());
    for (record, known) in &ledger.records {
        let floor = floors.entry(*record).or_default();
        let (before, row) = (*floor, seen.get(record).copied());
        let is_back = u64::from(!floor.see(row, known));
        let tell = || format!("{record}: the row shows {row:?} after {before:?}");
        shared.findings.lock().note(Finding::Backward, is_back, tell);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Write;
    use super::{Act, Floor, Known};

    #[test]
    fn a_row_may_skip_writes_and_never_goes_back() {
        let acts = [Act::Put, Act::Delete, Act::Put, Act::Put];
        let write =
            |(index, act): (usize, &Act)| Write { number: index as u64 + 1, act: *act, receipt: None };
        let known = Known { accepted: acts.iter().enumerate().map(write).collect(), unanswered: None };
        let all = |rows: &[Option<i64>]| {
            let mut floor = Floor::default();
            rows.iter().all(|row| floor.see(*row, &known))
        };
        assert!(all(&[None, Some(1), Some(1), None, None, Some(3), Some(4)]));
        assert!(all(&[Some(1), Some(4)]));
        assert!(!all(&[Some(3), Some(1)]), "an older value");
        assert!(!all(&[Some(1), None, Some(3), None]), "the same delete again");
        assert!(!all(&[Some(9)]), "nobody wrote that");
    }
}
