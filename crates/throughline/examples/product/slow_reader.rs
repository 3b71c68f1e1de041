// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader that is held up between the database's answer and the cache, to show what happens meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use throughline::{BoxFuture, Canonical, Intent, Key, Loaded, Loader, Result};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;

/// How long the writer waits for the reader.
const LOAD_WAIT: Duration = Duration::from_secs(5);

/// Holds the next load up when it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
    reached: Notify,
    opened: Notify,
}

impl Gate {
    /// Holds the next load up.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Waits until a load is held up: the database has answered, and the cache has nothing yet.
    ///
    /// # Errors
    /// No load came.
    pub(crate) async fn reached(&self) -> std::result::Result<(), Elapsed> {
        tokio::time::timeout(LOAD_WAIT, self.reached.notified()).await
    }

    /// Lets the load go on, and every later one.
    pub(crate) fn open(&self) {
        if !self.closed.swap(false, Ordering::SeqCst) {
            self.opened.notify_one();
        }
    }

    async fn pass(&self) {
        if self.closed.swap(false, Ordering::SeqCst) {
            self.reached.notify_one();
            self.opened.notified().await;
        }
    }
}

/// Loads, and then passes the gate.
#[derive(Debug)]
pub(crate) struct GatedLoader {
    inner: Arc<dyn Loader>,
    gate: Arc<Gate>,
}

impl GatedLoader {
    pub(crate) fn new(inner: Arc<dyn Loader>, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }
}

impl Loader for GatedLoader {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.inner.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            let loaded = self.inner.load(key, intent).await;
            self.gate.pass().await;
            loaded
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        self.inner.load_many(keys, intent)
    }
}
