// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source in memory, with locks like a database's.

mod drain;
mod open;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use throughline_core::{
    BoxFuture, Canonical, Change, Condition, Effect, Error, ErrorKind, Intent, Key, Loaded, Loader, Prepared,
    Record, Refusal, Result, Target, Write, Writer,
};
use tokio::sync::{Notify, watch};

/// How long a writer waits for another's lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// A map that is read and written like a database: writers hold a key's lock until they commit, loads
/// probe it before their snapshot. Keys that begin with `0` are not canonical, as with integers.
#[derive(Clone, Debug)]
pub struct MapSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    unlocked: Notify,
    loads: AtomicU64,
    prepares: AtomicU64,
    commits: AtomicU64,
    /// Loads wait between probe and snapshot while this is `false`.
    reads_open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Key, Record>,
    locked: HashSet<Key>,
    unavailable: bool,
    /// The value that no row may have, and what a write of it is told.
    refused: Option<(String, ErrorKind)>,
    /// What the next commit answers, and whether it takes place nevertheless.
    next_commit: Option<(ErrorKind, bool)>,
    /// Whether the next commit takes place and never answers.
    next_answer_lost: bool,
    created: u64,
    lanes: drain::Lanes,
}

impl Default for MapSource {
    fn default() -> Self {
        let inner = Inner {
            state: Mutex::default(),
            unlocked: Notify::new(),
            loads: AtomicU64::new(0),
            prepares: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            reads_open: watch::Sender::new(true),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl MapSource {
    /// A map with these rows.
    pub fn with_rows<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let source = Self::default();
        rows.into_iter().for_each(|(key, value)| source.change_behind(key, Some(value)));
        source
    }

    /// Calls for reading so far (a bulk load is one).
    pub fn loads(&self) -> u64 {
        self.inner.loads.load(Ordering::SeqCst)
    }

    /// Transactions of writers that were prepared or failed to be.
    pub fn prepares(&self) -> u64 {
        self.inner.prepares.load(Ordering::SeqCst)
    }

    /// Transactions of writers whose commit was asked for.
    pub fn commits(&self) -> u64 {
        self.inner.commits.load(Ordering::SeqCst)
    }

    /// Makes writes of `value` fail with `kind`.
    pub fn refuse_value(&self, value: &str, kind: ErrorKind) {
        self.state().refused = Some((value.to_owned(), kind));
    }

    /// Changes a row as another program would.
    pub fn change_behind(&self, key: &str, value: Option<&str>) {
        let key = Key::parse(key).expect("a key");
        let mut state = self.state();
        match value {
            Some(value) => drop(state.rows.insert(key, Record::from_content(value.to_owned()))),
            None => drop(state.rows.remove(&key)),
        }
    }

    /// The value of a row.
    pub fn row(&self, key: &str) -> Option<String> {
        let key = Key::parse(key).expect("a key");
        self.state().rows.get(&key).map(|record| String::from_utf8_lossy(&record.value).into_owned())
    }

    /// Stops loads between probe and snapshot, or lets them go on.
    pub fn open_reads(&self, open: bool) {
        self.inner.reads_open.send_replace(open);
    }

    /// Makes every call fail as if the server were gone, or work again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.state().unavailable = unavailable;
    }

    /// Makes the next commit answer `kind`; `applied` says whether it takes place nevertheless.
    pub fn fail_next_commit(&self, kind: ErrorKind, applied: bool) {
        self.state().next_commit = Some((kind, applied));
    }

    /// Makes the next commit take place without ever answering.
    pub fn lose_next_commit_answer(&self) {
        self.state().next_answer_lost = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().expect("no test panics while it holds the rows")
    }

    fn check(&self, operation: &'static str) -> Result<()> {
        let gone = || Error::new(ErrorKind::Unavailable, operation, "the map was made unavailable");
        if self.state().unavailable { Err(gone()) } else { Ok(()) }
    }

    fn check_value(&self, value: &[u8]) -> Result<()> {
        match &self.state().refused {
            Some((refused, kind)) if refused.as_bytes() == value => {
                Err(Error::new(*kind, "write a row", "the value was made one that no row may have"))
            }
            _ => Ok(()),
        }
    }

    async fn read(&self, keys: &[Key], intent: Intent) -> Result<Vec<Loaded>> {
        intent.sent.trip();
        self.inner.loads.fetch_add(1, Ordering::SeqCst);
        self.check("load a row")?;
        let granted: Vec<bool> = {
            let state = self.state();
            keys.iter().map(|key| intent.fill && !state.locked.contains(key)).collect()
        };
        let mut open = self.inner.reads_open.subscribe();
        drop(open.wait_for(|open| *open).await);
        let state = self.state();
        let rows = keys.iter().zip(granted);
        Ok(rows.map(|(key, fillable)| Loaded { record: state.rows.get(key).cloned(), fillable }).collect())
    }

    async fn lock(&self, key: &Key) -> Result<()> {
        let locked = async {
            loop {
                let unlocked = self.inner.unlocked.notified();
                if self.state().locked.insert(key.clone()) {
                    return;
                }
                unlocked.await;
            }
        };
        let late = |_| Error::new(ErrorKind::Timeout, "lock a row", "another writer holds it");
        tokio::time::timeout(LOCK_WAIT, locked).await.map_err(late)
    }
}

impl Loader for MapSource {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        match key.as_str().trim_start_matches('0') {
            _ if key.as_str().is_empty() => {
                Err(Error::new(ErrorKind::InvalidKey, "read a key", "it is empty"))
            }
            text if text.len() == key.as_str().len() => Ok(Canonical::Same),
            text => Ok(Canonical::Other(Key::parse(text)?)),
        }
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            let canonical = self.canonical(key)?;
            let (key, intent) = match canonical {
                Canonical::Same => (key.clone(), intent),
                Canonical::Other(other) => (other, Intent { fill: false, ..intent }),
            };
            Ok(self.read(&[key], intent).await?.remove(0))
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(self.read(keys, intent))
    }
}

