// SPDX-License-Identifier: MIT OR Apache-2.0
//! The strategies: the only code that moves data between a source and a cache.
