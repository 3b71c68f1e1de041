// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decides whether one key's history is linearizable, without the audit table.
//!
//! The search of Wing and Gong, in Lowe's just-in-time form: it keeps the set of states in which the register
//! may be (its value, and which of the open operations have taken effect) and moves it forward event by
//! event. An operation is made to take effect at the latest when it ends, so the set stays as small as the
//! number of operations under way at once, whatever the history's length.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use super::replay::{Event, replay};
use crate::history::{History, Kind, Operation, Outcome, Seen};

/// How many operations may be open at once: a state notes them in the bits of a word.
const OPEN_MAX: usize = 64;
/// How many states are followed before the search gives up.
const STATES_MAX: usize = 20_000;

/// What the search found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is an order of the operations that explains every answer.
    Linearizable,
    /// There is none; this answer was the first that no order explains.
    Violated(Operation),
    /// Too many operations were open at once.
    Undecided,
}

/// A value of the register: the operation that wrote it, or nothing while the row is absent.
type Value = Option<u64>;

/// One state in which the register may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    value: Value,
    /// The open operations that have taken effect, by their places.
    done: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    op: u64,
    writes: bool,
    value: Value,
    ends: bool,
}

/// The operations of each key, in order of time, at most `len_max` per key; what was still under way at the
/// cut is open for ever. Every prefix of a linearizable history is linearizable, so the cut is fair.
///
/// # Errors
/// When the history cannot be read.
pub fn sample(history: &History, len_max: usize) -> io::Result<BTreeMap<i64, Vec<Operation>>> {
    let mut keys: BTreeMap<i64, (Vec<Operation>, u64)> = BTreeMap::new();
    replay(history, |event| {
        let Event::Begin(_, operation) = event else { return };
        let (operations, cut_ns) = keys.entry(operation.key).or_insert((Vec::new(), u64::MAX));
        if operations.len() < len_max {
            operations.push(*operation);
        } else {
            *cut_ns = (*cut_ns).min(operation.begin_ns);
        }
    })?;
    let cut = |(mut operations, cut_ns): (Vec<Operation>, u64)| {
        for operation in &mut operations {
            if operation.end_ns.is_some_and(|end_ns| end_ns >= cut_ns) {
                operation.end_ns = None;
                operation.outcome = Outcome::Unknown;
            }
        }
        operations
    };
    Ok(keys.into_iter().map(|(key, found)| (key, cut(found))).collect())
}

/// Decides on the operations of one key, which was absent before the first of them.
pub fn decide(operations: &[Operation]) -> Decision {
    let mut search = Search::default();
    for (_, begins, operation) in events(operations) {
        let decision = if begins { search.begin(operation) } else { search.end(operation) };
        if let Some(decision) = decision {
            return decision;
        }
    }
    Decision::Linearizable
}

/// The begins and ends that can matter, in order of time. A write of unknown outcome whose value nobody was
/// shown can be taken as never done, and an unanswered read says nothing.
fn events(operations: &[Operation]) -> Vec<(u64, bool, &Operation)> {
    let shown = |operation: &&Operation| operation.kind == Kind::Get && operation.outcome == Outcome::Ok;
    let shown: HashSet<Value> = operations.iter().filter(shown).filter_map(value).collect();
    let mut events = Vec::with_capacity(2 * operations.len());
    for operation in operations {
        let unseen = || value(operation).is_none_or(|value| !shown.contains(&value));
        let silent = match operation.outcome {
            Outcome::Ok => false,
            Outcome::Fail => true,
            Outcome::Unknown => operation.kind == Kind::Get || unseen(),
        };
        if !silent {
            events.push((operation.begin_ns, true, operation));
            events.extend(operation.end_ns.filter(|_| ends(operation)).map(|end| (end, false, operation)));
        }
    }
    // At one moment begins come before ends, as in the floor check.
    events.sort_by_key(|(at_ns, begins, _)| (*at_ns, !begins));
    events
}

fn ends(operation: &Operation) -> bool {
    operation.outcome == Outcome::Ok && operation.end_ns.is_some()
}

/// What the operation shows or writes; `None` when it is no value at all.
fn value(operation: &Operation) -> Option<Value> {
    match (operation.kind, operation.seen) {
        (Kind::Delete, _) | (Kind::Get, Seen::Absent) => Some(None),
        (Kind::Put, _) => Some(Some(operation.op)),
        (Kind::Get, Seen::Value { op, .. }) => Some(Some(op)),
        (Kind::Get, Seen::Garbled) => None,
    }
}

