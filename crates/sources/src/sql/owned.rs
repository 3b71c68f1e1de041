// SPDX-License-Identifier: MIT OR Apache-2.0
//! What anybody may see of the lanes' owners (`applied.rs`), without owning one.

use throughline_core::{Lane, Owner, ResourceName};

/// A lane of accepted writes that somebody owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedLane {
    /// The lane.
    pub lane: Lane,
    /// The table that its writes go to, as [`super::Table::whole_name`] spells it; `None` when an older version of this
    /// program claimed it.
    pub table: Option<String>,
    /// Whose it is.
    pub owner: Owner,
}

impl OwnedLane {
    /// The lane of a row: its name, its owner's journal and name, its table. `None` for one that this program never writes.
    pub(crate) fn of_row(
        lane: Option<String>,
        journal: Option<String>,
        name: Option<String>,
        table: Option<String>,
    ) -> Option<Self> {
        let lane = lane?;
        let (resource, number) = lane.rsplit_once('/')?;
        let lane = Lane { resource: ResourceName::new(resource)?, number: number.parse().ok()? };
        Some(Self { lane, table, owner: Owner { journal: journal?, name: name? } })
    }
}

/// Who owns lanes of accepted writes in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneOwners {
    /// These; none where the table of applied writes was never made, because then nobody writes behind.
    Known(Vec<OwnedLane>),
    /// The account may not look, or, where a server does not tell the two apart, there is nothing to look at.
    Denied,
}
