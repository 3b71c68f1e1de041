// SPDX-License-Identifier: MIT OR Apache-2.0
//! The background work of one place of the pool: connect, write, read, and again.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use throughline_core::{Error, Nonce};
use throughline_wire::memcached::Limits;
use throughline_wire::memcached::response::{Parsed, Response, parse};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::super::answer::Answer;
use super::super::answer::Command;
use super::super::stats::MemcachedStats;
use super::super::stream::Stream;
use super::super::{map, nonce, probe};
use super::{Connection, Line, State};

/// The first and the longest pause between two attempts to connect.
const BACK_OFF_MS: (u64, u64) = (10, 1_000);
/// A connection that lived so long was no failed attempt.
const LIVED_MS: u64 = 1_000;
/// How often a server is looked at. Two servers behind one address are noticed so late at most.
const PULSE_MS: u64 = 1_000;
/// Room for many small answers in one read.
const READ_LEN: usize = 64 * 1024;
/// A buffer that one large value made larger than this is given back.
const KEPT_LEN_MAX: usize = 1024 * 1024;

/// What the writer is to do next.
enum Output {
    Write { batch: Vec<u8>, is_counted: bool },
    Wait,
    End,
}

impl Connection {
    /// Keeps a connection until the place is closed.
    pub(super) async fn drive(self: Arc<Self>) {
        let mut back_off_ms = BACK_OFF_MS.0;
        loop {
            let began = self.clock.now();
            tokio::select! {
                () = self.closed() => return,
                () = self.live_once() => {}
            }
            if self.clock.now().ms_since(began) >= LIVED_MS {
                back_off_ms = BACK_OFF_MS.0;
            }
            // Half of the pause is left to chance, so that many clients do not return together.
            let pause_ms = back_off_ms / 2 + self.rng.below(back_off_ms / 2 + 1);
            tokio::select! {
                () = self.closed() => return,
                () = sleep(Duration::from_millis(pause_ms)) => {}
                () = self.hurry.notified() => {}
            }
            back_off_ms = (back_off_ms * 2).min(BACK_OFF_MS.1);
        }
    }

    /// One connection, from its opening to its end.
    async fn live_once(&self) {
        let mut stream = match self.open().await {
            Ok(stream) => stream,
            Err(error) => return self.set_down(error),
        };
        let Some((id, value_len_max, nonce)) = self.admitted(&mut stream).await else { return };
        match &mut stream {
            Stream::Plain(stream) => {
                let (read, write) = stream.split();
                self.live(id, read, write, value_len_max, nonce).await;
            }
            Stream::Tls(stream) => {
                let (read, write) = tokio::io::split(stream);
                self.live(id, read, write, value_len_max, nonce).await;
            }
        }
    }

    /// Requests and answers, until one of them cannot go on.
    async fn live(
        &self,
        id: u64,
        read: impl AsyncRead + Unpin,
        write: impl AsyncWrite + Unpin,
        value_len_max: usize,
        nonce: Nonce,
    ) {
        let error = tokio::select! {
            error = self.write_requests(id, write) => error,
            error = self.read_answers(id, read, value_len_max) => error,
            error = self.watch(id) => error,
            error = self.pulse(id, nonce) => error,
            () = self.ended(id) => return,
        };
        self.end(id, &error);
    }

