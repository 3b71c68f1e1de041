// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal in which bounded resources keep what they owe a shared cache.

use std::sync::Arc;

use bytes::Bytes;
use throughline_core::{Access, Level, Position, Scope};
use throughline_engine::Space;
use throughline_journals::{LocalJournal, LocalJournalConfig};

use super::cache::OpenCache;
use crate::config::{ConfigError, ResourceSettings, Settings};
use crate::listing::Listing;
use crate::throughline::{Gauge, Notice};

/// The folder in `data_dir`.
pub(super) const FOLDER: &str = "invalidations";

/// Opens the journal if there is a use for one, and owes again what an earlier process left in it: before anything is
/// served, or else an old entry could be.
pub(super) async fn keep_owed(
    settings: &Settings,
    chosen: &[ResourceSettings],
    listings: &[Listing],
    caches: &[OpenCache],
    notices: &mut Vec<Notice>,
    checking: bool,
) -> Result<Option<Arc<LocalJournal>>, ConfigError> {
    let mut notice = |text| notices.push(Notice { text, is_fault: false });
    let owing: Vec<&Arc<Space>> = chosen
        .iter()
        .zip(listings)
        .filter(|(settings, listing)| {
            let policy = listing.space.policy();
            let is_shared = settings.cache.is_some_and(|place| caches[place].cache.scope() == Scope::Shared);
            policy.level == Level::Bounded && policy.access == Access::Write && is_shared
        })
        .map(|(_, listing)| &listing.space)
        .collect();
    if owing.is_empty() {
        return Ok(None);
    }
    if !settings.is_data_kept {
        notice(
            "without `data_dir`, an invalidation that the cache has not confirmed is forgotten in a crash; its entry \
             may then be old until it expires"
                .to_owned(),
        );
        return Ok(None);
    }
    if checking {
        // A daemon may be running with it.
        return Ok(None);
    }
    let config = LocalJournalConfig::new(settings.data_dir.join(FOLDER));
    let opened = tokio::task::spawn_blocking(move || LocalJournal::open(&config)).await;
    let opened = opened.expect("opening a journal does not panic").map_err(|error| {
        let mistake = ConfigError::new(error.to_string());
        mistake.help("each daemon needs a `data_dir` of its own")
    })?;
    let count = replay(&owing, &opened.journal, &opened.pending);
    if count > 0 {
        notice(format!(
            "{count} invalidations of an earlier run are made up for; until then their keys go past the cache"
        ));
    }
    let strange = opened.pending.len() - count;
    if strange > 0 {
        notice(format!(
            "{strange} invalidations of an earlier run are of resources that are not served any more, and are kept"
        ));
    }
    Ok(Some(opened.journal))
}

fn replay(owing: &[&Arc<Space>], journal: &Arc<LocalJournal>, pending: &[(Position, Bytes)]) -> usize {
    owing.iter().map(|space| space.keep_owed_in(journal.clone(), pending)).sum()
}

/// What the journal counts about itself.
pub(super) fn gauges(name: &str, journal: &LocalJournal) -> Vec<Gauge> {
    let stats = journal.stats();
    let backend = name;
    let gauge = |name, meaning, number| Gauge {
        role: "journal",
        backend: backend.to_owned(),
        node: None,
        name,
        meaning,
        number,
    };
    vec![
        gauge("entries", "Records that are pending.", stats.entries),
        gauge("bytes", "Bytes that its files take.", stats.bytes),
        gauge("appends", "Records that were appended.", stats.appends),
        gauge("groups", "Groups of records that were synced together.", stats.groups),
    ]
}
