// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cache-aside: each caller asks the cache, loads on a miss, and stores what it loaded.
//!
//! Nobody waits for anybody: a caller who finds another at work on the key goes to the source himself. That
//! gives the shortest worst case for one caller, and the most loads for the source.

use std::sync::Arc;

use throughline_core::{Cache, Key, Result, Sent};

use super::look_up::{Found, look_up};
use super::{Read, bypass, load};
use crate::space::Space;

pub(super) async fn get(space: &Arc<Space>, cache: &Arc<dyn Cache>, key: &Key) -> Result<Read> {
    match look_up(space, cache, key).await {
        Found::Answer(read) => Ok(read),
        Found::Leased(lease) => load::load_and_fill(space, key, lease, Sent::new()).await,
        Found::Wait(why) | Found::Past(why) => bypass(space, key, why).await,
    }
}
