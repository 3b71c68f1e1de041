// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/admin/…`: what an operator reads and changes while the daemon runs.

mod invalidate;
pub(crate) mod journal;
mod mode;
mod stats;

pub(crate) use invalidate::{invalidate_all, invalidate_server};
pub(crate) use mode::{mode, set_mode};
pub(crate) use stats::stats;
