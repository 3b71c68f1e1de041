// SPDX-License-Identifier: MIT OR Apache-2.0
//! PostgreSQL.
//!
//! Every connection belongs to one worker task that nobody cancels (`worker`, `client`): callers put their
//! request into a bounded queue and may leave at any time. Readers join what waits into one query and have
//! several queries under way (`reader`); a writer holds one transaction from prepare to commit (`writer`,
//! `transaction`). Fills and writes of a key know of each other by advisory locks (`coupling`).

mod catalogue;
mod cell;
mod client;
mod config;
mod control;
mod coupling;
mod drain;
mod encryption;
mod map;
mod open;
mod outbox;
mod owners;
mod plan;
mod reader;
mod server;
mod statement;
mod stats;
mod table;
mod transaction;
mod worker;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use throughline_core::{Error, ErrorKind, Lane, Owner, Result, Tasks};

use self::catalogue::{Catalogue, Found};
use self::client::{Role, Server};
use self::coupling::LockNumbers;
use self::drain::DrainWork;
use self::open::OpenWork;
use self::owners::OwnersWork;
use self::plan::Plan;
use self::reader::Reader;
use self::server::{Facts, refuse_pooler};
use self::statement::Statements;
use self::writer::OrderWork;
use crate::DatabaseControl;
use crate::remote::drain::{CONNECTION_COUNT, DrainJob};
use crate::remote::owners::OwnersJob;
use crate::remote::{self, Begin, LookUp, Order, Workers};
use crate::sql::{ControlTables, HiddenChange, LaneOwners, Mapping, Table, TableMapping, hidden_changes};
use crate::transaction::Members;

pub use crate::Password;
pub use config::PostgresConfig;
pub use control::{install, install_script};
pub use stats::PostgresStats;
pub use table::PostgresTable;

/// A database on a PostgreSQL server (12 or newer).
///
/// Once connected it survives the server's absence: calls end with [`ErrorKind::Unavailable`] until a worker
/// can connect again. A clone is another handle.
#[derive(Clone, Debug)]
pub struct PostgresSource {
    shared: Arc<Shared>,
}

