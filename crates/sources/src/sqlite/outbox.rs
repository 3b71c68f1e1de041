// SPDX-License-Identifier: MIT OR Apache-2.0
//! The news of an SQLite file: which rows other programs changed, as far as triggers tell.
//!
//! `PRAGMA data_version` tells that another program committed. The tables with triggers of ours then say which
//! rows it was; every other table may have changed anywhere. Rows are read and removed on the writing
//! thread, and only the daemon that owns the file does so.
//!
//! Our own writes fire the same triggers. The transaction that writes takes its own rows back before it commits: those
//! whose key is that of the write. What other triggers changed on the way stays, as news.

mod install;

use std::time::Duration;

use rusqlite::Connection;
use throughline_core::{Batch, BoxFuture, Effect, Feed, Key, News, Receipt, Result};
use tokio::sync::oneshot;

use super::plan::Plan;
use super::writer::{Job, Seen, Writer};
use super::{POLL, Shared, SqliteSource, closed};
use crate::sql::Table;
use crate::sql::outbox::{BACKLOG_MAX, Event, KeyMaps, OUTBOX, ROW_COUNT_MAX, trigger_name};

pub use install::{install_outbox, outbox_statements, remove_own};

/// How often the file is asked whether another program changed it.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// The feed of an SQLite file; see [`SqliteSource::feed`].
#[derive(Debug)]
pub struct SqliteFeed {
    shared: std::sync::Arc<Shared>,
}

/// What the writing thread found.
#[derive(Debug)]
pub(super) struct Found {
    news: Vec<News>,
    is_all: bool,
    lag_ms: u64,
    /// The last row of the outbox that was taken, if any was.
    last_id: Option<i64>,
}

impl SqliteSource {
    /// What other programs change in the file, a tenth of a second later. There is one: what it tells is told once.
    pub fn feed(&self) -> SqliteFeed {
        SqliteFeed { shared: self.shared.clone() }
    }

    /// The tables whose changes are told row by row.
    ///
    /// # Errors
    /// As for a load.
    pub async fn fed_tables(&self) -> Result<Vec<String>> {
        let (reply, answer) = oneshot::channel();
        self.shared.jobs.push_first(POLL, Job::Fed { reply })?;
        answer.await.map_err(|_| closed(POLL))
    }
}

impl Feed for SqliteFeed {
    fn wait(&self) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(POLL_EVERY))
    }

    fn take(&self) -> BoxFuture<'_, Result<Batch>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            // Behind the writes that wait it would come too late to be of use.
            self.shared.jobs.push_first(POLL, Job::Take { reply })?;
            let found = answer.await.unwrap_or_else(|_| Err(closed(POLL)))?;
            let receipt = SqliteReceipt { shared: self.shared.clone(), last_id: found.last_id };
            Ok(Batch {
                news: found.news,
                is_all: found.is_all,
                lag_ms: found.lag_ms,
                receipt: Box::new(receipt),
            })
        })
    }
}

#[derive(Debug)]
struct SqliteReceipt {
    shared: std::sync::Arc<Shared>,
    last_id: Option<i64>,
}

impl Receipt for SqliteReceipt {
    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let Some(last_id) = self.last_id else { return Ok(()) };
            let (reply, answer) = oneshot::channel();
            self.shared.jobs.push_first(POLL, Job::Remove { last_id, reply })?;
            answer.await.unwrap_or_else(|_| Err(closed(POLL)))
        })
    }
}

/// The tables with all triggers of ours, if this connection may remove what they write.
pub(super) fn fed(connection: &Connection, tables: &[super::SourceTable]) -> rusqlite::Result<KeyMaps> {
    let there = |kind: &str, name: &str| {
        let text = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2)";
        connection.query_row(text, [kind, name], |row| row.get::<_, bool>(0))
    };
    let mut fed: Vec<&Table> = Vec::new();
    if connection.is_readonly(rusqlite::MAIN_DB)? || !there("table", OUTBOX)? {
        return Ok(KeyMaps::default());
    }
    for table in tables.iter().map(|table| &table.table).filter(|table| table.unservable.is_none()) {
        let triggers = Event::ALL.map(|event| trigger_name(&table.name, event));
        if triggers
            .iter()
            .map(|name| there("trigger", name))
            .collect::<rusqlite::Result<Vec<_>>>()?
            .iter()
            .all(|there| *there)
        {
            fed.push(table);
        }
    }
    Ok(KeyMaps::new(fed))
}

impl Writer {
    /// What other programs changed since this was last asked.
    pub(super) fn take(&mut self) -> Result<Found> {
        let before = self.seen;
        let changed = self.poll()?;
        let fails = |cause| super::map::error(POLL, &self.file, cause);
        if self.seen.is_another_schema(&before) {
            self.fed = fed(&self.connection, &self.tables).map_err(fails)?;
        }
        let (mut found, waiting) = self.rows().map_err(fails)?;
        if waiting > BACKLOG_MAX {
            found = self.all_rows().map_err(fails)?;
        }
        if changed {
            let altered = self.seen.is_another_schema(&before);
            let names = self.tables.iter().map(|table| table.table.name.as_str());
            let whole = names.filter(|name| altered || !self.fed.contains(name));
            found.news.extend(whole.map(|name| News::Table { table: name.into(), age_ms: 0 }));
        }
        Ok(found)
    }

