// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remembers what was answered to which idempotency key.

use std::collections::{HashMap, VecDeque};

use hyper::StatusCode;

/// How many keys are remembered.
const KEY_COUNT_MAX: usize = 65_536;

/// An answer, as far as it is given again.
pub(crate) type Answered = (StatusCode, Option<String>);

/// The keys of saves, with what was answered.
#[derive(Debug, Default)]
pub(crate) struct Idempotency {
    known: HashMap<String, (String, Option<Answered>)>,
    order: VecDeque<String>,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing, until now.
    New,
    /// A save with this key is under way.
    UnderWay,
    /// A save with this key was answered so.
    Answered(Answered),
    /// Another request had this key.
    Foreign,
}

impl Idempotency {
    /// Looks a key up; `what` is what its request asks for.
    pub(crate) fn begin(&mut self, key: &str, what: &str) -> Known {
        match self.known.get(key) {
            Some((known, _)) if known != what => return Known::Foreign,
            Some((_, None)) => return Known::UnderWay,
            Some((_, Some(answered))) => return Known::Answered(answered.clone()),
            None => {}
        }
        if self.order.len() == KEY_COUNT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key.to_owned());
        self.known.insert(key.to_owned(), (what.to_owned(), None));
        Known::New
    }

    /// Notes what became of it. What was not done may be asked for again.
    pub(crate) fn end(&mut self, key: &str, answered: Option<Answered>) {
        match answered {
            Some(answered) => {
                if let Some((_, place)) = self.known.get_mut(key) {
                    *place = Some(answered);
                }
            }
            None => {
                self.known.remove(key);
                self.order.retain(|known| known != key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Idempotency, Known};
    use hyper::StatusCode;

    #[test]
    fn a_key_is_answered_once_and_then_as_before() {
        let mut idempotency = Idempotency::default();
        assert_eq!(idempotency.begin("a", "PUT 1"), Known::New);
        assert_eq!(idempotency.begin("a", "PUT 1"), Known::UnderWay);
        assert_eq!(idempotency.begin("a", "PUT 2"), Known::Foreign);
        idempotency.end("a", Some((StatusCode::CREATED, None)));
        assert_eq!(idempotency.begin("a", "PUT 1"), Known::Answered((StatusCode::CREATED, None)));
        assert_eq!(idempotency.begin("b", "PUT 1"), Known::New);
        idempotency.end("b", None);
        assert_eq!(idempotency.begin("b", "PUT 1"), Known::New);
    }
}
