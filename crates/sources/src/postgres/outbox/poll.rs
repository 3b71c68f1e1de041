// SPDX-License-Identifier: MIT OR Apache-2.0
//! One look at the outbox: who consumes, what waits, what changed as a whole.

use std::time::Duration;

use throughline_core::Result;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::super::cell::Wire;
use super::super::client::Session;
use super::super::map::Failure;
use super::error;
use crate::remote::triggers_gone;
use crate::sql::Consumer;
use crate::sql::outbox::{BACKLOG_MAX, KeyMaps, Look, Memory, Noted, Rows, Waiting};

type Outcome<T> = std::result::Result<T, Failure>;

/// How often a consumer says that it is alive.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// How often the catalogue is looked at for altered tables.
const SHAPES_EVERY: Duration = Duration::from_secs(1);

const REGISTER: &str = "INSERT INTO tl_consumer (name) VALUES ($1) \
    ON CONFLICT (name) DO UPDATE SET seen = pg_catalog.clock_timestamp()";
/// A minute is long beside a pause of a daemon, and short beside what piles up meanwhile.
const FORGET: &str =
    "DELETE FROM tl_consumer WHERE seen < pg_catalog.clock_timestamp() - interval '60 seconds'";
const ORPHANS: &str = "SELECT DISTINCT o.consumer FROM tl_outbox o WHERE o.consumer <> '' \
    AND NOT EXISTS (SELECT FROM tl_consumer c WHERE c.name = o.consumer)";
const REMOVE_ORPHANS: &str = "DELETE FROM tl_outbox WHERE id IN \
    (SELECT id FROM tl_outbox WHERE consumer = $1 ORDER BY id LIMIT 10000)";
const TABLES: &str = "SELECT tbl, at::text, (extract(epoch FROM pg_catalog.clock_timestamp() - at) * 1000)::int8 \
    FROM tl_table WHERE at IS NOT NULL";
/// The shape of every fed table, and how many of our four triggers fire.
const SHAPES: &str = "SELECT t.tbl, t.shape <> s.shape, s.shape, s.triggers FROM tl_table t CROSS JOIN LATERAL \
    (SELECT (SELECT pg_catalog.md5(COALESCE(pg_catalog.string_agg(pg_catalog.concat_ws(',', a.attnum, a.attname, \
        a.atttypid, a.atttypmod, a.attcollation), ';' ORDER BY a.attnum), '')) \
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.rel AND a.attnum > 0 AND NOT a.attisdropped) AS shape, \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger g WHERE g.tgrelid = t.rel AND g.tgname LIKE 'tl\\_%' \
        AND g.tgenabled <> 'D') AS triggers) s ORDER BY t.tbl";
const NOTE_SHAPE: &str =
    "UPDATE tl_table SET shape = $2, at = pg_catalog.clock_timestamp() WHERE tbl = $1 AND shape <> $2";
/// Insert, update, delete, truncate.
const TRIGGER_COUNT: i64 = 4;

/// Looks at the outbox for one consumer.
#[derive(Debug)]
pub(super) struct Poll {
    pub(super) memory: Memory,
    next_beat: Option<Instant>,
    next_shapes: Option<Instant>,
}

impl Poll {
    pub(super) fn new(keys: KeyMaps, consumer: Consumer) -> Self {
        let memory = Memory::new(keys, consumer);
        Self { memory, next_beat: None, next_shapes: None }
    }

    /// Looks, and takes what there is in a transaction that is left open.
    pub(super) async fn take(&mut self, session: &Session) -> Result<Look> {
        self.memory.begin();
        if self.next_shapes.is_none_or(|next| next <= Instant::now()) {
            self.shapes(session).await?;
        }
        self.look(session).await.map_err(|failure| error(&failure))
    }

    async fn look(&mut self, session: &Session) -> Outcome<Look> {
        if self.next_beat.is_none_or(|next| next <= Instant::now()) {
            self.beat(session).await?;
        }
        let waiting = match self.waiting(session).await? {
            Some(waiting) => waiting,
            None => {
                // Somebody took us for dead.
                self.beat(session).await?;
                self.waiting(session).await?.unwrap_or_else(Waiting::unknown)
            }
        };
        let whole = self.memory.whole_tables(&waiting, noted(session).await?);
        let rows = match waiting.count {
            0 => Rows::default(),
            _ => self.take_rows(session, waiting.is_backlog()).await?,
        };
        let has_begun = rows.count > 0;
        let look = Look::new(&waiting, whole, rows);
        if look.is_held && !has_begun {
            session.command("BEGIN").await?;
        }
        Ok(look)
    }

