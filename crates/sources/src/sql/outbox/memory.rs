// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a consumer remembers from one look at its outbox to the next, and what follows from what a look finds.

use std::collections::HashMap;
use std::sync::Arc;

use throughline_core::News;

use super::{BACKLOG_MAX, Consumer, KeyMaps};

/// What waits for a consumer.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// When the consumer was registered, as the database spells it; another time means that it was forgotten.
    pub(crate) since: String,
    pub(crate) since_ms: u64,
    /// How many rows, not counted far beyond what matters.
    pub(crate) count: usize,
    /// The age of the oldest.
    pub(crate) lag_ms: u64,
}

impl Waiting {
    /// For a consumer that cannot stay registered: its news are not to be relied on, so everything may be wrong.
    pub(crate) fn unknown() -> Self {
        Self { since: "unknown".to_owned(), since_ms: 0, count: 0, lag_ms: 0 }
    }

    /// Whether so much waits that its tables are told as a whole.
    pub(crate) fn is_backlog(&self) -> bool {
        self.count > BACKLOG_MAX
    }
}

/// A note that a table changed as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) table: String,
    /// When, as the database spells it.
    pub(crate) at: String,
    pub(crate) age_ms: u64,
}

/// A row that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) id: u64,
    /// Whether nobody took it before, so that other consumers want it too.
    pub(crate) is_new: bool,
    /// The consumer for which the row was written.
    pub(crate) origin: Option<String>,
    pub(crate) table: String,
    /// The row's key, as a trigger wrote it.
    pub(crate) written: Option<String>,
}

/// The numbers of rows, joined by commas.
pub(crate) fn ids<'t>(rows: impl IntoIterator<Item = &'t Taken>) -> String {
    rows.into_iter().map(|row| row.id.to_string()).collect::<Vec<_>>().join(",")
}

/// What was taken.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// How many rows; with none of them, no transaction is open.
    pub(crate) count: usize,
    pub(crate) news: Vec<News>,
}

/// What a look brought.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) news: Vec<News>,
    pub(crate) is_all: bool,
    pub(crate) lag_ms: u64,
    /// Whether it needs a transaction that waits for a decision: what is not confirmed must come again.
    pub(crate) is_held: bool,
}

impl Look {
    /// What follows from news of `whole` tables and from `rows`, out of what waits.
    pub(crate) fn new(waiting: &Waiting, whole: Vec<News>, rows: Rows) -> Self {
        Self {
            is_all: rows.count >= waiting.count && !waiting.is_backlog(),
            lag_ms: waiting.lag_ms,
            is_held: rows.count > 0 || !whole.is_empty(),
            news: whole.into_iter().chain(rows.news).collect(),
        }
    }
}

/// What is remembered from one look to the next.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) keys: KeyMaps,
    pub(crate) consumer: Consumer,
    /// When this consumer was registered, as the database spells it.
    since: Option<String>,
    /// When each table last changed as a whole, as the database spells it.
    changed: HashMap<Arc<str>, String>,
    /// What `since` and `changed` become when the news are confirmed.
    told: Option<(String, HashMap<Arc<str>, String>)>,
}

impl Memory {
    pub(crate) fn new(keys: KeyMaps, consumer: Consumer) -> Self {
        Self { keys, consumer, since: None, changed: HashMap::new(), told: None }
    }

    /// Begins a look: what an earlier one told and was never confirmed is told again.
    pub(crate) fn begin(&mut self) {
        self.told = None;
    }

    /// News of whole tables: that this consumer is new or was forgotten, and what changed since the last look.
    pub(crate) fn whole_tables(
        &mut self,
        waiting: &Waiting,
        noted: impl IntoIterator<Item = Noted>,
    ) -> Vec<News> {
        let mut news = Vec::new();
        let mut changed = HashMap::new();
        if self.since.as_ref() != Some(&waiting.since) {
            let all = self.keys.names().cloned();
            news.extend(all.map(|table| News::Table { table, age_ms: waiting.since_ms }));
        }
        for noted in noted {
            let Some(table) = self.keys.names().find(|table| ***table == *noted.table) else { continue };
            if self.changed.get(table) != Some(&noted.at) {
                news.push(News::Table { table: table.clone(), age_ms: noted.age_ms });
            }
            changed.insert(table.clone(), noted.at);
        }
        self.told = Some((waiting.since.clone(), changed));
        news
    }

    /// The news of the rows that this consumer did not write itself. With `sweep` every table that is met is told
    /// as a whole.
    pub(crate) fn news_of(&self, rows: &[Taken], sweep: bool) -> Vec<News> {
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

    /// Remembers what was told, because it was confirmed.
    pub(crate) fn confirm(&mut self) {
        if let Some((since, changed)) = self.told.take() {
            self.since = Some(since);
            self.changed = changed;
        }
    }
}

#[cfg(test)]
mod tests;
