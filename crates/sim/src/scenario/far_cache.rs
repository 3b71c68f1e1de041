// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache server that is far away, as one daemon reaches it: over a connection that keeps the order of what is
//! sent, and with which its tokens die.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{
    BoxFuture, Cache, Entry, Error, ErrorKind, Fill, Hit, Lease, Lookup, Mark, Result, Scope, Slot, Token,
    Touch,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use super::Plant;
use super::troubles::{Fate, Troubles};

/// How long a caller waits for an answer that does not come.
const PATIENCE: Duration = Duration::from_millis(50);
/// Two requests arrive so far apart at least: the least that the timer tells apart.
const STEP: Duration = Duration::from_millis(1);

/// One daemon's way to the server.
#[derive(Clone, Debug)]
pub(super) struct FarCache {
    way: Arc<Way>,
}

#[derive(Debug)]
struct Way {
    server: Arc<dyn Cache>,
    daemon: u32,
    troubles: Arc<Troubles>,
    plant: Option<Plant>,
    line: Mutex<Line>,
}

/// The present connection.
#[derive(Debug)]
struct Line {
    id: u64,
    /// How often the server had been restarted when it was made.
    restarts: u64,
    last_arrival: Instant,
}

impl FarCache {
    pub(super) fn new(
        server: Arc<dyn Cache>,
        daemon: u32,
        troubles: Arc<Troubles>,
        plant: Option<Plant>,
    ) -> Self {
        let line = Mutex::new(Line { id: 0, restarts: 0, last_arrival: Instant::now() });
        Self { way: Arc::new(Way { server, daemon, troubles, plant, line }) }
    }

    /// Sends a request, which is carried out when it arrives; it is on its way when this returns.
    fn call<T: Send + 'static>(
        &self,
        execute: impl FnOnce(Arc<Way>) -> BoxFuture<'static, Result<T>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let way = Arc::clone(&self.way);
        if way.troubles.is_cut(way.daemon) {
            way.break_line(way.line_id());
            return Box::pin(async { Err(gone(ErrorKind::Unavailable)) });
        }
        let (line, restarts, arrival) = way.next_place();
        let fate = way.troubles.fate();
        let (reply, answer) = oneshot::channel();
        let carrying = Arc::clone(&way);
        tokio::spawn(async move {
            sleep_until(arrival).await;
            if fate == Fate::LostBefore || carrying.troubles.restarts() != restarts {
                return;
            }
            let done = execute(Arc::clone(&carrying)).await;
            sleep(carrying.troubles.delay()).await;
            if fate == Fate::Fine {
                let _ = reply.send(done);
            }
        });
        Box::pin(async move {
            let late = Instant::now().max(arrival) + PATIENCE;
            match tokio::time::timeout_at(late, answer).await {
                Ok(Ok(done)) => done,
                // Whether it was carried out is not known: the connection is not used again.
                Ok(Err(_)) | Err(_) => {
                    way.break_line(line);
                    Err(gone(ErrorKind::Timeout))
                }
            }
        })
    }

    fn store(&self, slot: Slot, token: Token, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        let is_present = self.way.line_id() == token.connection;
        if self.way.plant == Some(Plant::BlindFill) {
            return self.call(move |way| Box::pin(blind(way, slot, entry, ttl_ms)));
        }
        if !is_present {
            return Box::pin(async { Ok(Fill::Refused) });
        }
        self.call(move |way| {
            let lease = Lease { slot, token: way.inner(token) };
            way.server.fill(lease, entry, ttl_ms)
        })
    }

    fn give_back(&self, slot: Slot, token: Token) {
        if self.way.line_id() == token.connection {
            drop(self.call(move |way| {
                way.server.release(Lease { slot, token: way.inner(token) });
                Box::pin(async { Ok(()) })
            }));
        }
    }
}

impl Way {
    fn line_id(&self) -> u64 {
        let mut line = self.line.lock();
        if line.restarts != self.troubles.restarts() {
            line.id += 1;
            line.restarts = self.troubles.restarts();
        }
        line.id
    }

    /// The present connection, and when the next request arrives on it.
    fn next_place(&self) -> (u64, u64, Instant) {
        let id = self.line_id();
        let mut line = self.line.lock();
        line.last_arrival = (line.last_arrival + STEP).max(Instant::now() + self.troubles.delay());
        (id, line.restarts, line.last_arrival)
    }

