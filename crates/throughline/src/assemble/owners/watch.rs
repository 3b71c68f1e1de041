// SPDX-License-Identifier: MIT OR Apache-2.0
//! While we run: a look once a second. A resource is served no more from when somebody owns its table until he has given it
//! up.

use std::sync::Arc;
use std::time::Duration;

use throughline_core::Tasks as _;
use throughline_engine::Space;
use throughline_sources::sql::{LaneOwners, OwnedLane};

use super::super::Surroundings;
use super::super::behind::{Journals, own_journal};
use super::super::source::{Ledger, OpenSource};
use super::{Found, Watched};
use crate::config::{ResourceSettings, Settings};
use crate::listing::Listing;

/// How often a daemon looks whether somebody began to write its tables behind.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The same where it may not look: each attempt may be a line in the server's log.
const DENIED_PAUSE: Duration = Duration::from_secs(5);

impl Found {
    /// Lets wait what waits, and looks from now on whether somebody else begins to write behind what is served.
    pub(in crate::assemble) fn watch(
        &self,
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
        for (place, source) in sources.iter().enumerate() {
            let Some(ledger) = source.ledger() else { continue };
            let its = chosen.iter().zip(listings).filter(|(settings, _)| settings.source == place);
            let seats: Vec<Seat> = its
                .filter_map(|(settings, listing)| Some(self.seat(Watched::of(settings, source)?, listing)))
                .collect();
            let is_waited_for = seats.iter().any(|seat| seat.space.yielded_to().is_some());
            if seats.is_empty() || !(source.may_be_claimed() || is_waited_for) {
                continue;
            }
            let look = Look {
                ledger,
                seats,
                own: own_journal(settings, journals),
                source: source.label.clone(),
                is_denied: self.denied.contains(&place),
            };
            surroundings.tasks.spawn("look for owners of tables", Box::pin(look.for_ever()));
        }
    }

    fn seat(&self, watched: Watched, listing: &Listing) -> Seat {
        let space = listing.space.clone();
        if let Some((_, owner)) = self.waiting.iter().find(|(name, _)| *name == watched.name) {
            space.begin_yielded_to(owner);
        }
        Seat { watched, space, is_failing: false }
    }
}

/// A resource that is looked after.
struct Seat {
    watched: Watched,
    space: Arc<Space>,
    /// Whether its entries could not be dropped at the last look.
    is_failing: bool,
}

/// Looks at one source.
struct Look {
    ledger: Ledger,
    seats: Vec<Seat>,
    /// Our own journal.
    own: Option<String>,
    /// What the source is, for people.
    source: String,
    /// Whether the account was not allowed to, at the last look.
    is_denied: bool,
}

impl Look {
    async fn for_ever(mut self) {
        loop {
            tokio::time::sleep(if self.is_denied { DENIED_PAUSE } else { LOOK_PAUSE }).await;
            match self.ledger.owners().await {
                Ok(LaneOwners::Known(owned)) => {
                    if std::mem::take(&mut self.is_denied) {
                        tracing::info!(source = self.source, "the account may read `tl_applied` again");
                    }
                    self.settle(&owned).await;
                }
                // Whatever was known stays so, here and below.
                Ok(LaneOwners::Denied) => {
                    if !std::mem::replace(&mut self.is_denied, true) {
                        tracing::warn!(
                            source = self.source,
                            "the account may not read `tl_applied` any more: who begins to write a table behind is not \
                             noticed, and a table that somebody else had is not served until we may look again"
                        );
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "nobody knows whether somebody else writes a table behind");
                }
            }
        }
    }

    async fn settle(&mut self, owned: &[OwnedLane]) {
        for Seat { watched, space, is_failing } in &mut self.seats {
            let is_others = |lane: &&OwnedLane| self.own.as_ref() != Some(&lane.owner.journal);
            let settled = match owned.iter().filter(is_others).find(|lane| watched.yields_to(lane)) {
                Some(lane) => space.yield_to(&lane.owner.name).await,
                None => space.resume().await,
            };
            // The next look tries again.
            let was_failing = std::mem::replace(is_failing, settled.is_err());
            if let (Err(error), false) = (settled, was_failing) {
                tracing::warn!(resource = %space.name(), %error, "the resource's entries could not be dropped");
            }
        }
    }
}
