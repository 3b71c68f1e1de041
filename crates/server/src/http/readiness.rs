// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the daemon wants requests, and why not.

use std::borrow::Cow;
use std::sync::Arc;

use parking_lot::Mutex;

/// The reasons for which `/readyz` says no. A clone is another handle.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    next_id: u64,
    reasons: Vec<(u64, Cow<'static, str>)>,
}

/// One reason. It holds until this is dropped.
#[must_use = "the reason is gone as soon as this is dropped"]
#[derive(Debug)]
pub struct Hold {
    held: Arc<Mutex<Held>>,
    id: u64,
}

impl Readiness {
    /// Makes `/readyz` say no, for `reason`, until the result is dropped.
    pub fn hold(&self, reason: impl Into<Cow<'static, str>>) -> Hold {
        let mut held = self.held.lock();
        let id = held.next_id;
        held.next_id += 1;
        held.reasons.push((id, reason.into()));
        Hold { held: self.held.clone(), id }
    }

    /// The present reasons; none means ready.
    pub fn reasons(&self) -> Vec<Cow<'static, str>> {
        let held = self.held.lock();
        held.reasons.iter().map(|(_, reason)| reason.clone()).collect()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.lock().reasons.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn a_reason_holds_as_long_as_it_is_held() {
        let readiness = Readiness::default();
        let (first, second) = (readiness.hold("a"), readiness.hold("b"));
        assert_eq!(readiness.reasons(), ["a", "b"]);
        drop(first);
        assert_eq!(readiness.reasons(), ["b"]);
        drop(second);
        assert!(readiness.reasons().is_empty());
    }
}
