// SPDX-License-Identifier: MIT OR Apache-2.0
//! Takes rows out of the outbox, within a transaction that stays open.

use mysql_async::Value as Wire;
use throughline_core::News;

use super::super::catalogue::{integer, text};
use super::super::client::Session;
use super::super::map::Failure;
use super::poll::Poll;
use crate::sql::outbox::{ROW_COUNT_MAX, SWEEP_COUNT_MAX};

/// Rows that were taken.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) news: Vec<News>,
    pub(super) count: usize,
    pub(super) has_begun: bool,
}

/// A row of the outbox.
struct Row {
    id: u64,
    is_new: bool,
    origin: Option<String>,
    table: String,
    written: Option<String>,
}

impl Poll {
    /// Takes what no other daemon is taking. With `sweep` there is too much to be named row by row: then
    /// every table that is met is told as a whole.
    pub(super) async fn take_rows(
        &self,
        session: &mut Session,
        sweep: bool,
    ) -> std::result::Result<Rows, Failure> {
        session.command("START TRANSACTION").await?;
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
        remove(session, &rows).await?;
        let news =
            if sweep { self.tables_of(session, &rows).await? } else { self.news_of(session, &rows).await? };
        Ok(Rows { news, count: rows.len(), has_begun: true })
    }

    /// Copies new rows for the other consumers, who are read only now: see the module above.
    async fn copy(&self, session: &mut Session, rows: &[Row]) -> std::result::Result<(), Failure> {
        let others = "SELECT name FROM tl_consumer WHERE name <> ?";
        let others = session.run(others, vec![self.consumer.name().into()]).await?.rows;
        let new: Vec<&Row> = rows.iter().filter(|row| row.is_new).collect();
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

    /// The news of the rows that this consumer did not write itself.
    async fn news_of(&self, session: &mut Session, rows: &[Row]) -> std::result::Result<Vec<News>, Failure> {
        let mut news: Vec<News> = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| row.origin.as_deref() != Some(self.consumer.name())) {
            let piece = self.keys.news(&row.table, row.written.as_deref());
            if let Some(piece) = piece.filter(|piece| !news.contains(piece)) {
                news.push(piece);
            }
        }
        for piece in &news {
            if let News::Table { table, .. } = piece {
                note(session, table).await?;
            }
        }
        Ok(news)
    }

    async fn tables_of(
        &self,
        session: &mut Session,
        rows: &[Row],
    ) -> std::result::Result<Vec<News>, Failure> {
        let mut news = Vec::new();
        for table in self.keys.names() {
            if rows.iter().any(|row| row.table == **table) {
                note(session, table).await?;
                news.push(News::Table { table: table.clone(), age_ms: 0 });
            }
        }
        Ok(news)
    }
}

/// Notes that a table changed as a whole, for daemons that share our cache and do not see the rows.
async fn note(session: &mut Session, table: &str) -> std::result::Result<(), Failure> {
    let sql = "UPDATE tl_table SET at = NOW(6) WHERE tbl = ?";
    session.run(sql, vec![table.into()]).await.map(drop)
}

/// Locks the first rows of `consumer` that nobody else has locked. One consumer at a time: its index is in the
/// order of the rows, so no more rows are locked than are taken.
async fn lock(
    session: &mut Session,
    consumer: &str,
    count_max: usize,
) -> std::result::Result<Vec<Row>, Failure> {
    let sql = "SELECT id, origin, tbl, k FROM tl_outbox FORCE INDEX (tl_outbox_consumer) WHERE consumer = ? \
        ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED";
    let rows = session.run(sql, vec![consumer.into(), Wire::from(count_max as u64)]).await?.rows;
    let row = |row: &mysql_async::Row| Row {
        id: integer(row, 0).unwrap_or(0),
        is_new: consumer.is_empty(),
        origin: written(row, 1),
        table: text(row, 2),
        written: written(row, 3),
    };
    Ok(rows.iter().map(row).collect())
}

async fn remove(session: &mut Session, rows: &[Row]) -> std::result::Result<(), Failure> {
    let sql = format!("DELETE FROM tl_outbox WHERE id IN ({})", ids(rows.iter()));
    session.run_once(&sql, vec![]).await.map(drop)
}

fn ids<'r>(rows: impl Iterator<Item = &'r Row>) -> String {
    rows.map(|row| row.id.to_string()).collect::<Vec<_>>().join(",")
}

fn written(row: &mysql_async::Row, place: usize) -> Option<String> {
    match row.as_ref(place) {
        Some(Wire::Bytes(_)) => Some(text(row, place)),
        _ => None,
    }
}