    /// The first rows of the outbox, and how many there are (not counted beyond what matters).
    fn rows(&self) -> rusqlite::Result<(Found, usize)> {
        let mut found = Found { news: Vec::new(), is_all: true, lag_ms: 0, last_id: None };
        if self.fed.names().next().is_none() {
            return Ok((found, 0));
        }
        let text =
            format!("SELECT id, tbl, k, {NOW_MS} - at FROM {OUTBOX} ORDER BY id LIMIT {ROW_COUNT_MAX}");
        let mut statement = self.connection.prepare_cached(&text)?;
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let (table, written): (String, Option<String>) = (row.get(1)?, row.get(2)?);
            found.news.extend(self.fed.news(&table, written.as_deref()));
            found.last_id = Some(row.get(0)?);
            found.lag_ms = found.lag_ms.max(row.get::<_, i64>(3)?.max(0).cast_unsigned());
            count += 1;
        }
        found.is_all = count < ROW_COUNT_MAX;
        if found.is_all {
            return Ok((found, count));
        }
        let text = format!("SELECT count(*) FROM (SELECT 1 FROM {OUTBOX} LIMIT {})", BACKLOG_MAX + 1);
        let waiting: i64 = self.connection.query_row(&text, [], |row| row.get(0))?;
        Ok((found, waiting.cast_unsigned() as usize))
    }

    /// Every row of the outbox at once, as news of whole tables.
    fn all_rows(&self) -> rusqlite::Result<Found> {
        let last = format!("SELECT max(id), {NOW_MS} - min(at) FROM {OUTBOX}");
        let (last_id, lag): (i64, i64) =
            self.connection.query_row(&last, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let text = format!("SELECT DISTINCT tbl FROM {OUTBOX} WHERE id <= ?1");
        let mut statement = self.connection.prepare_cached(&text)?;
        let tables = statement.query_map([last_id], |row| row.get::<_, String>(0))?;
        let tables = tables.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Found {
            news: tables.iter().filter_map(|table| self.fed.news(table, None)).collect(),
            is_all: true,
            lag_ms: lag.max(0).cast_unsigned(),
            last_id: Some(last_id),
        })
    }

    /// Removes what was taken. A row that comes later has a later number, because the last one is still there.
    pub(super) fn remove(&self, last_id: i64) -> Result<()> {
        let text = format!("DELETE FROM {OUTBOX} WHERE id <= ?1");
        let removed =
            self.connection.prepare_cached(&text).and_then(|mut statement| statement.execute([last_id]));
        removed.map(drop).map_err(|cause| super::map::error("confirm news", &self.file, cause))
    }

    /// The last row of the outbox before a write of ours; `None` when no trigger of ours is there.
    pub(super) fn outbox_end(&self) -> rusqlite::Result<Option<i64>> {
        if self.fed.names().next().is_none() {
            return Ok(None);
        }
        let text = format!("SELECT coalesce(max(id), 0) FROM {OUTBOX}");
        self.connection.prepare_cached(&text)?.query_row([], |row| row.get(0)).map(Some)
    }

    /// Takes back the rows behind `end` that tell of our own write, within its transaction.
    pub(super) fn take_own(&self, plan: &Plan, effects: &[Effect], end: i64) -> rusqlite::Result<()> {
        let written: Vec<&Key> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Stored { key, .. } | Effect::Deleted { key } => Some(key),
                Effect::Accepted { .. } | Effect::Refused(_) => None,
            })
            .collect();
        let text = format!("SELECT id, tbl, k FROM {OUTBOX} WHERE id > ?1");
        let mut statement = self.connection.prepare_cached(&text)?;
        let mut rows = statement.query([end])?;
        let mut own: Vec<i64> = Vec::new();
        while let Some(row) = rows.next()? {
            let (table, key): (String, Option<String>) = (row.get(1)?, row.get(2)?);
            let is_own = match self.fed.news(&table, key.as_deref()) {
                Some(News::Row { table, key }) => {
                    *table == *plan.mapping.table().name && written.contains(&&key)
                }
                Some(News::Table { .. }) => false,
                None => true,
            };
            if is_own {
                own.push(row.get(0)?);
            }
        }
        let text = format!("DELETE FROM {OUTBOX} WHERE id = ?1");
        let mut statement = self.connection.prepare_cached(&text)?;
        own.iter().try_for_each(|id| statement.execute([id]).map(drop))
    }
}

impl Seen {
    fn is_another_schema(&self, before: &Self) -> bool {
        self.schema != before.schema
    }
}

/// The present time as triggers write it: in every version of SQLite that another program may use.
const NOW_MS: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
