// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a connection knows while it executes commands.

use std::sync::Arc;

use throughline_wire::memcached::{Status, reply};

use super::answer::Failure;
use super::counters::Stripe;
use super::door::Door;
use super::exptime::Life;
use super::output::Output;
use super::route::{Route, Router, Target};

/// The state of a connection beside its buffers.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) door: Arc<Door>,
    router: Router,
    stripe: usize,
}

impl Session {
    pub(super) fn new(door: &Arc<Door>) -> Self {
        Self {
            router: Router::new(door.throughline.clone()),
            stripe: door.counters.assign(),
            door: door.clone(),
        }
    }

    pub(super) fn counters(&self) -> &Stripe {
        self.door.counters.stripe(self.stripe)
    }

    /// See [`Router::route`].
    pub(super) fn route<'s, 'k>(&'s mut self, key: &'k [u8]) -> Result<Route<'s, 'k>, Failure> {
        self.router.route(key)
    }

    /// See [`Router::target`].
    pub(super) fn target<'k>(&mut self, key: &'k [u8]) -> Result<Target<'k>, Failure> {
        self.router.target(key)
    }

    /// What an exptime means now.
    pub(super) fn life(&self, exptime: i64) -> Life {
        Life::of(exptime, self.door.unix_s())
    }

    /// Answers a command that is done, or not done as the protocol provides.
    pub(super) fn status(&self, answer: Result<Status, Failure>, noreply: bool, out: &mut Output<'_>) {
        match answer {
            Ok(_) if noreply => {}
            Ok(status) => reply::status(out.response(), status),
            Err(failure) if noreply => self.count(&failure),
            Err(failure) => self.fail(&failure, out),
        }
    }

    /// Answers a command that failed, in place of what was already there of its answer.
    pub(super) fn fail(&self, failure: &Failure, out: &mut Output<'_>) {
        self.count(failure);
        failure.answer(out.instead());
    }

    fn count(&self, failure: &Failure) {
        let counters = self.counters();
        if matches!(failure, Failure::NoResource(_)) {
            counters.keys_without_resource.add(1);
        }
        if failure.is_clients() {
            counters.client_errors.add(1);
        } else {
            counters.server_errors.add(1);
        }
    }
}
