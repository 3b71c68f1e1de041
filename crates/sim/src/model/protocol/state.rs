// SPDX-License-Identifier: MIT OR Apache-2.0
//! A state, and how states that differ in names only are made equal.

use super::{
    Content, Faults, Feed, Item, Outsider, OutsiderAt, Phase, Protocol, Reader, Sent, Token, Writer,
};
use crate::model::Promise;

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The committed version of the row; 0 is the one before every write.
    pub row: u8,
    /// Who holds the row's lock.
    pub lock: Option<Holder>,
    /// The cache slot.
    pub slot: Option<Item>,
    /// The writers.
    pub writers: Vec<Writer>,
    /// The readers.
    pub readers: Vec<Reader>,
    /// What is on its way to the slot, sorted.
    pub sent: Vec<Sent>,
    /// The least version that a read that begins now may return.
    pub floor: u8,
    /// Other programs.
    pub outsiders: Vec<Outsider>,
    /// The next id of the outbox.
    pub next_id: u8,
    /// The last id that was seen, for a feed that goes by it.
    pub last_id: u8,
    /// Where the outbox's reader is.
    pub phase: Phase,
    /// What may still go wrong.
    pub left: Faults,
    /// What went wrong with the promise.
    pub breach: Option<Breach>,
}

/// Who holds the row's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A writer of ours, which a probe sees.
    Writer(u8),
    /// Another program. An advisory lock, as on PostgreSQL, is not held then, so no probe sees it.
    Outsider(u8),
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Breach {
    /// The version that was returned, or that stays.
    pub shown: u8,
    /// The least that was due.
    pub due: u8,
}

impl State {
    pub(super) fn new(protocol: &Protocol) -> Self {
        let faults = protocol.faults;
        let outsider = |is_this_row| Outsider { at: OutsiderAt::Idle, is_this_row, id: 0 };
        let outsiders = std::iter::repeat_n(outsider(true), faults.outsiders.into())
            .chain(std::iter::repeat_n(outsider(false), faults.strangers.into()));
        Self {
            row: 0,
            lock: None,
            slot: None,
            writers: vec![Writer::NEW; protocol.writers],
            readers: vec![Reader::new(protocol.reads); protocol.readers],
            sent: Vec::new(),
            floor: 0,
            outsiders: if protocol.feed == Feed::Off { Vec::new() } else { outsiders.collect() },
            next_id: 1,
            last_id: 0,
            phase: Phase::Idle,
            left: faults,
            breach: None,
        }
    }

    /// Puts a command on its way.
    pub(super) fn send(&mut self, token: Token, value: Option<u8>) {
        self.sent.push(Sent { token, value });
    }

    /// Every live token that somebody could name.
    pub(super) fn tokens(&self) -> Vec<Token> {
        let tokens = self.slot.iter().map(|item| item.token);
        let tokens = tokens.chain(self.writers.iter().map(|writer| writer.token));
        let tokens = tokens.chain(self.readers.iter().map(|reader| reader.token));
        let tokens = tokens.chain(self.sent.iter().map(|sent| sent.token));
        tokens.filter(|token| token.is_live()).collect()
    }

    pub(super) fn rename(&mut self, mut rename: impl FnMut(&mut Token)) {
        self.slot.iter_mut().for_each(|item| rename(&mut item.token));
        self.writers.iter_mut().for_each(|writer| rename(&mut writer.token));
        self.readers.iter_mut().for_each(|reader| rename(&mut reader.token));
        self.sent.iter_mut().for_each(|sent| rename(&mut sent.token));
    }

    /// Names tokens by where they are seen first. The second round is for the order of what was sent, which
    /// is by token.
    pub(super) fn canonicalize(&mut self, is_symmetric: bool) {
        for _ in 0..2 {
            let mut seen: Vec<Token> = Vec::with_capacity(8);
            self.rename(|token| {
                if token.is_live() {
                    let known = seen.iter().position(|other| other == token);
                    *token = Token::named(known.unwrap_or_else(|| {
                        seen.push(*token);
                        seen.len() - 1
                    }));
                }
            });
            self.sent.sort_unstable();
            if is_symmetric {
                self.readers.sort_unstable();
            }
        }
    }
}

impl Protocol {
    /// For [`Promise::Converge`]: nothing is under way that could still put the slot right.
    pub(super) fn note_divergence(&self, state: &mut State) {
        let Some(Item { content: Content::Value(shown), .. }) = state.slot else { return };
        let is_quiet = state.writers.iter().all(|writer| writer.is_through()) && self.is_drained(state);
        if self.promise == Promise::Converge && is_quiet && shown < state.row && state.breach.is_none() {
            state.breach = Some(Breach { shown, due: state.row });
        }
    }
}
