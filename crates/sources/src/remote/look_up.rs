// SPDX-License-Identifier: MIT OR Apache-2.0
//! Look-ups that wait to become one query, and the answers that they get from it.

use std::collections::HashMap;
use std::sync::Arc;

use throughline_core::{Canonical, Error, ErrorKind, Key, Loaded, Record, Result, Sent};
use tokio::sync::oneshot;

use crate::queue::Job;
use crate::sql::Value;

/// A key as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The canonical key, as far as it can be known without asking the server.
    pub(crate) key: Key,
    /// Whether that is the key that was asked for.
    pub(crate) canonical: bool,
    /// Its values.
    pub(crate) values: Vec<Value>,
}

impl Asked {
    /// `key`, as it was read.
    pub(crate) fn new(key: &Key, values: Vec<Value>, canonical: Canonical) -> Self {
        match canonical {
            Canonical::Same => Self { key: key.clone(), canonical: true, values },
            Canonical::Other(key) => Self { key, canonical: false, values },
        }
    }
}

/// One caller's look-up in the table of plan `P`.
#[derive(Debug)]
pub(crate) struct LookUp<P> {
    pub(crate) plan: Arc<P>,
    pub(crate) keys: Vec<Asked>,
    pub(crate) fill: bool,
    pub(crate) sent: Sent,
    pub(crate) reply: oneshot::Sender<Result<Vec<Loaded>>>,
}

impl<P: Send + Sync + 'static> Job for LookUp<P> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn weight(&self) -> usize {
        self.keys.len()
    }

    fn joins(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan) && self.fill == other.fill
    }

    fn refuse(self, error: Error) {
        // A caller that left needs no answer, here and below.
        let _ = self.reply.send(Err(error));
    }
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) struct Found {
    /// The record, if there is one.
    pub(crate) record: Option<Record>,
    /// Whether no transaction held its lock when it was read.
    pub(crate) probed: bool,
    /// Whether the key is the stored row's own, or there is surely no row that it could mean.
    pub(crate) exact: bool,
}

/// A row's own key, if it can be spelled, and its record.
pub(crate) type KeyedRow = (Option<Key>, Record);

impl Found {
    /// What the only row for `key` says.
    pub(crate) fn alone(key: &Key, row: Option<KeyedRow>, probed: bool, is_exact: bool) -> Self {
        match row {
            Some((stored, record)) => {
                Self { exact: stored.as_ref() == Some(key), record: Some(record), probed }
            }
            None => Self { record: None, probed, exact: is_exact },
        }
    }
}

/// Answers each caller from what was found.
pub(crate) fn answer_all<P>(batch: Vec<LookUp<P>>, found: &HashMap<Key, Found>) {
    for look_up in batch {
        let loaded = |asked: &Asked| {
            let found = &found[&asked.key];
            Loaded {
                record: found.record.clone(),
                fillable: look_up.fill && found.probed && found.exact && asked.canonical,
            }
        };
        let loaded = look_up.keys.iter().map(loaded).collect();
        let _ = look_up.reply.send(Ok(loaded));
    }
}

/// Answers each caller of a batch on `table` with the error of its statement.
pub(crate) fn refuse_all<P: Send + Sync + 'static>(batch: Vec<LookUp<P>>, table: &str, error: &Error) {
    let error = match error.kind() {
        // A look-up has no values but those of its key.
        ErrorKind::InvalidValue => {
            let detail = format!("table `{table}`: no row can have it");
            Error::new(ErrorKind::InvalidKey, error.operation(), detail)
        }
        _ => error.clone(),
    };
    for look_up in batch {
        look_up.refuse(error.clone());
    }
}
