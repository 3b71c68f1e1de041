// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract suites of testkit: the sources that keep their promises, and some that do not.

#![allow(clippy::unwrap_used, reason = "a subject that cannot be made is a test that fails")]

mod drain;
mod source;
mod subjects;
mod transactions;

/// The fakes break what the suites must find.
#[track_caller]
fn assert_convicted(broken: &[&str], promises: &[&str]) {
    for promise in promises {
        assert!(
            broken.iter().any(|broken| broken.ends_with(promise)),
            "{promise} was kept, broken: {broken:?}"
        );
    }
}
