// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the sources behind a database server share: the callers' ends of what their workers do, and the errors of a
//! server that is lost. Each server's own part (statements, sessions, error numbers) is in its own folder.

mod begin;
pub(crate) mod control;
pub(crate) mod drain;
mod feed;
mod look_up;
mod order;
mod outage;
pub(crate) mod owners;
mod prepared;
mod workers;

pub(crate) use begin::{Begin, begin};
pub use control::DatabaseControl;
pub use feed::OutboxFeed;
pub(crate) use feed::{FeedOrder, TAKE, triggers_gone};
pub(crate) use look_up::{Asked, Found, KeyedRow, LookUp, answer_all, refuse_all};
pub(crate) use order::{Order, Step};
pub(crate) use outage::{closed, commit_unknown, connection_lost, no_answer, unreachable};
pub(crate) use prepared::{Decision, RemotePrepared, decided};
pub(crate) use workers::{Attempts, Counted, Workers, check_count, refuse_lost};
