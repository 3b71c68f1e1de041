// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the sources behind a database server share: the callers' ends of what their workers do, and the errors of a
//! server that is lost. Each server's own part (statements, sessions, error numbers) is in its own folder.

mod outage;
mod prepared;

pub(crate) use outage::{closed, commit_unknown, connection_lost, no_answer, unreachable};
pub(crate) use prepared::{Decision, RemotePrepared, decided};
