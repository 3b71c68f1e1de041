// SPDX-License-Identifier: MIT OR Apache-2.0
//! One exhaustive search, breadth first.

use std::fmt::Debug;
use std::hash::Hash;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use stateright::{Checker, Model, Property};

/// How long one search may take before it counts as unfinished.
const SEARCH_MAX: Duration = Duration::from_secs(1800);
/// The only property of every model: no state has a breach in it.
const PROMISE: &str = "the promise";

/// A model that can tell its steps in words.
pub trait Told: Model {
    /// Whether `state` breaks the promise.
    fn is_breach(state: &Self::State) -> bool;
    /// The step in words.
    fn tell(&self, state: &Self::State, step: &Self::Action) -> String;
    /// What matters of a state, in words.
    fn show(&self, state: &Self::State) -> String;
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every reachable state was looked at and none breaks the promise.
    Holds,
    /// A row of steps breaks it.
    Violated,
    /// The time was over first.
    Unfinished,
}

impl Verdict {
    /// Its name in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
            Self::Unfinished => "UNFINISHED",
        }
    }
}

/// The result of one search.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// Different states met until then.
    pub state_count: usize,
    /// How long it took.
    pub took: Duration,
    /// The shortest row of steps that breaks the promise: each step, and what matters of the state after it.
    pub counterexample: Vec<(String, String)>,
}

/// The property that every model here has.
pub(super) fn promise<M: Told>() -> Vec<Property<M>>
where
    M::State: Debug + Hash,
{
    vec![Property::always(PROMISE, |_, state| !M::is_breach(state))]
}

/// Searches every reachable state of `model`, on one thread when a violation is expected, because several
/// threads do not keep to the order that makes the first counterexample the shortest.
pub fn search<M>(model: &M, expected: Verdict) -> Finding
where
    M: Told + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let start = Instant::now();
    let thread_count = match expected {
        Verdict::Holds => available_parallelism().map_or(1, usize::from),
        Verdict::Violated | Verdict::Unfinished => 1,
    };
    let checker = model.clone().checker().threads(thread_count).timeout(SEARCH_MAX).spawn_bfs().join();
    let path = checker.discoveries().remove(PROMISE);
    let verdict = match (&path, checker.is_done()) {
        (Some(_), _) => Verdict::Violated,
        (None, true) => Verdict::Holds,
        (None, false) => Verdict::Unfinished,
    };
    let states = path.map(|path| path.into_vec()).unwrap_or_default();
    let steps = states.windows(2).filter_map(|pair| {
        let ((state, step), (after, _)) = (&pair[0], &pair[1]);
        step.as_ref().map(|step| (model.tell(state, step), model.show(after)))
    });
    Finding {
        verdict,
        state_count: checker.unique_state_count(),
        took: start.elapsed(),
        counterexample: steps.collect(),
    }
}
