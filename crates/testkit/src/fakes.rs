// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stand-ins for tests of what sits above a source or a cache. Backends themselves are tested on real servers.

mod flaky_cache;
mod map_source;
mod time;

pub use flaky_cache::FlakyCache;
pub use map_source::MapSource;
pub use time::{TestTasks, TokioClock};
