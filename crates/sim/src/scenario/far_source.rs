// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source that is far away, and that writes down in which order it commits.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{
    BoxFuture, Canonical, Effect, Error, ErrorKind, Intent, Key, Loaded, Loader, Prepared, Result, Sent,
    Write, Writer,
};
use throughline_testkit::MapSource;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::Plant;
use super::troubles::Troubles;
use crate::checker::AuditRow;
use crate::history::Seen;
use crate::sut::seen_as;

/// How much later a commit may take place whose caller was told that nobody knows.
const DECIDED_MS_MAX: u64 = 300;

/// The source of every daemon.
#[derive(Clone, Debug)]
pub(super) struct FarSource {
    pub(super) map: MapSource,
    troubles: Arc<Troubles>,
    plant: Option<Plant>,
    audit: Arc<Mutex<Vec<AuditRow>>>,
}

impl FarSource {
    pub(super) fn new(troubles: Arc<Troubles>, plant: Option<Plant>) -> Self {
        Self { map: MapSource::default(), troubles, plant, audit: Arc::default() }
    }

    /// The writes so far, in the order of commits.
    pub(super) fn audit(&self) -> Vec<AuditRow> {
        self.audit.lock().clone()
    }
}

impl Loader for FarSource {
    fn canonical(&self, key: &Key) -> Result<Canonical> {
        self.map.canonical(key)
    }

    fn load<'a>(&'a self, key: &'a Key, intent: Intent) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(async move {
            intent.sent.trip();
            sleep(self.troubles.delay()).await;
            let probe = Intent { fill: intent.fill, sent: Sent::new() };
            let is_granted = self.map.load(key, probe).await?.fillable;
            // Between the probe and the snapshot anything may happen.
            sleep(self.troubles.delay()).await;
            let read = self.map.load(key, Intent { fill: false, sent: Sent::new() }).await?;
            sleep(self.troubles.delay()).await;
            let fillable = is_granted || (intent.fill && self.plant == Some(Plant::NoProbe));
            Ok(Loaded { fillable, ..read })
        })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key], intent: Intent) -> BoxFuture<'a, Result<Vec<Loaded>>> {
        Box::pin(async move {
            let mut all = Vec::with_capacity(keys.len());
            for key in keys {
                all.push(self.load(key, intent.clone()).await?);
            }
            Ok(all)
        })
    }
}

impl Writer for FarSource {
    fn prepare<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Box<dyn Prepared>>> {
        Box::pin(async move {
            sleep(self.troubles.delay()).await;
            let inner = self.map.prepare(writes).await?;
            sleep(self.troubles.delay()).await;
            Ok(Box::new(FarPrepared { source: self.clone(), inner }) as Box<dyn Prepared>)
        })
    }
}

#[derive(Debug)]
struct FarPrepared {
    source: FarSource,
    inner: Box<dyn Prepared>,
}

impl FarPrepared {
    /// Commits and writes it down; nothing comes between the two.
    async fn commit_now(source: FarSource, inner: Box<dyn Prepared>) -> Result<()> {
        let rows: Vec<(i64, Seen)> = inner.effects().iter().filter_map(written).collect();
        inner.commit().await?;
        let mut audit = source.audit.lock();
        for (key, stored) in rows {
            let seq = audit.len() as u64 + 1;
            audit.push(AuditRow { seq, key, stored });
        }
        Ok(())
    }
}

impl Prepared for FarPrepared {
    fn effects(&self) -> &[Effect] {
        self.inner.effects()
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        let Self { source, inner } = *self;
        let (reply, answer) = oneshot::channel();
        // A task of its own: once it is sent, the commit takes place although nobody waits.
        tokio::spawn(async move {
            let troubles = Arc::clone(&source.troubles);
            sleep(troubles.delay()).await;
            let unknown =
                || Err(Error::new(ErrorKind::OutcomeUnknown, "commit", "the source did not answer"));
            let is_unknown = troubles.once_in(25);
            if is_unknown && troubles.once_in(3) {
                let _ = reply.send(unknown());
                return drop(inner.roll_back().await);
            }
            if is_unknown && troubles.once_in(2) {
                let _ = reply.send(unknown());
                sleep(Duration::from_millis(troubles.delay().as_millis() as u64 % DECIDED_MS_MAX)).await;
                return drop(Self::commit_now(source, inner).await);
            }
            let committed = Self::commit_now(source, inner).await;
            sleep(troubles.delay()).await;
            let _ = reply.send(if is_unknown { unknown() } else { committed });
        });
        Box::pin(async move { answer.await.expect("the task answers before it ends") })
    }

    fn roll_back(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        self.inner.roll_back()
    }
}

/// The key that a write changed, and what it holds now.
fn written(effect: &Effect) -> Option<(i64, Seen)> {
    match effect {
        Effect::Stored { key, record, .. } => {
            let key = number(key);
            let body = record.as_ref().map(|record| String::from_utf8_lossy(&record.value).into_owned());
            Some((key, body.map_or(Seen::Garbled, |body| seen_as(key, &body))))
        }
        Effect::Deleted { key } => Some((number(key), Seen::Absent)),
        Effect::Accepted { .. } | Effect::Refused(_) => None,
    }
}

/// Keys of a world are numbers.
pub(super) fn number(key: &Key) -> i64 {
    key.as_str().parse().unwrap_or_default()
}
