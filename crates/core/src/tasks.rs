// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only way to start something in the background.

use std::fmt;

use crate::BoxFuture;

/// Runs work in the background and knows of it until it ends, so that shutting down can wait for it.
pub trait Tasks: fmt::Debug + Send + Sync + 'static {
    /// Starts `work`. `name` says in traces what it is for. Work that is started after shutting down
    /// began is dropped without having run.
    fn spawn(&self, name: &'static str, work: BoxFuture<'static, ()>);
}
