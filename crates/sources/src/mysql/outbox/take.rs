// SPDX-License-Identifier: MIT OR Apache-2.0
//! Takes rows out of the outbox, within a transaction that stays open.

use mysql_async::Value as Wire;
use throughline_core::News;

use super::super::catalogue::{integer, text};
use super::super::client::Session;
use super::super::map::Failure;
use super::poll::Poll;
use crate::sql::outbox::{ROW_COUNT_MAX, Rows, SWEEP_COUNT_MAX, Taken, ids};

type Outcome<T> = std::result::Result<T, Failure>;

impl Poll {
    /// Takes what no other daemon is taking. With `sweep` there is too much to be named row by row: then
    /// every table that is met is told as a whole.
    pub(super) async fn take_rows(&self, session: &mut Session, sweep: bool) -> Outcome<Rows> {
        session.command("START TRANSACTION").await?;
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
        remove(session, &rows).await?;
        let news = self.memory.news_of(&rows, sweep);
        for piece in &news {
            if let News::Table { table, .. } = piece {
                note(session, table).await?;
            }
        }
        Ok(Rows { news, count: rows.len() })
    }

    /// Copies new rows for the other consumers, who are read only now: see the module above.
    async fn copy(&self, session: &mut Session, rows: &[Taken]) -> Outcome<()> {
        let others = "SELECT name FROM tl_consumer WHERE name <> ?";
        let others = session.run(others, vec![self.memory.consumer.name().into()]).await?.rows;
        let new: Vec<&Taken> = rows.iter().filter(|row| row.is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        for other in others {
            let name = text(&other, 0);
            let sql = format!(
                "INSERT INTO tl_outbox (consumer, origin, tbl, k, at) SELECT ?, origin, tbl, k, at FROM tl_outbox \
                 WHERE id IN ({}) AND NOT (origin <=> ?)",
                ids(new.iter().copied())
            );
            session.run_once(&sql, vec![name.clone().into(), name.into()]).await?;
        }
        Ok(())
    }
}

/// Notes that a table changed as a whole, for daemons that share our cache and do not see the rows.
async fn note(session: &mut Session, table: &str) -> Outcome<()> {
    let sql = "UPDATE tl_table SET at = NOW(6) WHERE tbl = ?";
    session.run(sql, vec![table.into()]).await.map(drop)
}

/// Locks the first rows of `consumer` that nobody else has locked. One consumer at a time: its index is in the
/// order of the rows, so no more rows are locked than are taken.
async fn lock(session: &mut Session, consumer: &str, count_max: usize) -> Outcome<Vec<Taken>> {
    let sql = "SELECT id, origin, tbl, k FROM tl_outbox FORCE INDEX (tl_outbox_consumer) WHERE consumer = ? \
        ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED";
    let rows = session.run(sql, vec![consumer.into(), Wire::from(count_max as u64)]).await?.rows;
    let row = |row: &mysql_async::Row| Taken {
        id: integer(row, 0).unwrap_or(0),
        is_new: consumer.is_empty(),
        origin: written(row, 1),
        table: text(row, 2),
        written: written(row, 3),
    };
    Ok(rows.iter().map(row).collect())
}

async fn remove(session: &mut Session, rows: &[Taken]) -> Outcome<()> {
    let sql = format!("DELETE FROM tl_outbox WHERE id IN ({})", ids(rows));
    session.run_once(&sql, vec![]).await.map(drop)
}

fn written(row: &mysql_async::Row, place: usize) -> Option<String> {
    match row.as_ref(place) {
        Some(Wire::Bytes(_)) => Some(text(row, place)),
        _ => None,
    }
}
