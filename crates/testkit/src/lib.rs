// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contract suites, fakes, and real servers started in scratch folders on free ports.
