// SPDX-License-Identifier: MIT OR Apache-2.0
//! Takes rows out of the outbox, within a transaction that stays open.

use throughline_core::News;

use super::super::cell::Wire;
use super::super::client::Session;
use super::super::map::Failure;
use super::poll::{Poll, text, wire};
use crate::sql::outbox::{ROW_COUNT_MAX, SWEEP_COUNT_MAX};

type Outcome<T> = std::result::Result<T, Failure>;

const COPY: &str = "INSERT INTO tl_outbox (consumer, origin, tbl, k, at) \
    SELECT $1::text, origin, tbl, k, at FROM tl_outbox \
    WHERE id = ANY ($2::int8[]) AND origin IS DISTINCT FROM $1::text ORDER BY id";

/// Rows that were taken.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) news: Vec<News>,
    pub(super) count: usize,
    pub(super) has_begun: bool,
}

/// A row of the outbox.
struct Row {
    id: i64,
    is_new: bool,
    origin: Option<String>,
    table: String,
    written: Option<String>,
}

impl Poll {
    /// Takes what no other daemon is taking. With `sweep` there is too much to be named row by row: then
    /// every table that is met is told as a whole.
    pub(super) async fn take_rows(&self, session: &Session, sweep: bool) -> Outcome<Rows> {
        session.command("BEGIN").await?;
        let count_max = if sweep { SWEEP_COUNT_MAX } else { ROW_COUNT_MAX };
        let mut rows = lock(session, self.consumer.name(), count_max).await?;
        if rows.len() < count_max {
            rows.extend(lock(session, "", count_max - rows.len()).await?);
        }
        if rows.is_empty() {
            session.command("ROLLBACK").await?;
            return Ok(Rows::default());
        }
        self.copy(session, &rows).await?;
        session.run("DELETE FROM tl_outbox WHERE id = ANY ($1::int8[])", &[ids(rows.iter())]).await?;
        let news = self.news_of(&rows, sweep);
        for piece in &news {
            if let News::Table { table, .. } = piece {
                // For daemons that share our cache and do not see the rows.
                let note = "UPDATE tl_table SET at = pg_catalog.clock_timestamp() WHERE tbl = $1";
                session.run(note, &[wire(table)]).await?;
            }
        }
        Ok(Rows { news, count: rows.len(), has_begun: true })
    }

    /// Copies new rows for the other consumers, who are read only now: one that registered before a row was
    /// committed is among them, and one that registered later has nothing older in its cache.
    async fn copy(&self, session: &Session, rows: &[Row]) -> Outcome<()> {
        let others = "SELECT name FROM tl_consumer WHERE name <> $1";
        let others = session.run(others, &[wire(self.consumer.name())]).await?;
        let new = || rows.iter().filter(|row| row.is_new);
        if new().next().is_none() {
            return Ok(());
        }
        for other in others {
            session.run(COPY, &[Wire::Text(text(&other, 0)), ids(new())]).await?;
        }
        Ok(())
    }

    /// The news of the rows that this consumer did not write itself.
    fn news_of(&self, rows: &[Row], sweep: bool) -> Vec<News> {
        let mut news: Vec<News> = Vec::new();
        for row in rows.iter().filter(|row| row.origin.as_deref() != Some(self.consumer.name())) {
            let written = row.written.as_deref().filter(|_| !sweep);
            let piece = self.keys.news(&row.table, written);
            if let Some(piece) = piece.filter(|piece| !news.contains(piece)) {
                news.push(piece);
            }
        }
        news
    }
}

/// Locks the first rows of `consumer` that nobody else has locked, in the order of its index.
async fn lock(session: &Session, consumer: &str, count_max: usize) -> Outcome<Vec<Row>> {
    let sql = "SELECT id, origin, tbl, k FROM tl_outbox WHERE consumer = $1 ORDER BY id LIMIT $2::int8 \
        FOR UPDATE SKIP LOCKED";
    let rows = session.run(sql, &[wire(consumer), Wire::Text(count_max.to_string())]).await?;
    let row = |row: &tokio_postgres::Row| Row {
        id: row.try_get(0).unwrap_or_default(),
        is_new: consumer.is_empty(),
        origin: row.try_get(1).unwrap_or_default(),
        table: text(row, 2),
        written: row.try_get(3).unwrap_or_default(),
    };
    Ok(rows.iter().map(row).collect())
}

fn ids<'r>(rows: impl Iterator<Item = &'r Row>) -> Wire {
    let ids: Vec<String> = rows.map(|row| row.id.to_string()).collect();
    Wire::Text(format!("{{{}}}", ids.join(",")))
}
