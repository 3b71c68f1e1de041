// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which request goes where, when it is tried again, and what becomes of its answer.

mod tagged;

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{
    BoxFuture, Clock, Entry, Error, ErrorKind, Fill, Hit, Lease, Lookup, Mark, NodeId, Result, Rng, Slot,
    Tasks, Token, Touch,
};
use throughline_wire::memcached::MetaCode;
use throughline_wire::memcached::command::{Cas, Ttl};

use super::answer::{Answer, Command};
use super::config::{MemcachedConfig, MemcachedServer};
use super::connection::{Connection, Queued, Surroundings, Unsent, receive_all};
use super::map::{self, Found};
use super::node::Node;
use super::physical::Physical;
use super::stats::MemcachedStats;
use super::value;

/// The servers.
#[derive(Debug)]
pub(super) struct Client {
    config: Arc<MemcachedConfig>,
    rng: Arc<Rng>,
    nodes: Vec<Node>,
}

/// Where a slot is kept.
struct Place<'a> {
    physical: Physical,
    /// All calls for one key use one connection: they are executed in their order, and tokens are good there.
    connection: &'a Arc<Connection>,
}

impl Place<'_> {
    fn send(&self, command: Command<'_>) -> Result<Queued> {
        self.connection.send(None, self.physical.key(), command).map_err(|unsent| match unsent {
            Unsent::Failed(error) => error,
            Unsent::OtherLine => unreachable!("the request may travel on any line"),
        })
    }

    fn server(&self) -> &MemcachedServer {
        self.connection.server()
    }
}

impl Client {
    pub(super) fn start(
        config: MemcachedConfig,
        clock: &Arc<dyn Clock>,
        rng: Arc<Rng>,
        tasks: &dyn Tasks,
    ) -> Self {
        let config = Arc::new(config);
        let surroundings = Surroundings { config: Arc::clone(&config), clock, rng: Arc::clone(&rng), tasks };
        let nodes = config.servers.iter().map(|server| Node::start(server, &surroundings)).collect();
        Self { config, rng, nodes }
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn node(&self, node: NodeId) -> &Node {
        &self.nodes[usize::from(node.0)]
    }

    fn place(&self, slot: &Slot) -> Place<'_> {
        let physical = Physical::of(slot);
        let connection = self.node(slot.route.node).connection(physical.check());
        Place { physical, connection }
    }