/// Deletes of unknown outcome are all alike and never end, so they need no places: `States` notes for each
/// state how many of them it has used, at least, and `deletes_begun` says how many there are to use.
struct Search {
    states: States,
    open: [Option<Open>; OPEN_MAX],
    deletes_begun: u32,
}

type States = HashMap<State, u32>;

impl Default for Search {
    fn default() -> Self {
        let start = State { value: None, done: 0 };
        Self { states: HashMap::from([(start, 0)]), open: [None; OPEN_MAX], deletes_begun: 0 }
    }
}

impl Search {
    fn begin(&mut self, operation: &Operation) -> Option<Decision> {
        let Some(value) = value(operation) else { return Some(Decision::Violated(*operation)) };
        let (writes, ends) = (operation.kind != Kind::Get, ends(operation));
        if operation.kind == Kind::Delete && !ends {
            self.deletes_begun += 1;
            return None;
        }
        if self.open.iter().all(Option::is_some) {
            self.retire();
        }
        let Some(place) = self.open.iter_mut().find(|place| place.is_none()) else {
            return Some(Decision::Undecided);
        };
        *place = Some(Open { op: operation.op, writes, value, ends });
        if !writes {
            self.states = self.states.iter().map(|(state, used)| (self.settled(*state), *used)).collect();
        }
        None
    }

    /// Lets the operation take effect in every state, and forgets the states in which it cannot.
    fn end(&mut self, operation: &Operation) -> Option<Decision> {
        let is_it = |open: &Option<Open>| open.is_some_and(|open| open.op == operation.op);
        let place = self.open.iter().position(is_it).expect("an operation begins before it ends");
        let mut ready = States::new();
        let mut met = self.states.clone();
        let mut waiting: Vec<(State, u32)> = self.states.drain().collect();
        while let Some((state, used)) = waiting.pop() {
            if state.done & (1 << place) != 0 {
                note(&mut ready, State { done: state.done & !(1 << place), ..state }, used);
                continue;
            }
            for (next, used) in self.after_one_write(state, used) {
                if note(&mut met, next, used) {
                    waiting.push((next, used));
                }
            }
            if met.len() > STATES_MAX {
                return Some(Decision::Undecided);
            }
        }
        self.states = ready;
        self.open[place] = None;
        self.states.is_empty().then_some(Decision::Violated(*operation))
    }

    fn after_one_write(&self, state: State, used: u32) -> Vec<(State, u32)> {
        let applied = |(place, open): (usize, &Option<Open>)| {
            let open = open.filter(|open| open.writes && state.done & (1 << place) == 0)?;
            Some((self.settled(State { value: open.value, done: state.done | 1 << place }), used))
        };
        let deleted =
            (used < self.deletes_begun).then(|| (self.settled(State { value: None, ..state }), used + 1));
        self.open.iter().enumerate().filter_map(applied).chain(deleted).collect()
    }

    /// The same state with every open read of its value done: a read changes nothing, so the earliest moment
    /// at which it can take effect is as good as any.
    fn settled(&self, state: State) -> State {
        let reads = |open: &Option<Open>| open.is_some_and(|open| !open.writes && open.value == state.value);
        let done = self.open.iter().enumerate().filter(|(_, open)| reads(open));
        State { done: done.fold(state.done, |done, (place, _)| done | 1 << place), ..state }
    }

    /// Frees the places of writes without an end that have taken effect in every state.
    fn retire(&mut self) {
        let common = self.states.keys().fold(u64::MAX, |common, state| common & state.done);
        let mut freed = 0;
        for (place, open) in self.open.iter_mut().enumerate() {
            if common & (1 << place) != 0 && open.is_some_and(|open| !open.ends) {
                *open = None;
                freed |= 1 << place;
            }
        }
        let free = |(state, used): (State, u32)| (State { done: state.done & !freed, ..state }, used);
        self.states = self.states.drain().map(free).collect();
    }
}

/// Notes a state with the fewest deletes used; whether that is news.
fn note(states: &mut States, state: State, used: u32) -> bool {
    let least = states.entry(state).or_insert(u32::MAX);
    let news = used < *least;
    *least = used.min(*least);
    news
}
