// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables that another daemon writes behind are not served here: it has accepted what the source does not show yet.
//!
//! At the start such a resource is refused, or waits, if it is served only because its source was to be served whole.
//! Afterwards see `watch`. An owner shows in the database's `tl_applied`; a service over HTTP keeps nothing of ours, so
//! there nobody can know.

mod watch;

use throughline_core::{Lane, Owner, ResourceName, WriteStrategy};
use throughline_sources::sql::{LaneOwners, OwnedLane};

use super::behind::{Journals, own_journal};
use super::source::{Ledger, OpenSource, mistake};
use crate::config::{ConfigError, ResourceSettings, Settings, TableChoice};
use crate::throughline::Notice;

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

    /// The table of `source` that the resource was over when its own `lane` was claimed, if that is another one.
    fn moved_from<'a>(&self, lane: &OwnedLane, source: &'a OpenSource) -> Option<&'a str> {
        let before = lane.table.as_ref().filter(|table| **table != self.table)?;
        let is_its = self.is_behind && lane.lane.resource == self.name;
        // One that is gone was renamed, or can be written no more.
        let table = source.tables.iter().find(|table| table.whole_name() == *before)?;
        is_its.then_some(table.name.as_str())
    }
}

/// What a start found.
#[derive(Default)]
pub(super) struct Found {
    /// Resources that wait until somebody else has given their tables up, with his name.
    waiting: Vec<(ResourceName, String)>,
    /// The places of the sources where the account may not look.
    denied: Vec<usize>,
}

/// What an owned lane means for a resource.
enum Verdict {
    Fine,
    /// Our journal owns it in vain.
    Idle,
    /// The resource waits.
    Waits,
    Refused(ConfigError),
}

/// Refuses resources whose table somebody else writes behind, and finds those that wait for that. What our own journal owns
/// in vain, because it holds nothing of it any more, is given up.
///
/// # Errors
/// Those refusals, with the owner and what to do; those of the sources.
pub(super) async fn refuse(
    settings: &Settings,
    chosen: &[ResourceSettings],
    sources: &[OpenSource],
    journals: Option<&Journals>,
    notices: &mut Vec<Notice>,
) -> Result<Found, ConfigError> {
    let judge = Judge { settings, own: own_journal(settings, journals), journals };
    let mut found = Found::default();
    for (place, source) in sources.iter().enumerate() {
        let its: Vec<&ResourceSettings> = chosen.iter().filter(|settings| settings.source == place).collect();
        let Some(ledger) = source.ledger().filter(|_| !its.is_empty()) else { continue };
        let owned = match ledger.owners().await.map_err(|error| mistake(&error))? {
            LaneOwners::Known(owned) => owned,
            LaneOwners::Denied => {
                notices.push(Notice { text: unseen(source), is_fault: false });
                found.denied.push(place);
                continue;
            }
        };
        let mut idle: Vec<&OwnedLane> = Vec::new();
        for settings in its {
            let Some(watched) = Watched::of(settings, source) else { continue };
            for lane in &owned {
                match judge.verdict(settings, &watched, lane, source) {
                    Verdict::Fine => {}
                    Verdict::Idle => idle.push(lane),
                    Verdict::Waits => {
                        notices.push(Notice { text: waits(settings, lane), is_fault: true });
                        found.waiting.push((settings.name.clone(), lane.owner.name.clone()));
                        // One of its lanes tells enough.
                        break;
                    }
                    Verdict::Refused(refused) => {
                        return Err(match settings.place.clone() {
                            Some(place) => refused.at(place),
                            None => refused,
                        });
                    }
                }
            }
        }
        give_up(&ledger, &idle).await.map_err(|error| mistake(&error))?;
    }
    Ok(found)
}

struct Judge<'a> {
    settings: &'a Settings,
    /// Our own journal.
    own: Option<String>,
    journals: Option<&'a Journals>,
}

impl Judge<'_> {
    fn verdict(
        &self,
        settings: &ResourceSettings,
        watched: &Watched,
        lane: &OwnedLane,
        source: &OpenSource,
    ) -> Verdict {
        let is_own = self.own.as_ref() == Some(&lane.owner.journal);
        let moved_from = watched.moved_from(lane, source).filter(|_| is_own);
        let holds = self.journals.map(|journals| journals.holds(&lane.lane.resource));
        match (watched.yields_to(lane), is_own, holds) {
            (false, _, Some(true)) => {
                moved_from.map_or(Verdict::Fine, |before| Verdict::Refused(moved(settings, before)))
            }
            (false, ..) => Verdict::Fine,
            (true, false, _) if self.is_chosen_by_itself(settings) => Verdict::Waits,
            (true, false, _) => Verdict::Refused(stranger(settings, lane)),
            (true, true, Some(true)) => Verdict::Refused(pending(settings, lane)),
            (true, true, Some(false)) => Verdict::Idle,
            // A daemon may be running with the journal; the start will tell.
            (true, true, None) => Verdict::Fine,
        }
    }

    /// Whether nobody named the resource or its table.
    fn is_chosen_by_itself(&self, resource: &ResourceSettings) -> bool {
        let is_whole = matches!(self.settings.sources[resource.source].tables, TableChoice::All { .. });
        is_whole && !self.settings.resources.iter().any(|named| named.name == resource.name)
    }
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
         with its dead letters decided about: then it gives the table up. If that daemon does not exist any more, or the \
         database is a copy, delete the rows of that journal from `tl_applied`; what it had accepted is lost then",
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

fn moved(settings: &ResourceSettings, before: &str) -> ConfigError {
    let mistake = ConfigError::new(format!(
        "resource `{}` cannot be served: the journal holds accepted writes or dead letters of it for the table `{before}`, \
         and it is over `{}` now",
        settings.name, settings.table
    ));
    mistake.help(
        "set the table back until `throughline drain` has applied them and the dead letters are decided about",
    )
}

fn waits(settings: &ResourceSettings, lane: &OwnedLane) -> String {
    format!(
        "resource `{}` is not served as long as its table `{}` is written behind by `{}` (journal {}), as resource `{}`: read \
         and write there. If that daemon does not exist any more, delete the rows of that journal from `tl_applied`",
        settings.name, settings.table, lane.owner.name, lane.owner.journal, lane.lane.resource
    )
}

fn unseen(source: &OpenSource) -> String {
    format!(
        "source {}: the account may not read `tl_applied` (GRANT SELECT on it, if `throughline init` has made it), so a \
         daemon that writes a table of it behind is not noticed",
        source.label
    )
}