    /// Makes a new connection, unless there is one already. What was sent on the old one may still arrive.
    fn break_line(&self, id: u64) {
        let mut line = self.line.lock();
        if line.id == id {
            line.id += 1;
            line.last_arrival = Instant::now();
        }
    }

    /// A token as the daemon knows it: good on the present connection only.
    fn outer(&self, token: Token) -> Token {
        Token { connection: self.line_id(), number: pack(token) }
    }

    fn inner(&self, token: Token) -> Token {
        Token { connection: token.number >> 48, number: token.number & ((1 << 48) - 1) }
    }
}

/// The server's token in one number; its parts are small.
fn pack(token: Token) -> u64 {
    (token.connection << 48) | token.number
}

/// What a cache without tokens does.
async fn blind(way: Arc<Way>, slot: Slot, entry: Entry, ttl_ms: u64) -> Result<Fill> {
    drop(way.server.invalidate(std::slice::from_ref(&slot)).await);
    match way.server.get(&slot).await? {
        Lookup::Leased(lease) => way.server.fill(lease, entry, ttl_ms).await,
        _ => Ok(Fill::Refused),
    }
}

fn gone(kind: ErrorKind) -> Error {
    Error::new(kind, "ask the cache", "the way is broken")
}

impl Cache for FarCache {
    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn get<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Lookup>> {
        let slot = slot.clone();
        let line = self.way.line_id();
        self.call(move |way| {
            Box::pin(async move {
                let found = way.server.get(&slot).await?;
                Ok(match found {
                    // An answer belongs to the connection on which it was asked for.
                    Lookup::Leased(lease) if way.line_id() == line => {
                        Lookup::Leased(Lease { token: way.outer(lease.token), ..lease })
                    }
                    Lookup::Leased(_) => Lookup::Refused,
                    other => other,
                })
            })
        })
    }

    fn get_many<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Lookup>>> {
        let looks: Vec<_> = slots.iter().map(|slot| self.get(slot)).collect();
        Box::pin(futures_util::future::join_all(looks))
    }

    fn peek<'a>(&'a self, slot: &'a Slot) -> BoxFuture<'a, Result<Option<Hit>>> {
        let slot = slot.clone();
        self.call(move |way| Box::pin(async move { way.server.peek(&slot).await }))
    }

    fn fill(&self, lease: Lease, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        self.store(lease.slot, lease.token, entry, ttl_ms)
    }

    fn release(&self, lease: Lease) {
        self.give_back(lease.slot, lease.token);
    }

    fn mark<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<Mark>>> {
        let marks = slots.iter().cloned().map(|slot| {
            if self.way.plant == Some(Plant::LostMark) && self.way.troubles.once_in(10) {
                return Box::pin(async { Ok(Mark { slot, token: None }) }) as BoxFuture<'_, _>;
            }
            let line = self.way.line_id();
            self.call(move |way| {
                Box::pin(async move {
                    let mark = way.server.mark(std::slice::from_ref(&slot)).await.remove(0)?;
                    let token = mark.token.filter(|_| way.line_id() == line).map(|token| way.outer(token));
                    Ok(Mark { token, ..mark })
                })
            })
        });
        Box::pin(futures_util::future::join_all(marks.collect::<Vec<_>>()))
    }

    fn publish(&self, mark: Mark, entry: Entry, ttl_ms: u64) -> BoxFuture<'static, Result<Fill>> {
        match mark.token {
            Some(token) => self.store(mark.slot, token, entry, ttl_ms),
            None => Box::pin(async { Ok(Fill::Refused) }),
        }
    }

    fn unmark(&self, mark: Mark) {
        if let Some(token) = mark.token {
            self.give_back(mark.slot, token);
        }
    }

    fn invalidate<'a>(&'a self, slots: &'a [Slot]) -> BoxFuture<'a, Vec<Result<()>>> {
        let calls = slots.iter().cloned().map(|slot| {
            self.call(move |way| {
                Box::pin(async move { way.server.invalidate(std::slice::from_ref(&slot)).await.remove(0) })
            })
        });
        Box::pin(futures_util::future::join_all(calls.collect::<Vec<_>>()))
    }

    fn touch<'a>(&'a self, slot: &'a Slot, ttl_ms: u64) -> BoxFuture<'a, Result<Touch>> {
        let slot = slot.clone();
        self.call(move |way| Box::pin(async move { way.server.touch(&slot, ttl_ms).await }))
    }
}
