// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which request goes where, when it is tried again, and what becomes of its answer.

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{
    BoxFuture, Clock, Entry, Error, ErrorKind, Fill, Hit, Lease, Lookup, Mark, Result, Rng, Slot, Tasks,
    Token, Touch,
};
use throughline_wire::memcached::MetaCode;
use throughline_wire::memcached::command::{Cas, Ttl};

use super::answer::{Answer, Command};
use super::config::MemcachedConfig;
use super::connection::{Connection, Queued, Unsent, receive_all};
use super::map::{self, Found};
use super::physical::Physical;
use super::probe::MemcachedProbe;
use super::stats::MemcachedStats;
use super::value;

/// The connections to one server.
#[derive(Debug)]
pub(super) struct Client {
    config: Arc<MemcachedConfig>,
    stats: Arc<MemcachedStats>,
    rng: Arc<Rng>,
    connections: Vec<Arc<Connection>>,
}

impl Client {
    pub(super) fn start(
        config: MemcachedConfig,
        clock: &Arc<dyn Clock>,
        rng: Arc<Rng>,
        tasks: &dyn Tasks,
    ) -> Self {
        let stats = Arc::new(MemcachedStats::default());
        let config = Arc::new(config);
        let connections = (0..config.connections.max(1))
            .map(|_| Connection::start(&config, &stats, clock, &rng, tasks))
            .collect();
        Self { config, stats, rng, connections }
    }

    pub(super) fn stats(&self) -> &Arc<MemcachedStats> {
        &self.stats
    }

    pub(super) fn close(&self) {
        self.connections.iter().for_each(|connection| connection.close());
    }

    pub(super) async fn probe(&self) -> Result<MemcachedProbe> {
        let mut settled = self.connections[0].settled().await;
        for connection in &self.connections[1..] {
            settled = settled.or(connection.settled().await);
        }
        settled
    }

    /// All calls for one key use one connection: they are executed in their order, and tokens are good there.
    fn connection(&self, physical: &Physical) -> &Arc<Connection> {
        &self.connections[physical.check() as usize % self.connections.len()]
    }

    fn send(&self, physical: &Physical, command: Command<'_>) -> Result<Queued> {
        self.connection(physical).send(None, physical.key(), command).map_err(|unsent| match unsent {
            Unsent::Failed(error) => error,
            Unsent::OtherLine => unreachable!("the request may travel on any line"),
        })
    }

    pub(super) async fn get(&self, slots: &[Slot]) -> Vec<Result<Lookup>> {
        let physicals: Vec<Physical> = slots.iter().map(Physical::of).collect();
        let mut queued: Vec<Result<Queued>> =
            physicals.iter().map(|physical| self.send(physical, Command::Get)).collect();
        receive_all(&mut sent(&mut queued), self.config.get_timeout_ms).await;
        let looks = queued.into_iter().zip(slots).zip(&physicals);
        looks.map(|((queued, slot), physical)| self.looked_up(slot, physical, queued?)).collect()
    }

    fn looked_up(&self, slot: &Slot, physical: &Physical, queued: Queued) -> Result<Lookup> {
        let line = queued.line();
        Ok(match self.found(physical, line, &queued.take()?)? {
            Found::Hit(hit) => Lookup::Hit(hit),
            Found::Lease(cas) => Lookup::Leased(Lease { slot: slot.clone(), token: token(line, cas) }),
            Found::Busy => Lookup::Busy,
            Found::Marked => Lookup::Marked,
            Found::Nothing | Found::Foreign | Found::OtherKey => Lookup::Refused,
        })
    }

    /// What an answer says, and what must be done about what should not be there.
    fn found(&self, physical: &Physical, line: u64, answer: &Answer) -> Result<Found> {
        let found = map::found(answer, physical.check());
        if matches!(found, Found::Foreign | Found::OtherKey) {
            MemcachedStats::count(&self.stats.foreign_values);
            self.connection(physical).send_and_forget(Some(line), physical.key(), Command::Delete);
        }
        if found == Found::OtherKey {
            // Its number was right and its contents are not: nothing on this connection can be trusted. The
            // delete goes first, or the next connection would end in the same way.
            self.connection(physical).end_when_written(line);
            return Err(map::corrupt(&self.config, "a value of another key"));
        }
        Ok(found)
    }

    pub(super) async fn peek(&self, slot: &Slot) -> Result<Option<Hit>> {
        let physical = Physical::of(slot);
        let mut queued = self.send(&physical, Command::Peek)?;
        receive_all(&mut [&mut queued], self.config.get_timeout_ms).await;
        let line = queued.line();
        match self.found(&physical, line, &queued.take()?)? {
            Found::Hit(hit) => Ok(Some(hit)),
            _ => Ok(None),
        }
    }

