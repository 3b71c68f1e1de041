// SPDX-License-Identifier: MIT OR Apache-2.0
//! Takes rows out of the outbox, within a transaction that stays open.

use throughline_core::News;
use tokio_postgres::Row;

use super::super::cell::Wire;
use super::super::client::Session;
use super::super::map::Failure;
use super::poll::{Poll, number, text, wire};
use crate::sql::outbox::{ROW_COUNT_MAX, Rows, SWEEP_COUNT_MAX, Taken, ids};

type Outcome<T> = std::result::Result<T, Failure>;

const COPY: &str = "INSERT INTO tl_outbox (consumer, origin, tbl, k, at) \
    SELECT $1::text, origin, tbl, k, at FROM tl_outbox \
    WHERE id = ANY ($2::int8[]) AND origin IS DISTINCT FROM $1::text ORDER BY id";

impl Poll {
    /// Takes what no other daemon is taking. With `sweep` there is too much to be named row by row: then
    /// every table that is met is told as a whole.
    pub(super) async fn take_rows(&self, session: &Session, sweep: bool) -> Outcome<Rows> {
        session.command("BEGIN").await?;
        let count_max = if sweep { SWEEP_COUNT_MAX } else { ROW_COUNT_MAX };
        let mut rows = lock(session, self.memory.consumer.name(), count_max).await?;
        if rows.len() < count_max {
            rows.extend(lock(session, "", count_max - rows.len()).await?);
        }
        if rows.is_empty() {
            session.command("ROLLBACK").await?;
            return Ok(Rows::default());
        }
        self.copy(session, &rows).await?;
        session.run("DELETE FROM tl_outbox WHERE id = ANY ($1::int8[])", &[array(&rows)]).await?;
        let news = self.memory.news_of(&rows, sweep);
        for piece in &news {
            if let News::Table { table, .. } = piece {
                // For daemons that share our cache and do not see the rows.
                let note = "UPDATE tl_table SET at = pg_catalog.clock_timestamp() WHERE tbl = $1";
                session.run(note, &[wire(table)]).await?;
            }
        }
        Ok(Rows { news, count: rows.len() })
    }

    /// Copies new rows for the other consumers, who are read only now: one that registered before a row was
    /// committed is among them, and one that registered later has nothing older in its cache.
    async fn copy(&self, session: &Session, rows: &[Taken]) -> Outcome<()> {
        let others = "SELECT name FROM tl_consumer WHERE name <> $1";
        let others = session.run(others, &[wire(self.memory.consumer.name())]).await?;
        let new = || rows.iter().filter(|row| row.is_new);
        if new().next().is_none() {
            return Ok(());
        }
        for other in others {
            session.run(COPY, &[Wire::Text(text(&other, 0)), array(new())]).await?;
        }
        Ok(())
    }
}

/// Locks the first rows of `consumer` that nobody else has locked, in the order of its index.
async fn lock(session: &Session, consumer: &str, count_max: usize) -> Outcome<Vec<Taken>> {
    let sql = "SELECT id, origin, tbl, k FROM tl_outbox WHERE consumer = $1 ORDER BY id LIMIT $2::int8 \
        FOR UPDATE SKIP LOCKED";
    let rows = session.run(sql, &[wire(consumer), Wire::Text(count_max.to_string())]).await?;
    let row = |row: &Row| Taken {
        id: number(row, 0),
        is_new: consumer.is_empty(),
        origin: row.try_get(1).unwrap_or_default(),
        table: text(row, 2),
        written: row.try_get(3).unwrap_or_default(),
    };
    Ok(rows.iter().map(row).collect())
}

fn array<'t>(rows: impl IntoIterator<Item = &'t Taken>) -> Wire {
    Wire::Text(format!("{{{}}}", ids(rows)))
}
