// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the benchmarks share: the machine's description, ratios, load generators, and what they meet.
//!
//! A claim is a ratio against a named peer in the same run, because machines are shared and noisy. Rounds of
//! both sides alternate, and the median of the rounds' ratios is the figure.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark measures real time and prints what it saw"
)]

mod door;
mod load;
mod machine;
mod memcached;
mod ratio;
mod strict;
mod tasks;

pub use door::{DOOR_CONNECTIONS, DOOR_KEYS, Gets, ask_once, door_get, door_load, door_set, make_door_table};
pub use load::{Load, Outcome};
pub use machine::print_machine;
pub use memcached::{ask, stored_keys};
pub use ratio::{Claim, Rounds};
pub use strict::Strict;
pub use tasks::rate;