    /// Says that this consumer is alive, and forgets those that are not.
    async fn beat(&mut self, session: &Session) -> Outcome<()> {
        session.run(REGISTER, &[wire(self.memory.consumer.name())]).await?;
        session.run(FORGET, &[]).await?;
        for row in session.run(ORPHANS, &[]).await? {
            session.run(REMOVE_ORPHANS, &[Wire::Text(text(&row, 0))]).await?;
        }
        self.next_beat = Some(Instant::now() + BEAT_EVERY);
        Ok(())
    }

    /// How much waits; `None` when this consumer is not registered. It does not wait for locks, so it counts what
    /// another daemon is just taking.
    async fn waiting(&self, session: &Session) -> Outcome<Option<Waiting>> {
        let count = |consumer| {
            format!(
                "(SELECT pg_catalog.count(*) FROM (SELECT FROM tl_outbox WHERE consumer = {consumer} LIMIT {}) x)",
                BACKLOG_MAX + 1
            )
        };
        let lag = |consumer| {
            format!(
                "COALESCE((extract(epoch FROM pg_catalog.clock_timestamp() - (SELECT at FROM tl_outbox \
                 WHERE consumer = {consumer} ORDER BY id LIMIT 1)) * 1000)::int8, 0)"
            )
        };
        let sql = format!(
            "SELECT since::text, (extract(epoch FROM pg_catalog.clock_timestamp() - since) * 1000)::int8, \
             {} + {}, GREATEST({}, {}) FROM tl_consumer WHERE name = $1",
            count("''"),
            count("$1"),
            lag("''"),
            lag("$1"),
        );
        let rows = session.run(&sql, &[wire(self.memory.consumer.name())]).await?;
        Ok(rows.first().map(|row| Waiting {
            since: text(row, 0),
            since_ms: number(row, 1),
            count: number(row, 2) as usize,
            lag_ms: number(row, 3),
        }))
    }

    /// Notes altered tables.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::Configuration`] when triggers of ours are gone: then news are missed.
    async fn shapes(&mut self, session: &Session) -> Result<()> {
        for row in session.run(SHAPES, &[]).await.map_err(|failure| error(&failure))? {
            let table = text(&row, 0);
            if !self.memory.keys.contains(&table) {
                continue;
            }
            if row.try_get::<_, i64>(3).ok() != Some(TRIGGER_COUNT) {
                return Err(triggers_gone(&table));
            }
            if row.try_get(1).unwrap_or(true) {
                let values = [Wire::Text(table), Wire::Text(text(&row, 2))];
                session.run(NOTE_SHAPE, &values).await.map_err(|failure| error(&failure))?;
            }
        }
        self.next_shapes = Some(Instant::now() + SHAPES_EVERY);
        Ok(())
    }
}

/// When tables changed as a whole.
async fn noted(session: &Session) -> Outcome<Vec<Noted>> {
    let noted = |row: &Row| Noted { table: text(row, 0), at: text(row, 1), age_ms: number(row, 2) };
    Ok(session.run(TABLES, &[]).await?.iter().map(noted).collect())
}

/// The tables with all triggers of ours; none without an outbox.
pub(super) async fn fed(session: &Session) -> Outcome<Vec<String>> {
    let there = "SELECT pg_catalog.to_regclass('tl_table') IS NOT NULL \
        AND pg_catalog.has_table_privilege(pg_catalog.to_regclass('tl_table'), 'SELECT')";
    let rows = session.run(there, &[]).await?;
    if !rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
        return Ok(Vec::new());
    }
    let rows = session.run(SHAPES, &[]).await?;
    let complete = |row: &&Row| row.try_get::<_, i64>(3).ok() == Some(TRIGGER_COUNT);
    Ok(rows.iter().filter(complete).map(|row| text(row, 0)).collect())
}

pub(super) fn wire(text: &str) -> Wire {
    Wire::Text(text.to_owned())
}

pub(super) fn text(row: &Row, place: usize) -> String {
    row.try_get::<_, Option<String>>(place).ok().flatten().unwrap_or_default()
}

pub(super) fn number(row: &Row, place: usize) -> u64 {
    row.try_get::<_, i64>(place).ok().and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}
