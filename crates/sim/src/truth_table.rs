// SPDX-License-Identifier: MIT OR Apache-2.0
//! The truth, read from the database's tables.

use std::collections::BTreeMap;

use throughline_core::Result;

use crate::checker::AuditRow;
use crate::database::Session;
use crate::history::Seen;
use crate::payload::Payload;
use crate::sut::seen_as;

/// How many audit rows are read at once.
const PAGE_LEN: u64 = 10_000;

/// The rows as they are now.
pub(crate) async fn rows(database: &mut Session) -> Result<BTreeMap<i64, Seen>> {
    let rows = database.rows().await?;
    Ok(rows.into_iter().map(|(key, body)| (key, seen_as(key, &body))).collect())
}

/// Every write in the order of commits.
pub(crate) async fn audit(database: &mut Session) -> Result<Vec<AuditRow>> {
    let mut audit: Vec<AuditRow> = Vec::new();
    loop {
        let after = audit.last().map_or(0, |row| row.seq);
        let page = database.audit_after(after, PAGE_LEN).await?;
        let last = (page.len() as u64) < PAGE_LEN;
        audit.extend(page.into_iter().map(|(seq, key, body)| {
            let stored = body.map_or(Seen::Absent, |body| seen_as(key, &body));
            AuditRow { seq, key, stored }
        }));
        if last {
            return Ok(audit);
        }
    }
}

/// What a raw slot of the cache shows, when it holds a payload at all.
pub(crate) fn slot_seen(bytes: &[u8]) -> Option<(i64, Seen)> {
    Payload::find(bytes)
        .map(|payload| (payload.key, Seen::Value { op: payload.op, counter: payload.counter }))
}
