// SPDX-License-Identifier: MIT OR Apache-2.0
//! The slot: what is in it, under which token, and what is on its way to it.

use super::{FillRule, Protocol, State, Tokens};

/// A number that the server gave. Only equality matters, so tokens are renamed in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u8);

impl Token {
    /// Nobody's: what a reader without leases has.
    pub const NONE: Self = Self(0);
    /// The first that a server gives.
    pub const FIRST: Self = Self(1);
    /// Of a connection that is gone.
    pub const DEAD: Self = Self(u8::MAX);

    /// Whether a server gave it and would still accept it.
    pub fn is_live(self) -> bool {
        self != Self::NONE && self != Self::DEAD
    }

    /// The name for the token that was first seen in `order`-th place.
    pub(in crate::model) fn named(order: usize) -> Self {
        Self(order as u8 + 1)
    }
}

/// What is in the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// A lease: a reader is loading.
    Lease,
    /// This version of the row.
    Value(u8),
    /// A mark of this writer.
    Mark(u8),
}

/// The slot's content under its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Item {
    /// The token that a store must name.
    pub token: Token,
    /// What is there.
    pub content: Content,
}

/// A command under a token that was sent and has not arrived. It may never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sent {
    /// The token it names.
    pub token: Token,
    /// The version to store; nothing gives the lease or mark back.
    pub value: Option<u8>,
}

impl Protocol {
    /// A token for a new item; `None` when there is no such choice.
    pub(super) fn new_token(&self, state: &State, alt: u8) -> Option<Token> {
        let mut held = state.tokens();
        held.sort_unstable();
        held.dedup();
        if alt == 0 {
            return (0..u8::MAX - 1)
                .map(|order| Token::named(order.into()))
                .find(|token| !held.contains(token));
        }
        if self.tokens == Tokens::Bound || state.left.restarts == self.faults.restarts {
            return None;
        }
        let present = state.slot.map(|item| item.token);
        held.into_iter().filter(|token| Some(*token) != present).nth(usize::from(alt) - 1)
    }

    /// A command arrives at the server.
    pub(super) fn arrive(&self, state: &mut State, index: usize, alt: u8) -> Option<()> {
        if index > 0 && state.sent[index] == state.sent[index - 1] {
            return None;
        }
        let sent = state.sent.remove(index);
        let is_accepted = match self.fill {
            FillRule::Lease => {
                sent.token.is_live() && state.slot.is_some_and(|item| item.token == sent.token)
            }
            FillRule::Set => true,
            FillRule::Add => state.slot.is_none(),
        };
        match sent.value {
            Some(version) if is_accepted => {
                let token = self.new_token(state, alt)?;
                state.slot = Some(Item { token, content: Content::Value(version) });
            }
            _ if alt != 0 => return None,
            None if is_accepted => state.slot = None,
            _ => {}
        }
        Some(())
    }

    /// memcached comes back empty.
    pub(super) fn restart(&self, state: &mut State) {
        state.left.restarts -= 1;
        state.slot = None;
        if self.tokens == Tokens::Bound {
            state.rename(|token| {
                if *token != Token::NONE {
                    *token = Token::DEAD
                }
            });
        }
    }
}
