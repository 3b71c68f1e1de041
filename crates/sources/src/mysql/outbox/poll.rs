// SPDX-License-Identifier: MIT OR Apache-2.0
//! One look at the outbox: who consumes, what waits, what changed as a whole.

use std::time::Duration;

use mysql_async::{Row, Value as Wire};
use throughline_core::Result;
use tokio::time::Instant;

use super::super::catalogue::{integer, text};
use super::super::client::Session;
use super::super::map::Failure;
use super::error;
use crate::sql::Consumer;
use crate::sql::outbox::{BACKLOG_MAX, KeyMaps, Look, Memory, Noted, Rows, Waiting};

mod shape;

use shape::Shapes;

type Outcome<T> = std::result::Result<T, Failure>;

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

/// Looks at the outbox for one consumer.
#[derive(Debug)]
pub(super) struct Poll {
    pub(super) memory: Memory,
    shapes: Shapes,
    next_beat: Option<Instant>,
}

impl Poll {
    pub(super) fn new(keys: KeyMaps, consumer: Consumer) -> Self {
        let memory = Memory::new(keys, consumer);
        Self { memory, shapes: Shapes::default(), next_beat: None }
    }

    /// Looks, and takes what there is in a transaction that is left open.
    pub(super) async fn take(&mut self, session: &mut Session, database: &str) -> Result<Look> {
        self.memory.begin();
        if self.shapes.is_due() {
            self.shapes.look(session, database, &self.memory.keys).await?;
        }
        self.look(session).await.map_err(|failure| error(&failure))
    }

    async fn look(&mut self, session: &mut Session) -> Outcome<Look> {
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
            session.command("START TRANSACTION").await?;
        }
        Ok(look)
    }

    /// Says that this consumer is alive, and forgets those that are not.
    async fn beat(&mut self, session: &mut Session) -> Outcome<()> {
        session.run(REGISTER, vec![self.memory.consumer.name().into()]).await?;
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
    async fn waiting(&self, session: &mut Session) -> Outcome<Option<Waiting>> {
        let count = "(SELECT COUNT(*) FROM (SELECT 1 FROM tl_outbox WHERE consumer = ? LIMIT ?) x)";
        let lag = "COALESCE(TIMESTAMPDIFF(MICROSECOND, \
            (SELECT at FROM tl_outbox WHERE consumer = ? ORDER BY id LIMIT 1), NOW(6)), 0)";
        let sql = format!(
            "SELECT CAST(since AS CHAR), TIMESTAMPDIFF(MICROSECOND, since, NOW(6)), {count} + {count}, \
             GREATEST({lag}, {lag}) FROM tl_consumer WHERE name = ?"
        );
        let name = || Wire::from(self.memory.consumer.name());
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
}

/// When tables changed as a whole.
async fn noted(session: &mut Session) -> Outcome<Vec<Noted>> {
    let noted = |row: &Row| Noted {
        table: text(row, 0),
        at: text(row, 1),
        age_ms: integer(row, 2).unwrap_or(0) / 1_000,
    };
    Ok(session.run(TABLES, vec![]).await?.rows.iter().map(noted).collect())
}

/// The tables with triggers of ours; none without an outbox. Triggers are only shown to accounts with the TRIGGER
/// right; one that sees none has to believe what the outbox says.
pub(super) async fn fed(session: &mut Session, database: &str) -> Outcome<Vec<String>> {
    let listed = match session.run("SELECT tbl FROM tl_table ORDER BY tbl", vec![]).await {
        Ok(answer) => answer.rows,
        Err(Failure::Server { code: 1142 | 1146, .. }) => return Ok(Vec::new()),
        Err(failure) => return Err(failure),
    };
    let triggers = shape::triggers(session, database).await?;
    let complete = |name: &String| triggers.is_empty() || triggers.get(name.as_str()) == Some(&3);
    Ok(listed.iter().map(|row| text(row, 0)).filter(complete).collect())
}
