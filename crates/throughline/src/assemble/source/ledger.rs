// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source as the place where the owners of lanes of accepted writes are written down.

use throughline_core::{Lane, Owner, Result};
use throughline_sources::mysql::MysqlSource;
use throughline_sources::postgres::PostgresSource;
use throughline_sources::sql::LaneOwners;
use throughline_sources::sqlite::SqliteSource;

use super::{Kind, OpenSource};

/// A handle to that place.
#[derive(Clone)]
pub(in crate::assemble) enum Ledger {
    Sqlite(SqliteSource),
    Mysql(MysqlSource),
    Postgres(PostgresSource),
}

impl Ledger {
    /// Who owns lanes.
    pub(in crate::assemble) async fn owners(&self) -> Result<LaneOwners> {
        match self {
            Self::Sqlite(source) => source.lane_owners().await,
            Self::Mysql(source) => source.lane_owners().await,
            Self::Postgres(source) => source.lane_owners().await,
        }
    }

    /// Gives up those of `lanes` that `owner` has.
    pub(in crate::assemble) async fn release(&self, lanes: &[Lane], owner: &Owner) -> Result<()> {
        match self {
            Self::Sqlite(source) => source.release_lanes(lanes, owner).await,
            Self::Mysql(source) => source.release_lanes(lanes, owner).await,
            Self::Postgres(source) => source.release_lanes(lanes, owner).await,
        }
    }
}

impl OpenSource {
    /// Where the owners are written down; `None` for a service, which keeps nothing of ours.
    pub(in crate::assemble) fn ledger(&self) -> Option<Ledger> {
        match &self.kind {
            Kind::Sqlite { source, .. } => Some(Ledger::Sqlite(source.clone())),
            Kind::Mysql { source, .. } => Some(Ledger::Mysql(source.clone())),
            Kind::Postgres { source, .. } => Some(Ledger::Postgres(source.clone())),
            Kind::Http { .. } => None,
        }
    }

    /// Whether another daemon can become an owner while this one runs.
    pub(in crate::assemble) fn may_be_claimed(&self) -> bool {
        !matches!(self.kind, Kind::Sqlite { alone: true, .. } | Kind::Http { .. })
    }
}
