// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is searched, and the verdict that is due.

mod behind;
mod fence;
mod protocol;

use std::fmt;

use super::{Finding, Promise, Verdict};

/// When a case is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// By the tests, within a minute in all.
    Quick,
    /// By `throughline-sim model --full` alone.
    Full,
}

/// One search.
pub struct Case {
    /// Which model.
    pub model: &'static str,
    /// What is searched.
    pub name: &'static str,
    /// What is promised.
    pub promise: Promise,
    /// When it is searched.
    pub scope: Scope,
    /// The verdict that is due.
    pub expected: Verdict,
    /// Carries the search out.
    pub run: Box<dyn Fn() -> Finding + Send + Sync>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("model", &self.model).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every case, what is implemented first.
pub fn cases() -> Vec<Case> {
    let mut cases = protocol::cases();
    cases.extend(fence::cases());
    cases.extend(behind::cases());
    cases
}
