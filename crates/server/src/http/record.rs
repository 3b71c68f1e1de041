// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/v1/{resource}/{key}`: one record.

mod delete;
mod get;
mod put;

pub(crate) use delete::delete;
pub(crate) use get::{get, media_type};
pub(crate) use put::put;