/// What the source and its tables share; the workers end when the last of them is dropped.
struct Shared {
    server: Arc<Server>,
    facts: Facts,
    readers: Workers<LookUp<Plan>>,
    writers: Workers<Order<Plan>>,
    transactions: Workers<Begin>,
    drains: Arc<Workers<DrainJob<Plan>>>,
    owners: Workers<OwnersJob>,
    members: Members<Plan>,
    catalogue: Mutex<HashMap<String, Found>>,
    hidden: Mutex<Vec<HiddenChange>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", self.server.config())
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl PostgresSource {
    /// Connects, checks that the server can do what is needed, and starts the workers as `tasks`, which open
    /// further connections when they are needed.
    ///
    /// # Errors
    /// Each says what to do: [`ErrorKind::Unavailable`] and [`ErrorKind::Timeout`] when nobody answers,
    /// [`ErrorKind::Denied`] for the account, [`ErrorKind::Configuration`] for a database that does not exist,
    /// for a server that is none or too old, and for a pooler that mixes connections.
    pub async fn connect(config: PostgresConfig, tasks: Arc<dyn Tasks>) -> Result<Self> {
        let server = Arc::new(Server::new(config, tasks)?);
        let (first_reader, facts) = server.open(Role::Reader).await?;
        // Both are open now, so a pooler that keeps connections apart shows them two processes.
        let (first_writer, other) = server.open(Role::Writer).await?;
        refuse_pooler(&facts, &other)?;
        let config = server.config();
        let readers = worker::start(
            "postgres reader",
            config.reader_count,
            config.batch_len_max,
            &server,
            Reader { server: Arc::clone(&server) },
            vec![first_reader],
        );
        let writers = worker::start(
            "postgres writer",
            config.writer_count,
            1,
            &server,
            OrderWork { server: Arc::clone(&server) },
            vec![first_writer],
        );
        let members = Members::default();
        let transactions = worker::start(
            "postgres transaction",
            config.transaction_count,
            1,
            &server,
            OpenWork { server: Arc::clone(&server), members: members.clone() },
            Vec::new(),
        );
        let drains =
            worker::start("postgres drain", CONNECTION_COUNT, 1, &server, DrainWork, Vec::new()).into();
        let owners = worker::start("postgres lanes' owners", 1, 1, &server, OwnersWork, Vec::new());
        let (catalogue, hidden) = (Mutex::default(), Mutex::default());
        let shared = Shared {
            facts,
            readers,
            writers,
            transactions,
            drains,
            owners,
            members,
            catalogue,
            hidden,
            server,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Reads the catalogue: every table and view of the database, by name.
    ///
    /// # Errors
    /// As [`PostgresSource::connect`], and [`ErrorKind::Unavailable`] when the connection is lost.
    pub async fn tables(&self) -> Result<Vec<Table>> {
        let (session, _) = self.shared.server.open(Role::Catalogue).await?;
        let Catalogue { found, mut unseen } = catalogue::read(&session).await.map_err(|failure| {
            map::statement_error("read the catalogue", "pg_catalog", &failure, &|_| false)
        })?;
        let tables: Vec<Table> = found.iter().map(|found| found.table.clone()).collect();
        unseen.extend(tables.iter().cloned());
        *self.shared.hidden.lock() = hidden_changes(&unseen);
        let by_name = found.into_iter().map(|found| (found.table.name.clone(), found));
        *self.shared.catalogue.lock() = by_name.collect();
        Ok(tables)
    }

    /// The control tables, if this account may use those that are there. Changes nothing.
    ///
    /// # Errors
    /// As [`PostgresSource::connect`].
    pub async fn control(&self) -> Result<ControlTables<Arc<DatabaseControl>>> {
        control::open(&self.shared.server).await
    }

    /// The tables whose rows change without a write to them, as the catalogue that was read last says.
    pub fn hidden_changes(&self) -> Vec<HiddenChange> {
        self.shared.hidden.lock().clone()
    }

    /// What the way to the server, the server and its settings cost in promises, in sentences for people; nothing for a healthy primary.
    pub fn notes(&self) -> Vec<String> {
        let config = self.shared.server.config();
        config.tls.note(&config.host).into_iter().chain(self.shared.facts.notes()).collect()
    }

    /// The resource of a table; reads the catalogue if that has not happened yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no such table or `settings` do not fit it; as
    /// [`PostgresSource::tables`].
    pub async fn resource(&self, settings: &TableMapping) -> Result<Arc<PostgresTable>> {
        if self.shared.catalogue.lock().is_empty() {
            self.tables().await?;
        }
        let found = self.shared.catalogue.lock().get(&settings.table).cloned();
        let found = found.ok_or_else(|| {
            let database = &self.shared.server.config().database;
            let detail = format!("database `{database}` has no table `{}`", settings.table);
            Error::new(ErrorKind::Configuration, "map a table", detail)
        })?;
        let mapping = Mapping::new(Arc::new(found.table), settings)?;
        // Triggers behind a statement matter to its answer only if one of the database's triggers changes this table.
        let hidden = self.shared.hidden.lock().iter().any(|hidden| hidden.table == settings.table);
        let replica = || {
            self.shared.facts.is_replica.then(|| {
                "the server is a replica, which cannot tell whether a row is being written on the primary"
                    .to_owned()
            })
        };
        let plan = Plan {
            statements: Statements::new(&mapping, &found.schema, &found.name, found.key, found.types),
            numbers: LockNumbers::new(&found.schema, &found.name),
            mapping,
            write_obstacle: found.write_obstacle,
            strict_obstacle: found.strict_obstacle.or_else(replica),
            may_write: found.may_write,
            rereads: found.rereads && hidden,
            is_hidden: hidden,
            constraints: found.constraints,
        };
        let plan = Arc::new(plan);
        let member = self.shared.members.add(Arc::clone(&plan));
        Ok(Arc::new(PostgresTable { shared: Arc::clone(&self.shared), plan, member }))
    }

    /// Who owns lanes of accepted writes in the database.
    ///
    /// # Errors
    /// Those of any statement; none where there is no table of them, or no right to read it.
    pub async fn lane_owners(&self) -> Result<LaneOwners> {
        remote::owners::ask(&self.shared.owners).await
    }

    /// Gives up those of `lanes` that `owner` has.
    ///
    /// # Errors
    /// Those of any statement; giving them up again is always safe.
    pub async fn release_lanes(&self, lanes: &[Lane], owner: &Owner) -> Result<()> {
        remote::drain::release_lanes(&self.shared.drains, lanes, owner).await
    }

    /// What was counted so far.
    pub fn stats(&self) -> PostgresStats {
        self.shared.server.counters().stats()
    }

    /// Takes no calls any more; what waits is still done, then the connections are closed and the workers end.
    pub fn shut_down(&self) {
        self.shared.readers.close();
        self.shared.writers.close();
        self.shared.transactions.close();
        self.shared.drains.close();
        self.shared.owners.close();
    }
}
