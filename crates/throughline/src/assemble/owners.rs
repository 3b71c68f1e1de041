// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables that another daemon writes behind are not served here: it has accepted what the source does not show yet.
//!
//! At the start such a resource is refused. While we run we look once a second, and serve a resource no more from when
//! somebody owns its table until he has given it up. An owner shows in the database's `tl_applied`; a service over HTTP
//! keeps nothing of ours, so there nobody can know.

use std::sync::Arc;
use std::time::Duration;

use throughline_core::{Lane, Owner, ResourceName, Tasks as _, WriteStrategy};
use throughline_engine::Space;
use throughline_sources::sql::{LaneOwners, OwnedLane};

use super::Surroundings;
use super::behind::{Journals, own_journal};
use super::source::{Ledger, OpenSource, mistake};
use crate::config::{ConfigError, ResourceSettings, Settings};
use crate::listing::Listing;
use crate::throughline::Notice;

/// How often a daemon looks whether somebody began to write its tables behind.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The most lanes that are given up at once.
const RELEASE_MAX: usize = 1_024;

/// A resource, as far as an owner matters to it.
struct Watched {
    name: ResourceName,
    /// The table's whole name.
    table: String,
    is_behind: bool,
}

impl Watched {
    /// `None` for a table that is not there, which is told elsewhere.
    fn of(settings: &ResourceSettings, source: &OpenSource) -> Option<Self> {
        let table = source.tables.iter().find(|table| table.name == settings.table)?;
        Some(Self {
            name: settings.name.clone(),
            table: table.whole_name(),
            is_behind: settings.write == WriteStrategy::WriteBehind,
        })
    }

    /// Whether the resource cannot be served while somebody else owns `lane`.
    fn yields_to(&self, lane: &OwnedLane) -> bool {
        let is_its_name = lane.lane.resource == self.name;
        // Its own lanes it claims, which tells by itself.
        let is_claimed = self.is_behind && is_its_name;
        !is_claimed && lane.table.as_ref().map_or(is_its_name, |table| *table == self.table)
    }
}

/// Refuses resources whose table somebody else writes behind. What our own journal owns in vain, because it holds nothing of
/// it any more, is given up.
///
/// # Errors
/// Those refusals, with the owner and what to do; those of the sources.
pub(super) async fn refuse(
    settings: &Settings,
    chosen: &[ResourceSettings],
    sources: &[OpenSource],
    journals: Option<&Journals>,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    let own = own_journal(settings, journals);
    for (place, source) in sources.iter().enumerate() {
        let its: Vec<&ResourceSettings> = chosen.iter().filter(|settings| settings.source == place).collect();
        let Some(ledger) = source.ledger().filter(|_| !its.is_empty()) else { continue };
        let owned = match ledger.owners().await.map_err(|error| mistake(&error))? {
            LaneOwners::Known(owned) => owned,
            LaneOwners::Denied => {
                notices.push(Notice { text: unseen(source), is_fault: false });
                continue;
            }
        };
        let mut idle: Vec<&OwnedLane> = Vec::new();
        for settings in its {
            let Some(watched) = Watched::of(settings, source) else { continue };
            for lane in owned.iter().filter(|lane| watched.yields_to(lane)) {
                let is_own = own.as_ref() == Some(&lane.owner.journal);
                let refused = match journals {
                    _ if !is_own => stranger(settings, lane),
                    Some(journals) if !journals.holds(&lane.lane.resource) => {
                        idle.push(lane);
                        continue;
                    }
                    // A daemon may be running with the journal; the start will tell.
                    None => continue,
                    Some(_) => pending(settings, lane),
                };
                return Err(match settings.place.clone() {
                    Some(place) => refused.at(place),
                    None => refused,
                });
            }
        }
        give_up(&ledger, &idle).await.map_err(|error| mistake(&error))?;
    }
    Ok(())
}

async fn give_up(ledger: &Ledger, idle: &[&OwnedLane]) -> throughline_core::Result<()> {
    for idle in idle.chunks(RELEASE_MAX) {
        let lanes: Vec<Lane> = idle.iter().map(|lane| lane.lane.clone()).collect();
        let owner: &Owner = &idle[0].owner;
        ledger.release(&lanes, owner).await?;
    }
    Ok(())
}

fn stranger(settings: &ResourceSettings, lane: &OwnedLane) -> ConfigError {
    let mistake = ConfigError::new(format!(
        "resource `{}` cannot be served: its table `{}` is written behind by `{}` (journal {}), as resource `{}`",
        settings.name, settings.table, lane.owner.name, lane.owner.journal, lane.lane.resource
    ));
    mistake.help(
        "read and write there, because only that daemon knows what it has accepted; or stop it after `throughline drain`, \
         with its dead letters decided about: then it gives the table up",
    )
}

fn pending(settings: &ResourceSettings, lane: &OwnedLane) -> ConfigError {
    let mistake = ConfigError::new(format!(
        "resource `{}` cannot be served: the journal holds accepted writes or dead letters of resource `{}`, which is over \
         the same table `{}`",
        settings.name, lane.lane.resource, settings.table
    ));
    mistake.help(
        "serve the table under that name with write = \"write-behind\" until `throughline drain` has applied them and the \
         dead letters are decided about",
    )
}

fn unseen(source: &OpenSource) -> String {
    format!(
        "source {}: the account may not read `tl_applied` (GRANT SELECT on it, if `throughline init` has made it), so a \
         daemon that writes a table of it behind is not noticed",
        source.label
    )
}

/// Looks from now on whether somebody else begins to write behind what is served.
pub(super) fn watch(
    settings: &Settings,
    chosen: &[ResourceSettings],
    sources: &[OpenSource],
    listings: &[Listing],
    journals: Option<&Journals>,
    surroundings: &Surroundings,
) {
    if surroundings.checking {
        return;
    }
    let own = own_journal(settings, journals);
    for (place, source) in sources.iter().enumerate() {
        let Some(ledger) = source.ledger().filter(|_| source.may_be_claimed()) else { continue };
        let its = chosen.iter().zip(listings).filter(|(settings, _)| settings.source == place);
        let watched: Vec<(Watched, Arc<Space>)> = its
            .filter_map(|(settings, listing)| Some((Watched::of(settings, source)?, listing.space.clone())))
            .collect();
        if !watched.is_empty() {
            let work = look_for_ever(ledger, watched, own.clone());
            surroundings.tasks.spawn("look for owners of tables", Box::pin(work));
        }
    }
}

async fn look_for_ever(ledger: Ledger, watched: Vec<(Watched, Arc<Space>)>, own: Option<String>) {
    loop {
        tokio::time::sleep(LOOK_PAUSE).await;
        let owned = match ledger.owners().await {
            Ok(LaneOwners::Known(owned)) => owned,
            // It was told at the start, and every attempt would be a line in the server's log.
            Ok(LaneOwners::Denied) => return,
            // Whatever was known stays so.
            Err(error) => {
                tracing::debug!(%error, "nobody knows whether somebody else writes a table behind");
                continue;
            }
        };
        for (watched, space) in &watched {
            let is_others = |lane: &&OwnedLane| own.as_ref() != Some(&lane.owner.journal);
            let settled = match owned.iter().filter(is_others).find(|lane| watched.yields_to(lane)) {
                Some(lane) => space.yield_to(&lane.owner.name).await,
                None => space.resume().await,
            };
            // The next look tries again.
            if let Err(error) = settled {
                tracing::warn!(resource = %space.name(), %error, "the resource's entries could not be dropped");
            }
        }
    }
}
