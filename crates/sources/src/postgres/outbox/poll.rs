// SPDX-License-Identifier: MIT OR Apache-2.0
//! One look at the outbox: who consumes, what waits, what changed as a whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Error, ErrorKind, News, Result};
use tokio::time::Instant;
use tokio_postgres::Row;

use super::super::cell::Wire;
use super::super::client::Session;
use super::super::map::Failure;
use super::{TAKE, error};
use crate::sql::Consumer;
use crate::sql::outbox::{BACKLOG_MAX, KeyMaps};

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

/// What is remembered from one look to the next.
#[derive(Debug)]
pub(super) struct Poll {
    pub(super) keys: KeyMaps,
    pub(super) consumer: Consumer,
    /// When this consumer was registered, as the database spells it; another time means that it was forgotten.
    since: Option<String>,
    /// When each table last changed as a whole, as the database spells it.
    changed: HashMap<Arc<str>, String>,
    /// What `since` and `changed` become when the batch is confirmed.
    told: Option<(String, HashMap<Arc<str>, String>)>,
    next_beat: Option<Instant>,
    next_shapes: Option<Instant>,
}

/// What a look brought.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) news: Vec<News>,
    pub(super) is_all: bool,
    pub(super) lag_ms: u64,
    /// Whether a transaction is open that waits for a decision.
    pub(super) has_begun: bool,
}

/// How much waits for a consumer.
struct Waiting {
    since: String,
    since_ms: u64,
    count: usize,
    lag_ms: u64,
}

impl Poll {
    pub(super) fn new(keys: KeyMaps, consumer: Consumer) -> Self {
        Self {
            keys,
            consumer,
            since: None,
            changed: HashMap::new(),
            told: None,
            next_beat: None,
            next_shapes: None,
        }
    }

    /// Looks, and takes what there is in a transaction that is left open.
    pub(super) async fn take(&mut self, session: &Session) -> Result<Taken> {
        self.told = None;
        if self.next_shapes.is_none_or(|next| next <= Instant::now()) {
            self.shapes(session).await?;
        }
        self.look(session).await.map_err(|failure| error(&failure))
    }

    /// Remembers what was told, because it was confirmed.
    pub(super) fn confirm(&mut self) {
        if let Some((since, changed)) = self.told.take() {
            self.since = Some(since);
            self.changed = changed;
        }
    }

    async fn look(&mut self, session: &Session) -> Outcome<Taken> {
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
        let mut news = self.whole_tables(session, &waiting).await?;
        let mut taken = Taken { is_all: waiting.count == 0, lag_ms: waiting.lag_ms, ..Taken::default() };
        if waiting.count > 0 {
            let sweep = waiting.count > BACKLOG_MAX;
            let rows = self.take_rows(session, sweep).await?;
            taken.has_begun = rows.has_begun;
            taken.is_all = rows.count >= waiting.count && !sweep;
            news.extend(rows.news);
        }
        if !news.is_empty() && !taken.has_begun {
            session.command("BEGIN").await?;
            taken.has_begun = true;
        }
        taken.news = news;
        Ok(taken)
    }

    /// Says that this consumer is alive, and forgets those that are not.
    async fn beat(&mut self, session: &Session) -> Outcome<()> {
        session.run(REGISTER, &[wire(self.consumer.name())]).await?;
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
        let rows = session.run(&sql, &[wire(self.consumer.name())]).await?;
        Ok(rows.first().map(|row| Waiting {
            since: text(row, 0),
            since_ms: number(row, 1),
            count: number(row, 2) as usize,
            lag_ms: number(row, 3),
        }))
    }

    /// News of whole tables: that this consumer is new or was forgotten, and what changed since the last look.
    async fn whole_tables(&mut self, session: &Session, waiting: &Waiting) -> Outcome<Vec<News>> {
        let mut news = Vec::new();
        let mut changed = HashMap::new();
        if self.since.as_ref() != Some(&waiting.since) {
            let all = self.keys.names().cloned();
            news.extend(all.map(|table| News::Table { table, age_ms: waiting.since_ms }));
        }
        for row in session.run(TABLES, &[]).await? {
            let (name, at) = (text(&row, 0), text(&row, 1));
            let Some(table) = self.keys.names().find(|table| ***table == *name) else { continue };
            if self.changed.get(table) != Some(&at) {
                news.push(News::Table { table: table.clone(), age_ms: number(&row, 2) });
            }
            changed.insert(table.clone(), at);
        }
        self.told = Some((waiting.since.clone(), changed));
        Ok(news)
    }

    /// Notes altered tables.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when triggers of ours are gone: then news are missed.
    async fn shapes(&mut self, session: &Session) -> Result<()> {
        for row in session.run(SHAPES, &[]).await.map_err(|failure| error(&failure))? {
            let table = text(&row, 0);
            if !self.keys.contains(&table) {
                continue;
            }
            if row.try_get::<_, i64>(3).ok() != Some(TRIGGER_COUNT) {
                let detail = format!(
                    "triggers of the outbox on `{table}` are gone: `throughline init URL --outbox {table}` makes them anew"
                );
                return Err(Error::new(ErrorKind::Configuration, TAKE, detail));
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

impl Waiting {
    /// For a consumer that cannot stay registered: its news are not to be relied on, so everything may be wrong.
    fn unknown() -> Self {
        Self { since: "unknown".to_owned(), since_ms: 0, count: 0, lag_ms: 0 }
    }
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

fn number(row: &Row, place: usize) -> u64 {
    row.try_get::<_, i64>(place).ok().and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}
