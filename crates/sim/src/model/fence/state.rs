// SPDX-License-Identifier: MIT OR Apache-2.0
//! A state, and how states that differ in names only are made equal.

use super::{Fence, Reader, Writer};
use crate::model::protocol::Token;

/// The most generations that a search goes through: the first, and one per fence.
pub(super) const GENERATIONS: usize = 3;
/// The daemons.
pub(super) const DAEMONS: usize = 2;

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// The committed version of the row.
    pub row: u8,
    /// The daemon whose writer holds the row's lock.
    pub lock: Option<u8>,
    /// The control row of the node.
    pub control: Control,
    /// The key's slot in each generation.
    pub slots: [Option<Item>; GENERATIONS],
    /// What each daemon knows.
    pub daemons: [Daemon; DAEMONS],
    /// A writer in each.
    pub writers: [Writer; DAEMONS],
    /// A reader in each.
    pub readers: [Reader; DAEMONS],
    /// Stores on their way, sorted.
    pub sent: Vec<Sent>,
    /// Generations in which the key is still to be invalidated.
    pub owed: Vec<u8>,
    /// Whether the node's identity is another than the control row's.
    pub is_stranger: bool,
    /// Contents that may come back.
    pub saved: Option<[Option<Content>; GENERATIONS]>,
    /// The least version that a read that begins now may return.
    pub floor: u8,
    /// Partitions left.
    pub cuts_left: u8,
    /// Fences left.
    pub fences_left: u8,
    /// Evictions left.
    pub evictions_left: u8,
    /// Returns of old contents left.
    pub returns_left: u8,
    /// What went wrong with the promise.
    pub breach: Option<Breach>,
}

/// The control row of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Control {
    /// Its state.
    pub state: NodeState,
    /// Its generation; while FENCING, the one to come.
    pub generation: u8,
    /// How often the row changed.
    pub changes: u8,
}

/// The state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeState {
    /// It is read and marked.
    Active,
    /// Older leases still allow to read it.
    Fencing,
    /// Nobody reads it.
    Fenced,
}

/// What a daemon knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Daemon {
    /// Its reader lease: [`Control::changes`] when it polled.
    pub lease: Option<u8>,
    /// The generation it reads under.
    pub generation: u8,
    /// Whether the node was ACTIVE.
    pub is_active: bool,
    /// Whether it reaches the node.
    pub is_connected: bool,
}

/// What is in the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// A lease.
    Lease,
    /// This version of the row.
    Value(u8),
    /// A mark.
    Mark,
}

/// The slot's content under its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Item {
    /// The token that a store must name.
    pub token: Token,
    /// What is there.
    pub content: Content,
}

/// A store under a token that was sent and has not arrived. It may never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sent {
    /// The generation in its key.
    pub generation: u8,
    /// The token it names.
    pub token: Token,
    /// The version to store.
    pub version: u8,
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Breach {
    /// The version that was returned.
    pub shown: u8,
    /// The least that was due.
    pub due: u8,
}

impl State {
    /// A cached value, and two daemons with leases on it.
    pub(super) fn new(fence: &Fence) -> Self {
        let first = Item { token: Token::FIRST, content: Content::Value(0) };
        let daemon = Daemon { lease: Some(0), generation: 0, is_active: true, is_connected: true };
        Self {
            row: 0,
            lock: None,
            control: Control { state: NodeState::Active, generation: 0, changes: 0 },
            slots: [Some(first), None, None],
            daemons: [daemon; DAEMONS],
            writers: [Writer::NEW; DAEMONS],
            readers: [Reader::new(fence.reads); DAEMONS],
            sent: Vec::new(),
            owed: Vec::new(),
            is_stranger: false,
            saved: None,
            floor: 0,
            cuts_left: fence.cuts,
            fences_left: fence.fences,
            evictions_left: fence.evictions,
            returns_left: fence.returns,
            breach: None,
        }
    }

    /// A token that nobody holds.
    pub(super) fn new_token(&mut self) -> Token {
        let mut held: Vec<Token> = Vec::with_capacity(8);
        self.each_token(|token| held.push(*token));
        let free = (0..usize::from(u8::MAX)).map(Token::named).find(|token| !held.contains(token));
        free.expect("fewer than 255 tokens are held")
    }

    /// A store arrives at the node.
    pub(super) fn arrive(&mut self, index: usize) -> Option<()> {
        if index > 0 && self.sent[index] == self.sent[index - 1] {
            return None;
        }
        let sent = self.sent.remove(index);
        let slot = usize::from(sent.generation);
        if sent.token.is_live() && self.slots[slot].is_some_and(|item| item.token == sent.token) {
            let token = self.new_token();
            self.slots[slot] = Some(Item { token, content: Content::Value(sent.version) });
        }
        Some(())
    }

    /// The node restarts with the contents it once had; no connection, and so no token, outlives that.
    pub(super) fn come_back(&mut self) -> Option<()> {
        self.returns_left -= 1;
        self.is_stranger = true;
        self.each_token(|token| *token = Token::DEAD);
        self.sent.clear();
        let saved = self.saved.take()?;
        self.slots = saved.map(|content| content.map(|content| Item { token: Token::FIRST, content }));
        Some(())
    }

    fn each_token(&mut self, mut each: impl FnMut(&mut Token)) {
        let slots = self.slots.iter_mut().flatten().map(|item| &mut item.token);
        let writers = self.writers.iter_mut().map(|writer| &mut writer.token);
        let readers = self.readers.iter_mut().map(|reader| &mut reader.token);
        let sent = self.sent.iter_mut().map(|sent| &mut sent.token);
        slots.chain(writers).chain(readers).chain(sent).filter(|token| token.is_live()).for_each(&mut each);
    }

    /// Names tokens by where they are seen first, and daemons so that the smaller state is taken.
    pub(super) fn canonicalize(&mut self, is_symmetric: bool) {
        self.rename_tokens();
        if is_symmetric {
            let mut other = self.clone();
            other.swap_daemons();
            other.rename_tokens();
            if other < *self {
                *self = other;
            }
        }
    }

    fn rename_tokens(&mut self) {
        for _ in 0..2 {
            let mut seen: Vec<Token> = Vec::with_capacity(8);
            self.each_token(|token| {
                let known = seen.iter().position(|other| other == token);
                *token = Token::named(known.unwrap_or_else(|| {
                    seen.push(*token);
                    seen.len() - 1
                }));
            });
            self.sent.sort_unstable();
        }
    }

    fn swap_daemons(&mut self) {
        self.lock = self.lock.map(|daemon| 1 - daemon);
        self.daemons.swap(0, 1);
        self.writers.swap(0, 1);
        self.readers.swap(0, 1);
    }
}
