// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stand-ins for tests of what sits above a source or a cache. Backends themselves are tested on real servers.

mod disk;
mod fake_nodes;
mod flaky_cache;
mod map_control;
mod map_journal;
mod map_source;
mod routed_cache;
mod time;

pub use disk::{Disk, Op as DiskOp};
pub use fake_nodes::FakeNodes;
pub use flaky_cache::FlakyCache;
pub use map_control::{MapControl, MapControlDoor};
pub use map_journal::MapJournal;
pub use map_source::MapSource;
pub use routed_cache::RoutedCache;
pub use time::{TestTasks, TokioClock};
