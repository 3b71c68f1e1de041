// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protection of sources: single-flight. Knows traits, never backends.
