// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source that takes a set time, fails when told to, and counts who is in it at once. Its time is that of tests
//! with a paused clock (`start_paused`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{
    BoxFuture, Canonical, Effect, Error, ErrorKind, Intent, Key, Loaded, Loader, Prepared, Result, Sent,
    Write, Writer,
};

#[derive(Debug, Default)]
pub(crate) struct Stub {
    pub(crate) took_ms: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) inside: AtomicUsize,
    pub(crate) inside_max: AtomicUsize,
    /// Calls that were dropped before their end.
    pub(crate) dropped: AtomicU64,
    /// Whether every call so far found its flight not sent yet.
    pub(crate) found_sent: AtomicBool,
    failure: Mutex<Option<Error>>,
}

pub(crate) fn key() -> Key {
    Key::parse("1").unwrap()
}

pub(crate) fn intent() -> Intent {
    Intent { fill: true, sent: Sent::new() }
}

impl Stub {
    pub(crate) fn that_takes_ms(took_ms: u64) -> Arc<Self> {
        Arc::new(Self { took_ms: AtomicU64::new(took_ms), ..Self::default() })
    }

    pub(crate) fn fail(&self, kind: Option<ErrorKind>) {
        *self.failure.lock() = kind.map(|kind| Error::new(kind, "test", "planted"));
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    async fn visit(&self) -> Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.inside_max.fetch_max(inside, Ordering::SeqCst);
        let mut visit = Visit { stub: self, is_over: false };
        // Three points at which a caller may leave.
        tokio::task::yield_now().await;
        let took = Duration::from_millis(self.took_ms.load(Ordering::SeqCst));
        let _ = tokio::time::timeout(took, std::future::pending::<()>()).await;
        tokio::task::yield_now().await;
        visit.is_over = true;
        self.failure.lock().clone().map_or(Ok(()), Err)
    }
}

struct Visit<'a> {
    stub: &'a Stub,
    is_over: bool,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.stub.inside.fetch_sub(1, Ordering::SeqCst);
        if !self.is_over {
            self.stub.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Loader for Stub {
    fn canonical(&self, _key: &Key) -> Result<Canonical> {
        Ok(Canonical::Same)
    }

    fn load<'a>(&'a self, _key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            self.found_sent.store(intent.sent.is_tripped(), Ordering::SeqCst);
            intent.sent.trip();
            self.visit().await?;
            Ok(Loaded { record: None, fillable: intent.fill })
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            self.visit().await?;
            Ok(keys.iter().map(|_| Loaded { record: None, fillable: intent.fill }).collect())
        })
    }
}

impl Writer for Stub {
    fn prepare<'a>(&'a self, _writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            self.visit().await?;
            Ok(Box::new(StubPrepared) as Box<dyn Prepared>)
        })
    }
}

#[derive(Debug)]
struct StubPrepared;

impl Prepared for StubPrepared {
    fn effects(&self) -> &[Effect] {
        &[]
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(())
        })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