    fn places(&self, slots: &[Slot]) -> Vec<Place<'_>> {
        slots.iter().map(|slot| self.place(slot)).collect()
    }

    /// As [`Client::get_many`], for one slot without the lists.
    pub(super) async fn get(&self, slot: &Slot) -> Result<Lookup> {
        let place = self.place(slot);
        let mut queued = place.send(Command::Get)?;
        receive_all(&mut [&mut queued], self.config.get_timeout_ms).await;
        let line = queued.line();
        looked_up(slot, &place, line, &queued.take()?)
    }

    pub(super) async fn get_many(&self, slots: &[Slot]) -> Vec<Result<Lookup>> {
        let places = self.places(slots);
        let mut queued: Vec<Result<Queued>> = places.iter().map(|place| place.send(Command::Get)).collect();
        receive_all(&mut sent(&mut queued), self.config.get_timeout_ms).await;
        let looks = queued.into_iter().zip(slots).zip(&places);
        let look = |((queued, slot), place): ((Result<Queued>, &Slot), &Place<'_>)| {
            let queued = queued?;
            let line = queued.line();
            looked_up(slot, place, line, &queued.take()?)
        };
        looks.map(look).collect()
    }

    pub(super) async fn peek(&self, slot: &Slot) -> Result<Option<Hit>> {
        let place = self.place(slot);
        let mut queued = place.send(Command::Peek)?;
        receive_all(&mut [&mut queued], self.config.get_timeout_ms).await;
        let line = queued.line();
        match found(&place, line, &queued.take()?)? {
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
        let place = self.place(slot);
        let ttl = whole_seconds(ttl_ms);
        let value = value::encode(entry, place.physical.check(), ttl.as_secs());
        let queued = send_store(&place, token, value::flags(entry), ttl, &value);
        let connection = Arc::clone(place.connection);
        let timeout_ms = self.config.mark_timeout_ms;
        Box::pin(async move {
            let fill = match queued {
                Ok(mut queued) => {
                    receive_all(&mut [&mut queued], timeout_ms).await;
                    map::filled(connection.server(), &queued.take()?)?
                }
                Err(fill) => fill?,
            };
            if fill == Fill::Refused {
                MemcachedStats::count(&connection.stats().fills_refused);
            }
            Ok(fill)
        })
    }

    /// Removes what `token` was given for, if it is still there.
    pub(super) fn give_back(&self, slot: &Slot, token: Token) {
        let place = self.place(slot);
        let command = Command::DeleteIf(Cas(token.number));
        place.connection.send_and_forget(Some(token.connection), place.physical.key(), command);
    }

    pub(super) async fn mark(&self, slots: &[Slot]) -> Vec<Result<Mark>> {
        let write_id = u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64());
        let write_id = write_id.to_be_bytes();
        let command = Command::Mark { flags: value::MARK_FLAGS, write_id: &write_id };
        let places = self.places(slots);
        let answers = self.confirmed(&places, command).await;
        let marks = answers.into_iter().zip(slots).zip(&places).map(|((queued, slot), place)| {
            let queued = queued?;
            let line = queued.line();
            let cas = map::marked(place.server(), &queued.take()?)?;
            Ok(Mark { slot: slot.clone(), token: cas.map(|cas| token(line, cas)) })
        });
        marks.collect()
    }

    pub(super) async fn invalidate(&self, slots: &[Slot]) -> Vec<Result<()>> {
        let places = self.places(slots);
        let answers = self.confirmed(&places, Command::Delete).await.into_iter().zip(&places);
        answers.map(|(queued, place)| map::deleted(place.server(), &queued?.take()?)).collect()
    }

    /// Sends `command` to every place; what a connection took with it is sent once more on the next one.
    async fn confirmed(&self, places: &[Place<'_>], command: Command<'_>) -> Vec<Result<Queued>> {
        let mut queued: Vec<Result<Queued>> = places.iter().map(|place| place.send(command)).collect();
        receive_all(&mut sent(&mut queued), self.config.mark_timeout_ms).await;
        let lost: Vec<usize> = (0..places.len()).filter(|at| is_lost(&queued[*at])).collect();
        if lost.is_empty() {
            return queued;
        }
        let replaced = async {
            for at in &lost {
                if let Ok(lost) = &queued[*at] {
                    places[*at].connection.replaced(lost.line()).await;
                }
            }
        };
        // When one server stays away, what went to the others has its second chance all the same.
        let _ = tokio::time::timeout(Duration::from_millis(self.config.mark_timeout_ms), replaced).await;
        for at in lost {
            if let Ok(again) = places[at].send(command) {
                queued[at] = Ok(again);
            }
        }
        receive_all(&mut sent(&mut queued), self.config.mark_timeout_ms).await;
        queued
    }

    /// Never by `mg T`, which would prolong a lease or a mark as well (transcript T10): the entry is stored
    /// again under the token that was read with it.
    pub(super) async fn touch(&self, slot: &Slot, ttl_ms: u64) -> Result<Touch> {
        let place = self.place(slot);
        let mut queued = place.send(Command::Peek)?;
        receive_all(&mut [&mut queued], self.config.get_timeout_ms).await;
        let line = queued.line();
        let answer = queued.take()?;
        let (Found::Hit(hit), Answer::Found(item)) = (found(&place, line, &answer)?, answer) else {
            return Ok(Touch::Absent);
        };
        let ttl = whole_seconds(ttl_ms);
        // The header counts from the fill, so that the age goes on.
        let counted_s = u32::try_from(hit.age_ms() / 1_000).unwrap_or(u32::MAX).saturating_add(ttl.as_secs());
        let value = value::encode(&hit.into_entry(), place.physical.check(), counted_s);
        let mut queued = match send_store(&place, token(line, item.token), item.flags, ttl, &value) {
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

fn looked_up(slot: &Slot, place: &Place<'_>, line: u64, answer: &Answer) -> Result<Lookup> {
    Ok(match found(place, line, answer)? {
        Found::Hit(hit) => Lookup::Hit(hit),
        Found::Lease(cas) => Lookup::Leased(Lease { slot: slot.clone(), token: token(line, cas) }),
        Found::Busy => Lookup::Busy,
        Found::Marked => Lookup::Marked,
        Found::Nothing | Found::Foreign | Found::OtherKey => Lookup::Refused,
    })
}

/// What an answer says, and what must be done about what should not be there.
fn found(place: &Place<'_>, line: u64, answer: &Answer) -> Result<Found> {
    let Place { physical, connection } = place;
    let found = map::found(answer, physical.check());
    if matches!(found, Found::Foreign | Found::OtherKey) {
        MemcachedStats::count(&connection.stats().foreign_values);
        connection.send_and_forget(Some(line), physical.key(), Command::Delete);
    }
    if found == Found::OtherKey {
        // Its number was right and its contents are not: nothing on this connection can be trusted. The
        // delete goes first, or the next connection would end in the same way.
        connection.end_when_written(line);
        return Err(map::corrupt(connection.server(), "a value of another key"));
    }
    Ok(found)
}

/// Queues a store, or says how it went without one.
fn send_store(
    place: &Place<'_>,
    token: Token,
    flags: u32,
    ttl: Ttl,
    value: &[u8],
) -> std::result::Result<Queued, Result<Fill>> {
    let Place { physical, connection } = place;
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
