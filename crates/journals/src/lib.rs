// SPDX-License-Identifier: MIT OR Apache-2.0
//! Durable queues of what must not be forgotten.
//!
//! The only one is [`LocalJournal`], in a folder of this machine. A record's bytes mean nothing here.

mod local;

pub use local::files::{Files, SegmentFile};
pub use local::folder::Folder;
pub use local::{LocalJournal, LocalJournalConfig, LocalJournalStats, Opened};
