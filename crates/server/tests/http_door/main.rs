// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTTP door: routes, headers, conditions, freshness, problems, and what is on the wire.

mod batch;
mod conditions;
mod daemon;
mod documents;
mod freshness;
mod gate;
mod house;
mod keys;
mod problems;
mod reading;
mod sample;
mod sessions;
mod wire;
mod writing;