    /// Stores under a token. The request is queued when this returns.
    pub(super) fn store(
        &self,
        slot: &Slot,
        token: Token,
        entry: &Entry,
        ttl_ms: u64,
    ) -> BoxFuture<'static, Result<Fill>> {
        let physical = Physical::of(slot);
        let ttl = whole_seconds(ttl_ms);
        let value = value::encode(entry, physical.check(), ttl.as_secs());
        let queued = self.send_store(&physical, token, value::flags(entry), ttl, &value);
        let (config, stats) = (Arc::clone(&self.config), Arc::clone(&self.stats));
        Box::pin(async move {
            let fill = match queued {
                Ok(mut queued) => {
                    receive_all(&mut [&mut queued], config.mark_timeout_ms).await;
                    map::filled(&config, &queued.take()?)?
                }
                Err(fill) => fill?,
            };
            if fill == Fill::Refused {
                MemcachedStats::count(&stats.fills_refused);
            }
            Ok(fill)
        })
    }

    /// Queues a store, or says how it went without one.
    fn send_store(
        &self,
        physical: &Physical,
        token: Token,
        flags: u32,
        ttl: Ttl,
        value: &[u8],
    ) -> std::result::Result<Queued, Result<Fill>> {
        let connection = self.connection(physical);
        let line = Some(token.connection);
        // The server would drop whatever the key holds by then, even under a wrong token (transcript T11).
        match connection.value_len_max(token.connection) {
            None => return Err(Ok(Fill::Refused)),
            Some(value_len_max) if value.len() > value_len_max => {
                connection.send_and_forget(line, physical.key(), Command::DeleteIf(Cas(token.number)));
                return Err(Ok(Fill::TooLarge));
            }
            Some(_) => {}
        }
        let command = Command::Fill { token: Cas(token.number), flags, ttl, value };
        connection.send(line, physical.key(), command).map_err(|unsent| match unsent {
            Unsent::OtherLine => Ok(Fill::Refused),
            Unsent::Failed(error) => Err(error),
        })
    }

    /// Removes what `token` was given for, if it is still there.
    pub(super) fn give_back(&self, slot: &Slot, token: Token) {
        let physical = Physical::of(slot);
        let command = Command::DeleteIf(Cas(token.number));
        self.connection(&physical).send_and_forget(Some(token.connection), physical.key(), command);
    }

    pub(super) async fn mark(&self, slots: &[Slot]) -> Vec<Result<Mark>> {
        let write_id = u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64());
        let write_id = write_id.to_be_bytes();
        let command = Command::Mark { flags: value::MARK_FLAGS, write_id: &write_id };
        let answers = self.confirmed(slots, command).await;
        let marks = answers.into_iter().zip(slots).map(|(queued, slot)| {
            let queued = queued?;
            let line = queued.line();
            let cas = map::marked(&self.config, &queued.take()?)?;
            Ok(Mark { slot: slot.clone(), token: cas.map(|cas| token(line, cas)) })
        });
        marks.collect()
    }

    pub(super) async fn invalidate(&self, slots: &[Slot]) -> Vec<Result<()>> {
        let answers = self.confirmed(slots, Command::Delete).await;
        answers.into_iter().map(|queued| map::deleted(&self.config, &queued?.take()?)).collect()
    }

    /// Sends `command` for every slot; what a connection took with it is sent once more on the next one.
    async fn confirmed(&self, slots: &[Slot], command: Command<'_>) -> Vec<Result<Queued>> {
        let physicals: Vec<Physical> = slots.iter().map(Physical::of).collect();
        let mut queued: Vec<Result<Queued>> =
            physicals.iter().map(|physical| self.send(physical, command)).collect();
        receive_all(&mut sent(&mut queued), self.config.mark_timeout_ms).await;
        let lost: Vec<usize> = (0..slots.len()).filter(|at| is_lost(&queued[*at])).collect();
        if lost.is_empty() {
            return queued;
        }
        let replaced = async {
            for at in &lost {
                if let Ok(lost) = &queued[*at] {
                    self.connection(&physicals[*at]).replaced(lost.line()).await;
                }
            }
        };
        let limit = Duration::from_millis(self.config.mark_timeout_ms);
        if tokio::time::timeout(limit, replaced).await.is_ok() {
            for at in lost {
                queued[at] = self.send(&physicals[at], command);
            }
            receive_all(&mut sent(&mut queued), self.config.mark_timeout_ms).await;
        }
        queued
    }

    /// Never by `mg T`, which would prolong a lease or a mark as well (transcript T10): the entry is stored
    /// again under the token that was read with it.
    pub(super) async fn touch(&self, slot: &Slot, ttl_ms: u64) -> Result<Touch> {
        let physical = Physical::of(slot);
        let mut queued = self.send(&physical, Command::Peek)?;
        receive_all(&mut [&mut queued], self.config.get_timeout_ms).await;
        let line = queued.line();
        let answer = queued.take()?;
        let (Found::Hit(hit), Answer::Found(item)) = (self.found(&physical, line, &answer)?, answer) else {
            return Ok(Touch::Absent);
        };
        let ttl = whole_seconds(ttl_ms);
        // The header counts from the fill, so that the age goes on.
        let counted_s = u32::try_from(hit.age_ms / 1_000).unwrap_or(u32::MAX).saturating_add(ttl.as_secs());
        let value = value::encode(&hit.entry, physical.check(), counted_s);
        let mut queued = match self.send_store(&physical, token(line, item.token), item.flags, ttl, &value) {
            Ok(queued) => queued,
            Err(unsent) => return unsent.map(|_| Touch::Absent),
        };
        receive_all(&mut [&mut queued], self.config.mark_timeout_ms).await;
        match queued.take()? {
            Answer::Code { code: MetaCode::Done, .. } => Ok(Touch::Done),
            _ => Ok(Touch::Absent),
        }
    }
}

fn token(line: u64, cas: Cas) -> Token {
    Token { connection: line, number: cas.0 }
}

/// The requests that were queued.
fn sent(queued: &mut [Result<Queued>]) -> Vec<&mut Queued> {
    queued.iter_mut().filter_map(|queued| queued.as_mut().ok()).collect()
}

/// Whether the connection ended before the answer came, so that another may do better.
fn is_lost(queued: &Result<Queued>) -> bool {
    let error: Option<&Error> = queued.as_ref().ok().and_then(Queued::error);
    let kind = error.map(Error::kind);
    matches!(kind, Some(ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Corrupt))
}

/// memcached counts whole seconds; rounded down, because a resource's ttl is a promise.
fn whole_seconds(ttl_ms: u64) -> Ttl {
    Ttl::clamped(u32::try_from(ttl_ms / 1_000).unwrap_or(u32::MAX))
}
