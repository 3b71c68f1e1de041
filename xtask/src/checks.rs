// SPDX-License-Identifier: MIT OR Apache-2.0
//! One file per check.

mod globs;
mod ignores;
mod layers;
mod length;
mod names;
mod paths;
mod sleeps;
mod spdx;
mod words;

pub use globs::globs;
pub use ignores::ignores;
pub use layers::layers;
pub use length::length;
pub use names::names;
pub use paths::paths;
pub use sleeps::sleeps;
pub use spdx::spdx;
pub use words::words;
