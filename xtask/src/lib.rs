// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks of the repository itself: what a reviewer should not have to look for.
//!
//! `tests/tidy.rs` runs them with plain `cargo test`. Each check is a function from the files to its findings, so
//! that a unit test can plant the fault that it must find.

mod checks;
mod code;
mod files;

pub use checks::{globs, ignores, layers, length, names, paths, sleeps, spdx, words};
pub use files::{Files, Finding};
