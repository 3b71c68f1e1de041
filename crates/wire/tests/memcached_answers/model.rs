// SPDX-License-Identifier: MIT OR Apache-2.0
//! The smallest server that our parser and composers can be judged by: a map in which time stands still.

use std::collections::HashMap;

use throughline_wire::memcached::reply::{self, MetaItem};
use throughline_wire::memcached::request::{
    ArithmeticMode, MetaRequest, Parsed, Request, Store, StoreMode, parse,
};
use throughline_wire::memcached::{KEY_LEN_MAX, Limits, MetaCode, Status};

use crate::table::Outcome;

#[derive(Clone, Default)]
struct Item {
    value: Vec<u8>,
    flags: u32,
    ttl_s: Option<u32>,
    cas: u64,
    won: bool,
}

#[derive(Default)]
pub(crate) struct Model {
    items: HashMap<Vec<u8>, Item>,
    cas: u64,
    out: Vec<u8>,
    buf: Vec<u8>,
    swallow: usize,
    closed: bool,
}

impl Model {
    pub(crate) fn ask(mut self, sent: &[u8]) -> Outcome {
        self.receive(sent);
        Outcome { answer: self.out, closed: self.closed }
    }

    /// Receives what was sent in the smallest pieces, byte by byte unless it is large.
    pub(crate) fn ask_in_pieces(mut self, sent: &[u8]) -> Outcome {
        for piece in sent.chunks(if sent.len() <= 8192 { 1 } else { 4099 }) {
            self.receive(piece);
        }
        Outcome { answer: self.out, closed: self.closed }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        let mut buf = std::mem::take(&mut self.buf);
        buf.extend_from_slice(bytes);
        let mut start = 0;
        while !self.closed {
            let dropped = self.swallow.min(buf.len() - start);
            self.swallow -= dropped;
            start += dropped;
            match parse(&buf[start..], &Limits::default()) {
                Parsed::Incomplete { need } => {
                    assert!(need > buf.len() - start, "an incomplete request needs more than there is");
                    break;
                }
                Parsed::Request { request, consumed } => {
                    self.execute(&request);
                    start += consumed;
                }
                Parsed::Bad { reply, consumed, close, swallow } => {
                    self.out.extend_from_slice(reply);
                    self.closed |= close;
                    self.swallow = swallow;
                    start += consumed;
                }
            }
        }
        buf.drain(..start);
        self.buf = buf;
    }

    fn execute(&mut self, request: &Request<'_>) {
        match request {
            Request::Get { keys, with_cas } | Request::GetAndTouch { keys, with_cas, .. } => {
                for key in *keys {
                    if let Some(item) = self.items.get(key) {
                        reply::value(
                            &mut self.out,
                            key,
                            item.flags,
                            with_cas.then_some(item.cas),
                            &item.value,
                        );
                    }
                }
                reply::status(&mut self.out, Status::End);
            }
            Request::Store(store) => {
                let item = Item {
                    value: store.value.to_vec(),
                    flags: store.flags,
                    ttl_s: ttl(store.exptime),
                    ..Item::default()
                };
                let Store { mode, key, cas, noreply, .. } = *store;
                let status = match self.store(mode, key, cas, item) {
                    MetaCode::Done => Status::Stored,
                    MetaCode::Exists => Status::Exists,
                    MetaCode::NotFound => Status::NotFound,
                    MetaCode::NotStored | MetaCode::Miss => Status::NotStored,
                };
                self.status(status, noreply);
            }
            Request::Delete { key, noreply } => {
                let found = self.items.remove(*key).is_some();
                self.status(if found { Status::Deleted } else { Status::NotFound }, *noreply);
            }
            Request::Touch { key, noreply, .. } => {
                let found = self.items.contains_key(*key);
                self.status(if found { Status::Touched } else { Status::NotFound }, *noreply);
            }
            Request::FlushAll { noreply, .. } | Request::Verbosity { noreply, .. } => {
                self.status(Status::Ok, *noreply);
            }
            Request::Arithmetic { mode, key, delta, noreply } => match self.count(key, *mode, *delta) {
                Counted::Number(_) if *noreply => {}
                Counted::Number(number) => reply::number(&mut self.out, number),
                Counted::NotFound => self.status(Status::NotFound, *noreply),
                Counted::NoNumber => self.no_number(),
            },
            Request::Version => reply::version(&mut self.out, "1.6.18"),
            Request::Stats { argument } => {
                assert_eq!(*argument, Some(&b"nonsense"[..]), "the table asks for no real statistics");
                reply::status(&mut self.out, Status::Error);
            }
            Request::Quit => self.closed = true,
            Request::MetaNoop => reply::meta_noop(&mut self.out),
            Request::MetaGet(meta) => self.meta_get(meta),
            Request::MetaSet { meta, mode, value } => self.meta_set(meta, *mode, value),
            Request::MetaDelete(meta) => self.meta_delete(meta),
            Request::MetaArithmetic { meta, mode } => self.meta_arithmetic(meta, *mode),
            Request::MetaDebug { .. } => reply::meta_miss(&mut self.out),
        }
    }

