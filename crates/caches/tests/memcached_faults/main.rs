// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memcached cache against real servers that are killed, paused, small, strange or wrongly started.

#![allow(clippy::disallowed_methods, reason = "the tasks of a test end with its runtime")]

mod contents;
mod cost;
mod house;
mod identity;
mod limits;
mod pauses;
mod restarts;
mod secured;
mod several;
mod strangers;
mod tiers;
