// SPDX-License-Identifier: MIT OR Apache-2.0
//! One look at the outbox: who consumes, what waits, what changed as a whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::Value as Wire;
use throughline_core::{News, Result};
use tokio::time::Instant;

use super::super::catalogue::{integer, text};
use super::super::client::Session;
use super::super::map::Failure;
use super::error;
use crate::sql::Consumer;
use crate::sql::outbox::{BACKLOG_MAX, KeyMaps};

mod shape;

use shape::Shapes;

/// How often a consumer says that it is alive.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// Rows of a forgotten consumer that are removed at a time.
const FORGET_COUNT_MAX: usize = 10_000;

const REGISTER: &str = "INSERT INTO tl_consumer (name, since, seen) VALUES (?, NOW(6), NOW(6)) \
    ON DUPLICATE KEY UPDATE seen = NOW(6)";
/// A minute is long beside a pause of a daemon, and short beside what piles up meanwhile.
const FORGET: &str = "DELETE FROM tl_consumer WHERE seen < NOW(6) - INTERVAL 60 SECOND";
const ORPHANS: &str = "SELECT DISTINCT o.consumer FROM tl_outbox o LEFT JOIN tl_consumer c ON c.name = o.consumer \
    WHERE o.consumer <> '' AND c.name IS NULL";
const TABLES: &str = "SELECT tbl, CAST(at AS CHAR), TIMESTAMPDIFF(MICROSECOND, at, NOW(6)) FROM tl_table \
    WHERE at IS NOT NULL";

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
    shapes: Shapes,
    next_beat: Option<Instant>,
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
            shapes: Shapes::default(),
            next_beat: None,
        }
    }

    /// Looks, and takes what there is in a transaction that is left open.
    pub(super) async fn take(&mut self, session: &mut Session, database: &str) -> Result<Taken> {
        self.told = None;
        if self.shapes.is_due() {
            self.shapes.look(session, database, &self.keys).await?;
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

    async fn look(&mut self, session: &mut Session) -> std::result::Result<Taken, Failure> {
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
            session.command("START TRANSACTION").await?;
            taken.has_begun = true;
        }
        taken.news = news;
        Ok(taken)
    }

    /// Says that this consumer is alive, and forgets those that are not.
    async fn beat(&mut self, session: &mut Session) -> std::result::Result<(), Failure> {
        session.run(REGISTER, vec![self.consumer.name().into()]).await?;
        session.run(FORGET, vec![]).await?;
        for row in session.run(ORPHANS, vec![]).await?.rows {
            let remove = format!("DELETE FROM tl_outbox WHERE consumer = ? LIMIT {FORGET_COUNT_MAX}");
            session.run(&remove, vec![text(&row, 0).into()]).await?;
        }
        self.next_beat = Some(Instant::now() + BEAT_EVERY);
        Ok(())
    }

    /// How much waits; `None` when this consumer is not registered. It does not wait for locks, so it counts what
    /// another daemon is just taking.
    async fn waiting(&self, session: &mut Session) -> std::result::Result<Option<Waiting>, Failure> {
        let count = "(SELECT COUNT(*) FROM (SELECT 1 FROM tl_outbox WHERE consumer = ? LIMIT ?) x)";
        let lag = "COALESCE(TIMESTAMPDIFF(MICROSECOND, \
            (SELECT at FROM tl_outbox WHERE consumer = ? ORDER BY id LIMIT 1), NOW(6)), 0)";
        let sql = format!(
            "SELECT CAST(since AS CHAR), TIMESTAMPDIFF(MICROSECOND, since, NOW(6)), {count} + {count}, \
             GREATEST({lag}, {lag}) FROM tl_consumer WHERE name = ?"
        );
        let name = || Wire::from(self.consumer.name());
        let limit = || Wire::from(BACKLOG_MAX as u64 + 1);
        let new = || Wire::from("");
        let values = vec![new(), limit(), name(), limit(), new(), name(), name()];
        let rows = session.run(&sql, values).await?.rows;
        Ok(rows.first().map(|row| Waiting {
            since: text(row, 0),
            since_ms: integer(row, 1).unwrap_or(0) / 1_000,
            count: integer(row, 2).unwrap_or(0) as usize,
            lag_ms: integer(row, 3).unwrap_or(0) / 1_000,
        }))
    }

    /// News of whole tables: that this consumer is new or was forgotten, and what changed since the last look.
    async fn whole_tables(
        &mut self,
        session: &mut Session,
        waiting: &Waiting,
    ) -> std::result::Result<Vec<News>, Failure> {
        let mut news = Vec::new();
        let mut changed = HashMap::new();
        if self.since.as_ref() != Some(&waiting.since) {
            let all = self.keys.names().cloned();
            news.extend(all.map(|table| News::Table { table, age_ms: waiting.since_ms }));
        }
        for row in session.run(TABLES, vec![]).await?.rows {
            let (name, at) = (text(&row, 0), text(&row, 1));
            let Some(table) = self.keys.names().find(|table| ***table == *name) else { continue };
            if self.changed.get(table) != Some(&at) {
                let age_ms = integer(&row, 2).unwrap_or(0) / 1_000;
                news.push(News::Table { table: table.clone(), age_ms });
            }
            changed.insert(table.clone(), at);
        }
        self.told = Some((waiting.since.clone(), changed));
        Ok(news)
    }
}

impl Waiting {
    /// For a consumer that cannot stay registered: its news are not to be relied on, so everything may be wrong.
    fn unknown() -> Self {
        Self { since: "unknown".to_owned(), since_ms: 0, count: 0, lag_ms: 0 }
    }
}

/// The tables with triggers of ours; none without an outbox. Triggers are only shown to accounts with the TRIGGER
/// right; one that sees none has to believe what the outbox says.
pub(super) async fn fed(session: &mut Session, database: &str) -> std::result::Result<Vec<String>, Failure> {
    let listed = match session.run("SELECT tbl FROM tl_table ORDER BY tbl", vec![]).await {
        Ok(answer) => answer.rows,
        Err(Failure::Server { code: 1142 | 1146, .. }) => return Ok(Vec::new()),
        Err(failure) => return Err(failure),
    };
    let triggers = shape::triggers(session, database).await?;
    let complete = |name: &String| triggers.is_empty() || triggers.get(name.as_str()) == Some(&3);
    Ok(listed.iter().map(|row| text(row, 0)).filter(complete).collect())
}