impl Writer for MapSource {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            self.inner.prepares.fetch_add(1, Ordering::SeqCst);
            self.check("write a row")?;
            let mut transaction = Transaction { source: self.clone(), rows: Vec::new(), effects: Vec::new() };
            for write in writes {
                transaction.run(write).await?;
            }
            Ok(Box::new(transaction) as Box<dyn Prepared>)
        })
    }
}

#[derive(Debug)]
struct Transaction {
    source: MapSource,
    /// Every locked key with what it will hold.
    rows: Vec<(Key, Option<Record>)>,
    effects: Vec<Effect>,
}

impl Transaction {
    async fn run(&mut self, write: &Write) -> Result<()> {
        if let Change::Put { value, .. } = &write.change {
            self.source.check_value(value)?;
        }
        let key = match &write.target {
            Target::Key(key) => self.canonical_key(key)?,
            Target::New => {
                let mut state = self.source.state();
                state.created += 1;
                Key::parse(&format!("new{}", state.created)).expect("a key")
            }
        };
        let before = self.lock(&key).await?;
        let effect = match (&write.condition, &before, &write.change) {
            (Condition::Absent, Some(_), _) => Effect::Refused(Refusal::Exists),
            (Condition::Present | Condition::Unchanged(_), None, _) | (_, None, Change::Delete) => {
                Effect::Refused(Refusal::Absent)
            }
            (Condition::Unchanged(versions), Some(row), _) if !versions.contains(&row.version) => {
                Effect::Refused(Refusal::Conflict(row.version))
            }
            (_, _, Change::Delete) => Effect::Deleted { key: key.clone() },
            (_, _, Change::Put { value, flags }) => {
                let record = Record { flags: *flags, ..Record::from_content(value.clone()) };
                Effect::Stored { key: key.clone(), record: Some(record), created: before.is_none() }
            }
        };
        let after = match &effect {
            Effect::Stored { record, .. } => record.clone(),
            Effect::Deleted { .. } => None,
            Effect::Accepted { .. } | Effect::Refused(_) => before,
        };
        self.rows.push((key, after));
        self.effects.push(effect);
        Ok(())
    }

    fn canonical_key(&self, key: &Key) -> Result<Key> {
        Ok(self.source.canonical(key)?.of(key))
    }

    /// Takes the key's lock unless this transaction has it, and returns what the transaction sees there.
    async fn lock(&self, key: &Key) -> Result<Option<Record>> {
        match self.rows.iter().rev().find(|(known, _)| known == key) {
            Some((_, row)) => Ok(row.clone()),
            None => {
                self.source.lock(key).await?;
                Ok(self.source.state().rows.get(key).cloned())
            }
        }
    }

    fn apply(&self) {
        let mut state = self.source.state();
        for (key, row) in &self.rows {
            match row {
                Some(record) => drop(state.rows.insert(key.clone(), record.clone())),
                None => drop(state.rows.remove(key)),
            }
        }
    }
}

impl Prepared for Transaction {
    fn effects(&self) -> &[Effect] {
        &self.effects
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            self.source.inner.commits.fetch_add(1, Ordering::SeqCst);
            let planted = self.source.state().next_commit.take();
            if planted.is_none_or(|(_, applied)| applied) {
                self.apply();
            }
            let lost = std::mem::take(&mut self.source.state().next_answer_lost);
            if lost {
                std::future::pending::<()>().await;
            }
            match planted {
                Some((kind, _)) => Err(Error::new(kind, "commit a transaction", "planted")),
                None => Ok(()),
            }
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            drop(self);
            Ok(())
        })
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let mut state = self.source.state();
        for (key, _) in &self.rows {
            state.locked.remove(key);
        }
        drop(state);
        self.source.inner.unlocked.notify_waiters();
    }
}
