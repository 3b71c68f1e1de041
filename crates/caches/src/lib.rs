// SPDX-License-Identifier: MIT OR Apache-2.0
//! Caches: process memory and memcached.