    async fn open(&self) -> Result<Stream, Error> {
        let connect = Stream::connect(&self.server, self.config.tls.as_ref());
        let limit = Duration::from_millis(self.config.connect_timeout_ms);
        match tokio::time::timeout(limit, connect).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(cause)) if self.config.tls.is_some() => {
                Err(map::io(&self.server, "no TLS connection", cause))
            }
            Ok(Err(cause)) => Err(map::io(&self.server, "no connection", cause)),
            Err(_) => Err(map::late(&self.server, self.config.connect_timeout_ms)),
        }
    }

    /// Asks the server for its number on a connection of its own.
    pub(super) async fn ask_apart(&self) -> Result<Nonce, Error> {
        let mut stream = self.open().await?;
        Ok(probe::ask(&mut stream, &self.server, &self.config, &self.rng).await?.1)
    }

    /// Asks the server what it is and opens the queue if it will do.
    async fn admitted(&self, stream: &mut Stream) -> Option<(u64, usize, Nonce)> {
        let (probe, nonce) = match probe::ask(stream, &self.server, &self.config, &self.rng).await {
            Ok(admitted) => admitted,
            Err(error) => {
                self.set_down(error);
                return None;
            }
        };
        let id = crate::identity::next();
        let value_len_max = probe.item_len_max();
        let mut state = self.state.lock();
        if matches!(*state, State::Closed) {
            return None;
        }
        // Under the lock, so that whoever says what must be shown finds the connection or is heard here.
        if self.expected.admit(id, nonce).is_err() {
            drop(state);
            self.set_down(map::stranger(&self.server));
            return None;
        }
        *state = State::Up(Line {
            id,
            probe,
            nonce,
            output: Vec::new(),
            is_counted: false,
            waiting: Default::default(),
            next_opaque: 1,
            is_ending: false,
        });
        drop(state);
        MemcachedStats::count(&self.stats.connects);
        self.changed.notify_waiters();
        Some((id, value_len_max, nonce))
    }

    fn set_down(&self, error: Error) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Closed) {
            *state = State::Down(error);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    async fn closed(&self) {
        self.until(|state| matches!(state, State::Closed).then_some(())).await;
    }

    /// Waits until `id` is no longer the present connection, because a caller has ended it.
    async fn ended(&self, id: u64) {
        self.until(|state| (!matches!(state, State::Up(line) if line.id == id)).then_some(())).await;
    }

    /// Writes what has gathered, all of it at once.
    async fn write_requests(&self, id: u64, mut write: impl AsyncWrite + Unpin) -> Error {
        let mut spare = Vec::new();
        loop {
            // The first request of many wakes this task before the others have run. Letting them go first makes one
            // write of what would be dozens; a caller who is alone waits a microsecond longer.
            tokio::task::yield_now().await;
            let mut batch = match self.take_output(id, std::mem::take(&mut spare)) {
                Output::Write { batch, is_counted } => {
                    if is_counted {
                        MemcachedStats::count(&self.stats.round_trips);
                    }
                    batch
                }
                Output::Wait => {
                    self.output.notified().await;
                    continue;
                }
                Output::End => return map::corrupt(&self.server, "a value of another key"),
            };
            let written = async {
                write.write_all(&batch).await?;
                // Within TLS, what was written may wait for more to fill its record.
                write.flush().await
            };
            if let Err(cause) = written.await {
                return map::io(&self.server, "the connection broke", cause);
            }
            batch.clear();
            if batch.capacity() <= KEPT_LEN_MAX {
                spare = batch;
            }
        }
    }

    fn take_output(&self, id: u64, spare: Vec<u8>) -> Output {
        match &mut *self.state.lock() {
            State::Up(line) if line.id == id && !line.output.is_empty() => {
                let batch = std::mem::replace(&mut line.output, spare);
                Output::Write { batch, is_counted: std::mem::take(&mut line.is_counted) }
            }
            State::Up(line) if line.id == id && !line.is_ending => Output::Wait,
            _ => Output::End,
        }
    }

    async fn read_answers(&self, id: u64, mut read: impl AsyncRead + Unpin, value_len_max: usize) -> Error {
        let limits = Limits { value_len_max, ..Limits::default() };
        let mut buffer = BytesMut::with_capacity(READ_LEN);
        loop {
            match read.read_buf(&mut buffer).await {
                Ok(0) => return map::unavailable(&self.server, "it closed the connection"),
                Ok(_) => {}
                Err(cause) => return map::io(&self.server, "the connection broke", cause),
            }
            loop {
                match parse(&buffer, &limits) {
                    Parsed::Response { response, consumed } => {
                        if let Err(error) = self.deliver(id, &response) {
                            return error;
                        }
                        buffer.advance(consumed);
                    }
                    Parsed::Incomplete { need } => {
                        if buffer.is_empty() && buffer.capacity() > KEPT_LEN_MAX {
                            buffer = BytesMut::new();
                        }
                        buffer.reserve(READ_LEN.max(need.saturating_sub(buffer.len())));
                        break;
                    }
                    Parsed::Malformed { what } => return map::corrupt(&self.server, what),
                }
            }
        }
    }

    /// Hands a response to whoever is first in the order.
    fn deliver(&self, id: u64, response: &Response<'_>) -> Result<(), Error> {
        let waiting = match &mut *self.state.lock() {
            State::Up(line) if line.id == id => line.waiting.pop_front(),
            _ => None,
        };
        let Some(waiting) = waiting else {
            return Err(map::corrupt(&self.server, "it answered what nobody had asked"));
        };
        let answer = match Answer::read(response, waiting.opaque) {
            Ok(answer) => answer,
            Err(unfit) => {
                let error = map::corrupt(&self.server, unfit.0);
                if let Some(reply) = waiting.reply {
                    let _ = reply.send(Err(error.clone()));
                }
                return Err(error);
            }
        };
        let unclaimed = match waiting.reply {
            Some(reply) => reply.send(Ok(answer)).err().and_then(Result::ok),
            None => Some(answer),
        };
        if let (Some(answer), Some(key)) = (unclaimed, waiting.give_back) {
            self.give_back(id, &key, &answer);
        }
        Ok(())
    }

    /// Ends when no answer has come for a whole period in which one was due. Callers notice a late answer
    /// themselves; this is for those who have gone.
    async fn watch(&self, id: u64) -> Error {
        let mut last = None;
        loop {
            sleep(Duration::from_millis(self.config.mark_timeout_ms)).await;
            let first = match &*self.state.lock() {
                State::Up(line) if line.id == id => line.waiting.front().map(|waiting| waiting.opaque),
                _ => None,
            };
            if first.is_some() && first == last {
                MemcachedStats::count(&self.stats.timeouts);
                return map::late(&self.server, self.config.mark_timeout_ms);
            }
            last = first;
        }
    }

    /// Looks again and again whether the server is still the one that it was. Ends when it is not.
    async fn pulse(&self, id: u64, nonce: Nonce) -> Error {
        loop {
            sleep(Duration::from_millis(PULSE_MS)).await;
            let (reply, answer) = oneshot::channel();
            if self.queue(Some(id), nonce::key(), Command::Peek, Some(reply), false).is_err() {
                // Too much is under way, and that is looked at as well.
                continue;
            }
            if let Ok(Ok(answer)) = answer.await
                && nonce::shown(&answer) != Some(nonce)
            {
                return map::stranger(&self.server);
            }
        }
    }
}
