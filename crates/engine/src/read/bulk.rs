// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads of many keys: look-ups in one go, one bulk load for what is missing.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use throughline_core::{Cache, Canonical, Error, ErrorKind, Intent, Key, Loaded, Mode, Result, Sent, Slot};

use super::look_up::{Found, judge};
use super::{Bypass, Read, Served, load};
use crate::lease::HeldLease;
use crate::space::Space;

/// The most keys of one call: what caches and sources take at a time.
const KEYS_MAX: usize = 1_000;

pub(crate) async fn get_many(space: &Arc<Space>, keys: &[Key]) -> Vec<Result<Read>> {
    if keys.len() > KEYS_MAX {
        let detail = format!("{} keys at once, at most {KEYS_MAX} are taken", keys.len());
        let error = Error::new(ErrorKind::TooLarge, "read several records", detail);
        return keys.iter().map(|_| Err(error.clone())).collect();
    }
    if let Err(error) = space.refuse_if_yielded() {
        return keys.iter().map(|_| Err(error.clone())).collect();
    }
    // A key that is asked for twice would wait for its own lease.
    let mut distinct: HashMap<&Key, Option<Result<Read>>> = keys.iter().map(|key| (key, None)).collect();
    let wanted: Vec<&Key> = distinct.keys().copied().collect();
    for (key, read) in wanted.iter().zip(read_distinct(space, &wanted).await) {
        distinct.insert(key, Some(read));
    }
    keys.iter().map(|key| distinct[key].clone().expect("every distinct key was read")).collect()
}

/// What is still to be done for one key.
enum Todo {
    Done(Result<Read>),
    /// Load under this lease and fill.
    Fill(HeldLease),
    /// Load past the cache.
    Past(Bypass),
    /// Somebody is at work on it: read it by itself.
    Alone,
}

async fn read_distinct(space: &Arc<Space>, keys: &[&Key]) -> Vec<Result<Read>> {
    let mut todo: Vec<Todo> = keys.iter().map(|key| first_look(space, key)).collect();
    if let Some(cache) = &space.parts.cache {
        look_up_all(space, cache, keys, &mut todo).await;
    }
    let alone = keys.iter().zip(&todo).filter(|(_, todo)| matches!(todo, Todo::Alone));
    let alone: Vec<&Key> = alone.map(|(key, _)| *key).collect();
    let todo = fill_all(space, keys, todo).await;
    let todo = bypass_all(space, keys, todo).await;
    let mut read_alone = join_all(alone.iter().map(|key| super::get(space, key))).await.into_iter();
    let answers = todo.into_iter().map(|todo| match todo {
        Todo::Done(read) => read,
        _ => read_alone.next().expect("what is left was read alone"),
    });
    answers.collect()
}

/// What can be said without waiting.
fn first_look(space: &Arc<Space>, key: &Key) -> Todo {
    if let Some(hit) = space.try_get(key.as_str()) {
        return Todo::Done(Ok(Read::from_hit(hit)));
    }
    match space.parts.loader.canonical(key) {
        Err(error) => Todo::Done(Err(error)),
        Ok(_) if !space.has_cache() => Todo::Past(Bypass::NoCache),
        Ok(_) if space.mode() == Mode::Source => Todo::Past(Bypass::Mode),
        Ok(_) if space.owed.holds(key) => Todo::Past(Bypass::Owed),
        Ok(Canonical::Other(_)) => Todo::Past(Bypass::Key),
        Ok(Canonical::Same) => Todo::Alone,
    }
}

async fn look_up_all(space: &Arc<Space>, cache: &Arc<dyn Cache>, keys: &[&Key], todo: &mut [Todo]) {
    if space.mode() == Mode::Shadow {
        // Each is compared by itself.
        return;
    }
    let (mut open, mut slots) = (Vec::new(), Vec::<Slot>::new());
    for place in 0..keys.len() {
        if !matches!(todo[place], Todo::Alone) {
            continue;
        }
        match space.reader_slot(keys[place]) {
            Ok(slot) => {
                open.push(place);
                slots.push(slot);
            }
            Err(why) => todo[place] = Todo::Past(why),
        }
    }
    if open.is_empty() {
        return;
    }
    let answers = cache.get_many(&slots).await;
    for ((place, slot), answer) in open.into_iter().zip(&slots).zip(answers) {
        todo[place] = match judge(space, cache, slot, answer).await {
            Found::Answer(read) => Todo::Done(Ok(read)),
            Found::Leased(lease) => Todo::Fill(lease),
            Found::Past(why) => Todo::Past(why),
            Found::Wait(_) => Todo::Alone,
        };
    }
}

/// Loads every leased key in one bulk load and fills.
async fn fill_all(space: &Arc<Space>, keys: &[&Key], todo: Vec<Todo>) -> Vec<Todo> {
    let leased = keys.iter().zip(&todo).filter(|(_, todo)| matches!(todo, Todo::Fill(_)));
    let leased: Vec<Key> = leased.map(|(key, _)| (*key).clone()).collect();
    space.stats.misses.add(leased.len() as u64);
    let mut loaded = load_many(space, &leased, true).await;
    let filled = todo.into_iter().map(|todo| match todo {
        Todo::Fill(lease) => {
            let loaded = loaded.next().expect("a bulk load answers every key");
            Todo::Done(loaded.map(|loaded| load::fill(space, lease, loaded)))
        }
        other => other,
    });
    filled.collect()
}

/// Loads every key that goes past the cache in one bulk load.
async fn bypass_all(space: &Arc<Space>, keys: &[&Key], mut todo: Vec<Todo>) -> Vec<Todo> {
    for todo in &mut todo {
        if let Todo::Past(why) = *todo
            && let Err(error) = space.afford_bypass(why)
        {
            *todo = Todo::Done(Err(error));
        }
    }
    let past = keys.iter().zip(&todo).filter(|(_, todo)| matches!(todo, Todo::Past(_)));
    let past: Vec<Key> = past.map(|(key, _)| (*key).clone()).collect();
    let mut loaded = load_many(space, &past, false).await;
    let read = todo.into_iter().map(|todo| match todo {
        Todo::Past(why) => {
            space.count_bypass(why);
            let loaded = loaded.next().expect("a bulk load answers every key");
            Todo::Done(
                loaded.map(|loaded| Read::from_source(space.entry(loaded.record), Served::Bypass(why))),
            )
        }
        other => other,
    });
    read.collect()
}

/// One bulk load; an error is every key's error.
async fn load_many(space: &Arc<Space>, keys: &[Key], fill: bool) -> std::vec::IntoIter<Result<Loaded>> {
    if keys.is_empty() {
        return Vec::new().into_iter();
    }
    space.stats.loads.add(1);
    let loaded = space.parts.loader.load_many(keys, Intent { fill, sent: Sent::new() }).await;
    let answers: Vec<_> = match loaded {
        Ok(loaded) => loaded.into_iter().map(Ok).collect(),
        Err(error) => {
            space.stats.load_errors.add(1);
            keys.iter().map(|_| Err(error.clone())).collect()
        }
    };
    answers.into_iter()
}
