// SPDX-License-Identifier: MIT OR Apache-2.0
//! One place of the pool: a queue of requests, and the connection that carries them while there is one.
//!
//! Callers compose their request straight into the output under a short lock and push who waits for its
//! answer; [`drive`] writes whatever has gathered in one go and hands the answers out in the same order. So
//! what is queued first is executed first, and a caller that goes away leaves its place in the order behind.
//!
//! A connection lives once. Whatever goes wrong with it (a late answer, an answer out of step) ends it: all
//! who wait are told, tokens of its number are refused from then on, and the next one has another number.

mod drive;
mod queued;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use throughline_core::{Clock, Error, Nonce, Result, Rng, Tasks};
use throughline_wire::memcached::Key;
use tokio::sync::{Notify, oneshot};

use super::answer::{Answer, Command};
use super::config::{MemcachedConfig, MemcachedServer};
use super::map;
use super::nonce::{self, Expected};
use super::probe::MemcachedProbe;
use super::stats::MemcachedStats;

pub(super) use queued::{Queued, receive_all};

/// Bytes that may wait to be written; beyond it the server does not keep up.
const OUTPUT_LEN_MAX: usize = 64 * 1024 * 1024;

/// One place of the pool.
#[derive(Debug)]
pub(super) struct Connection {
    server: MemcachedServer,
    config: Arc<MemcachedConfig>,
    stats: Arc<MemcachedStats>,
    /// What the server must show; the same for all connections to it.
    expected: Arc<Expected>,
    clock: Arc<dyn Clock>,
    rng: Arc<Rng>,
    state: Mutex<State>,
    /// There is output to write.
    output: Notify,
    /// The state has changed; for whoever waits until it is settled.
    changed: Notify,
    /// There is a reason to connect at once.
    hurry: Notify,
}

/// What the connections of all places are made of.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) config: Arc<MemcachedConfig>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) rng: Arc<Rng>,
    pub(super) tasks: &'a dyn Tasks,
}

#[derive(Debug)]
enum State {
    /// The first attempt is under way.
    New,
    Up(Line),
    /// Why there is no connection now.
    Down(Error),
    /// For good.
    Closed,
}

/// A connection that was admitted.
#[derive(Debug)]
struct Line {
    /// Names it in tokens.
    id: u64,
    probe: MemcachedProbe,
    nonce: Nonce,
    output: Vec<u8>,
    /// Whether there is more in the output than our own look at the server.
    is_counted: bool,
    /// In the order of the requests.
    waiting: VecDeque<Waiting>,
    next_opaque: u64,
    /// No further requests; it ends when the output is written.
    is_ending: bool,
}

/// Who waits for an answer.
#[derive(Debug)]
struct Waiting {
    opaque: u64,
    reply: Option<oneshot::Sender<Result<Answer>>>,
    /// The key under which a lease or mark must be given back when nobody takes the answer.
    give_back: Option<Box<[u8]>>,
}

/// Why a request was not queued.
#[derive(Debug)]
pub(super) enum Unsent {
    /// There is no connection, or too much is under way on it.
    Failed(Error),
    /// The connection that the token is of is gone.
    OtherLine,
}

impl Connection {
    /// A place whose connection is made in the background, again and again until [`Connection::close`].
    pub(super) fn start(
        server: &MemcachedServer,
        stats: &Arc<MemcachedStats>,
        expected: &Arc<Expected>,
        surroundings: &Surroundings<'_>,
    ) -> Arc<Self> {
        let connection = Arc::new(Self {
            server: server.clone(),
            config: Arc::clone(&surroundings.config),
            stats: Arc::clone(stats),
            expected: Arc::clone(expected),
            clock: Arc::clone(surroundings.clock),
            rng: Arc::clone(&surroundings.rng),
            state: Mutex::new(State::New),
            output: Notify::new(),
            changed: Notify::new(),
            hurry: Notify::new(),
        });
        surroundings.tasks.spawn("memcached connection", Box::pin(Arc::clone(&connection).drive()));
        connection
    }

    /// Queues a request; it is on its way when this returns.
    ///
    /// `line` names the connection that it must travel on, if it matters.
    pub(super) fn send(
        self: &Arc<Self>,
        line: Option<u64>,
        key: Key<'_>,
        command: Command<'_>,
    ) -> std::result::Result<Queued, Unsent> {
        let (reply, answer) = oneshot::channel();
        let line = self.queue(line, key, command, Some(reply), true)?;
        Ok(Queued::new(Arc::clone(self), line, give_back_key(key, command), answer))
    }

    /// Queues a request whose answer nobody needs; without a connection it is lost.
    pub(super) fn send_and_forget(&self, line: Option<u64>, key: Key<'_>, command: Command<'_>) {
        let _ = self.queue(line, key, command, None, true);
    }

