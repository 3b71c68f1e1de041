// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache between an application and its database that keeps the two in agreement.