    fn meta_get(&mut self, meta: &MetaRequest<'_>) {
        let key = meta.key.bytes(&mut [0; KEY_LEN_MAX]).to_vec();
        let created = !self.items.contains_key(&key) && meta.flags.vivify.is_some();
        if created {
            self.cas += 1;
            self.items.insert(key.clone(), Item { cas: self.cas, ..Item::default() });
        }
        let Some(item) = self.items.get_mut(&key) else {
            return self.code(meta, MetaCode::Miss, None, true);
        };
        let recached = !item.won
            && meta.flags.recache.zip(item.ttl_s).is_some_and(|(than, left)| i64::from(left) < than);
        let old = item.clone();
        item.won |= created || recached;
        // Flags act in the order of their writing, so `t` shows what an `N` or `T` before it has set.
        let mut seen_t = false;
        let mut shown = old.ttl_s;
        for flag in meta.flags.in_order() {
            let set = match flag.letter {
                b'N' if created => meta.flags.vivify,
                b'T' => meta.flags.ttl,
                _ => None,
            };
            if let Some(set) = set {
                item.ttl_s = ttl(set);
                shown = if seen_t { shown } else { item.ttl_s };
            }
            seen_t |= flag.letter == b't';
        }
        let item = MetaItem {
            value: &old.value,
            client_flags: old.flags,
            cas: old.cas,
            ttl_s: shown,
            idle_s: 0,
            fetched: false,
            won: created || recached,
            already_won: old.won,
            stale: false,
        };
        reply::meta_hit(&mut self.out, meta, &item);
    }

    fn meta_set(&mut self, meta: &MetaRequest<'_>, mode: StoreMode, value: &[u8]) {
        let key = meta.key.bytes(&mut [0; KEY_LEN_MAX]).to_vec();
        let cas = meta.flags.cas.filter(|_| matches!(mode, StoreMode::Set | StoreMode::Replace));
        let item = Item {
            value: value.to_vec(),
            flags: meta.flags.client_flags.unwrap_or(0),
            ttl_s: ttl(meta.flags.ttl.unwrap_or(0)),
            ..Item::default()
        };
        let code = self.store(mode, &key, cas, item);
        let cas = if code == MetaCode::Done { self.cas } else { 0 };
        self.code(meta, code, Some(cas), false);
    }

    fn meta_delete(&mut self, meta: &MetaRequest<'_>) {
        let key = meta.key.bytes(&mut [0; KEY_LEN_MAX]).to_vec();
        let code = match self.items.get(&key) {
            None => MetaCode::NotFound,
            Some(item) if meta.flags.cas.is_some_and(|cas| cas != item.cas) => MetaCode::Exists,
            Some(_) => MetaCode::Done,
        };
        if code == MetaCode::Done {
            self.items.remove(&key);
        }
        self.code(meta, code, None, false);
    }

    fn meta_arithmetic(&mut self, meta: &MetaRequest<'_>, mode: ArithmeticMode) {
        let key = meta.key.bytes(&mut [0; KEY_LEN_MAX]).to_vec();
        let initial = meta.flags.vivify.map(|_| meta.flags.initial.unwrap_or(0));
        let counted = match (self.count(&key, mode, meta.flags.delta.unwrap_or(1)), initial) {
            (Counted::NotFound, Some(initial)) => {
                let value = initial.to_string().into_bytes();
                self.store(StoreMode::Set, &key, None, Item { value, ..Item::default() });
                Counted::Number(initial)
            }
            (counted, _) => counted,
        };
        match counted {
            Counted::Number(_) if reply::is_hidden(&meta.flags, MetaCode::Done, false) => {}
            Counted::Number(number) => reply::meta_number(&mut self.out, meta, number, self.cas, None),
            Counted::NotFound => self.code(meta, MetaCode::NotFound, None, false),
            Counted::NoNumber => self.no_number(),
        }
    }

    fn store(&mut self, mode: StoreMode, key: &[u8], cas: Option<u64>, mut item: Item) -> MetaCode {
        let old = self.items.get(key);
        match (mode, old) {
            (StoreMode::Set, None) if cas.is_some() => return MetaCode::NotFound,
            (StoreMode::Replace | StoreMode::Append | StoreMode::Prepend, None) => {
                return MetaCode::NotStored;
            }
            (StoreMode::Add, Some(_)) => return MetaCode::NotStored,
            (_, Some(old)) if cas.is_some_and(|cas| cas != old.cas) => return MetaCode::Exists,
            (StoreMode::Append, Some(old)) => item.value = [&old.value[..], &item.value].concat(),
            (StoreMode::Prepend, Some(old)) => item.value.extend_from_slice(&old.value),
            _ => {}
        }
        self.cas += 1;
        item.cas = self.cas;
        self.items.insert(key.to_vec(), item);
        MetaCode::Done
    }

    fn count(&mut self, key: &[u8], mode: ArithmeticMode, delta: u64) -> Counted {
        let Some(item) = self.items.get_mut(key) else {
            return Counted::NotFound;
        };
        let Some(number) = throughline_wire::memcached::parse_u64(&item.value) else {
            return Counted::NoNumber;
        };
        let number = match mode {
            ArithmeticMode::Increment => number.wrapping_add(delta),
            ArithmeticMode::Decrement => number.saturating_sub(delta),
        };
        item.value = number.to_string().into_bytes();
        Counted::Number(number)
    }

    fn no_number(&mut self) {
        reply::client_error(&mut self.out, "cannot increment or decrement non-numeric value");
    }

    fn status(&mut self, status: Status, noreply: bool) {
        if !noreply {
            reply::status(&mut self.out, status);
        }
    }

    fn code(&mut self, meta: &MetaRequest<'_>, code: MetaCode, cas: Option<u64>, is_get: bool) {
        if !reply::is_hidden(&meta.flags, code, is_get) {
            reply::meta_code(&mut self.out, meta, code, cas);
        }
    }
}

enum Counted {
    Number(u64),
    NotFound,
    NoNumber,
}

fn ttl(exptime: i64) -> Option<u32> {
    u32::try_from(exptime).ok().filter(|seconds| *seconds > 0)
}