    fn queue(
        &self,
        wanted: Option<u64>,
        key: Key<'_>,
        command: Command<'_>,
        reply: Option<oneshot::Sender<Result<Answer>>>,
        is_counted: bool,
    ) -> std::result::Result<u64, Unsent> {
        let mut state = self.state.lock();
        let line = match &mut *state {
            State::Up(line) if !line.is_ending => line,
            _ if wanted.is_some() => return Err(Unsent::OtherLine),
            State::Up(_) => {
                return Err(Unsent::Failed(map::unavailable(&self.server, "the connection is being closed")));
            }
            State::New => return Err(Unsent::Failed(map::unavailable(&self.server, "not connected yet"))),
            State::Down(error) => return Err(Unsent::Failed(map::down(error))),
            State::Closed => return Err(Unsent::Failed(map::closed(&self.server))),
        };
        if wanted.is_some_and(|wanted| wanted != line.id) {
            return Err(Unsent::OtherLine);
        }
        // What uses a token up is let in beyond the bound: it ends what an earlier request began.
        let in_flight_max = self.config.in_flight_max * if command.takes_token() { 2 } else { 1 };
        if line.waiting.len() >= in_flight_max || line.output.len() >= OUTPUT_LEN_MAX {
            return Err(Unsent::Failed(map::overloaded(&self.server)));
        }
        let opaque = line.next_opaque;
        line.next_opaque += 1;
        let was_empty = line.output.is_empty();
        command.compose(&mut line.output, key, opaque);
        let give_back = give_back_key(key, command);
        line.waiting.push_back(Waiting { opaque, reply, give_back });
        line.is_counted |= is_counted;
        let id = line.id;
        drop(state);
        if is_counted {
            MemcachedStats::count(&self.stats.commands);
        }
        if was_empty {
            self.output.notify_one();
        }
        Ok(id)
    }

    /// Ends the connection `line`, if it still is the present one: all who wait get `error`. Whether it was.
    pub(super) fn end(&self, line: u64, error: &Error) -> bool {
        let mut state = self.state.lock();
        if !matches!(&*state, State::Up(present) if present.id == line) {
            return false;
        }
        let former = std::mem::replace(&mut *state, State::Down(error.clone()));
        drop(state);
        self.tell(former, error);
        true
    }

    fn tell(&self, former: State, error: &Error) {
        self.changed.notify_waiters();
        let State::Up(line) = former else { return };
        self.expected.leave(line.id);
        for waiting in line.waiting {
            if let Some(reply) = waiting.reply {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }

    /// Ends the connection `line` as soon as what is queued has been written.
    pub(super) fn end_when_written(&self, line: u64) {
        if let State::Up(present) = &mut *self.state.lock()
            && present.id == line
        {
            present.is_ending = true;
        }
        self.output.notify_one();
    }

    /// Ends the connection if it is to another server than the one that must be there, and connects without delay.
    pub(super) fn look_again(&self, wanted: Option<Nonce>) {
        let line = match &*self.state.lock() {
            State::Up(line) if wanted.is_some_and(|wanted| wanted != line.nonce) => Some(line.id),
            _ => None,
        };
        if let Some(line) = line {
            self.end(line, &map::stranger(&self.server));
        }
        self.hurry.notify_one();
    }

    /// Ends the connection and makes no other.
    pub(super) fn close(&self) {
        let former = std::mem::replace(&mut *self.state.lock(), State::Closed);
        self.tell(former, &map::closed(&self.server));
    }

    /// Gives back the lease or mark that came with `answer`, which nobody took.
    fn give_back(&self, line: u64, key: &[u8], answer: &Answer) {
        if let Some(token) = answer.given_token() {
            MemcachedStats::count(&self.stats.unclaimed);
            let key = Key::new(key).expect("the key was sent before");
            self.send_and_forget(Some(line), key, Command::DeleteIf(token));
        }
    }

    pub(super) fn server(&self) -> &MemcachedServer {
        &self.server
    }

    pub(super) fn stats(&self) -> &MemcachedStats {
        &self.stats
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.lock(), State::Up(_))
    }

    /// What the server shows, on this connection or, while there is none, on one that is made for that.
    pub(super) async fn identify(&self) -> Result<Nonce> {
        let (reply, answer) = oneshot::channel();
        let limit = Duration::from_millis(self.config.mark_timeout_ms);
        if self.queue(None, nonce::key(), Command::Peek, Some(reply), false).is_ok()
            && let Ok(Ok(Ok(answer))) = tokio::time::timeout(limit, answer).await
            && let Some(nonce) = nonce::shown(&answer)
        {
            return Ok(nonce);
        }
        self.ask_apart().await
    }

    /// What the first attempt to connect, or the last one, came to.
    pub(super) async fn settled(&self) -> Result<MemcachedProbe> {
        let settled = self.until(|state| match state {
            State::New => None,
            State::Up(line) => Some(Ok(line.probe.clone())),
            State::Down(error) => Some(Err(error.clone())),
            State::Closed => Some(Err(map::closed(&self.server))),
        });
        // An attempt takes two limits at most; background work that was never started takes for ever.
        let limit_ms = 3 * self.config.connect_timeout_ms;
        match tokio::time::timeout(Duration::from_millis(limit_ms), settled).await {
            Ok(settled) => settled,
            Err(_) => Err(map::late(&self.server, limit_ms)),
        }
    }

    /// Waits until there is another connection than `line`, or there will be none.
    pub(super) async fn replaced(&self, line: u64) {
        self.until(|state| match state {
            State::Up(present) => (present.id != line).then_some(()),
            State::Closed => Some(()),
            State::New | State::Down(_) => None,
        })
        .await;
    }

    async fn until<T>(&self, mut look: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            // Made before the look, so that no change falls between the two.
            let changed = self.changed.notified();
            let found = look(&self.state.lock());
            match found {
                Some(found) => return found,
                None => changed.await,
            }
        }
    }

    /// The largest value that may be sent on `line`; `None` when it is not the present connection.
    pub(super) fn value_len_max(&self, line: u64) -> Option<usize> {
        match &*self.state.lock() {
            State::Up(present) if present.id == line => Some(present.probe.value_len_max()),
            _ => None,
        }
    }
}

fn give_back_key(key: Key<'_>, command: Command<'_>) -> Option<Box<[u8]>> {
    command.gives_token().then(|| key.as_bytes().into())
}
