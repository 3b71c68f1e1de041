// SPDX-License-Identifier: MIT OR Apache-2.0
//! MySQL and MariaDB.
//!
//! Every connection belongs to one worker task that nobody cancels (`worker`, `client`): callers put their
//! request into a bounded queue and may leave at any time. Readers join what waits into one query
//! (`reader`); a writer holds one transaction from prepare to commit (`writer`, `transaction`).

mod catalogue;
mod cell;
mod client;
mod config;
mod control;
mod drain;
mod flavour;
mod map;
mod open;
mod outbox;
mod owners;
mod plan;
mod reader;
mod stats;
mod table;
mod transaction;
mod worker;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use throughline_core::{Error, ErrorKind, Lane, Owner, Result, Tasks};

use self::catalogue::Found;
use self::client::{Role, Server};
use self::drain::DrainWork;
use self::flavour::Flavour;
use self::open::OpenWork;
use self::owners::OwnersWork;
use self::plan::Plan;
use self::reader::Reader;
use self::writer::OrderWork;
use crate::DatabaseControl;
use crate::remote::drain::{CONNECTION_COUNT, DrainJob};
use crate::remote::owners::OwnersJob;
use crate::remote::{self, Begin, LookUp, Order, Workers};
use crate::sql::{ControlTables, LaneOwners, Mapping, Statements, Table, TableMapping, hidden_changes};
use crate::transaction::Members;

pub use crate::Password;
pub use config::MysqlConfig;
pub use control::{install, install_script};
pub use stats::MysqlStats;
pub use table::MysqlTable;

/// A database on a MySQL (8.0.1 or newer) or MariaDB (10.3 or newer) server.
///
/// Once connected it survives the server's absence: calls end with [`ErrorKind::Unavailable`] until a worker
/// can connect again. A clone is another handle.
#[derive(Clone, Debug)]
pub struct MysqlSource {
    shared: Arc<Shared>,
}

/// What the source and its tables share; the workers end when the last of them is dropped.
struct Shared {
    server: Arc<Server>,
    flavour: Flavour,
    /// Whether the server took no writes when we connected.
    is_read_only: bool,
    readers: Workers<LookUp<Plan>>,
    writers: Workers<Order<Plan>>,
    transactions: Workers<Begin>,
    drains: Arc<Workers<DrainJob<Plan>>>,
    owners: Workers<OwnersJob>,
    members: Members<Plan>,
    catalogue: Mutex<HashMap<String, Found>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("config", self.server.config())
            .field("flavour", &self.flavour)
            .finish_non_exhaustive()
    }
}

impl MysqlSource {
    /// Connects, checks that the server can do what is needed, and starts the workers as `tasks`, which open
    /// further connections when they are needed.
    ///
    /// # Errors
    /// Each says what to do: [`ErrorKind::Unavailable`] and [`ErrorKind::Timeout`] when nobody answers,
    /// [`ErrorKind::Denied`] for the account, [`ErrorKind::Configuration`] for a database that does not exist
    /// and for a server that is none or too old.
    pub async fn connect(config: MysqlConfig, tasks: &dyn Tasks) -> Result<Self> {
        let server = Arc::new(Server::new(config));
        let session = server.open(Role::Reader).await?;
        let (flavour, is_read_only) = (session.flavour(), session.is_read_only());
        let config = server.config();
        let reader = Reader { server: Arc::clone(&server) };
        let readers = worker::start(
            "mysql reader",
            config.reader_count,
            config.batch_len_max,
            &server,
            reader,
            Some(session),
            tasks,
        );
        let writer = OrderWork { server: Arc::clone(&server) };
        let writers = worker::start("mysql writer", config.writer_count, 1, &server, writer, None, tasks);
        let members = Members::default();
        let open = OpenWork { server: Arc::clone(&server), members: members.clone() };
        let count = config.transaction_count;
        let transactions = worker::start("mysql transaction", count, 1, &server, open, None, tasks);
        let drains =
            worker::start("mysql drain", CONNECTION_COUNT, 1, &server, DrainWork, None, tasks).into();
        let owners = worker::start("mysql lanes' owners", 1, 1, &server, OwnersWork, None, tasks);
        let catalogue = Mutex::default();
        let shared = Shared {
            flavour,
            is_read_only,
            readers,
            writers,
            transactions,
            drains,
            owners,
            members,
            catalogue,
            server,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Reads the catalogue: every table and view of the database, by name.
    ///
    /// # Errors
    /// As [`MysqlSource::connect`], and [`ErrorKind::Unavailable`] when the connection is lost.
    pub async fn tables(&self) -> Result<Vec<Table>> {
        let database = &self.shared.server.config().database;
        let mut session = self.shared.server.open(Role::Catalogue).await?;
        let found = catalogue::read(&mut session, database).await.map_err(|failure| {
            map::statement_error("read the catalogue", "information_schema", &failure, &|_| false)
        })?;
        session.close().await;
        let tables = found.iter().map(|found| found.table.clone()).collect();
        let by_name = found.into_iter().map(|found| (found.table.name.clone(), found));
        *self.shared.catalogue.lock() = by_name.collect();
        Ok(tables)
    }

    /// What the way to the server and the server cost in promises, in sentences for people; nothing for a primary.
    pub fn notes(&self) -> Vec<String> {
        let config = self.shared.server.config();
        let read_only = self.shared.is_read_only.then(|| {
            "the server is read-only, as replicas are: writes will be refused, and reads may be older than the primary"
                .to_owned()
        });
        config.tls.note(&config.host).into_iter().chain(read_only).collect()
    }

    /// The resource of a table; reads the catalogue if that has not happened yet.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no such table or `settings` do not fit it; as
    /// [`MysqlSource::tables`].
    pub async fn resource(&self, settings: &TableMapping) -> Result<Arc<MysqlTable>> {
        if self.shared.catalogue.lock().is_empty() {
            self.tables().await?;
        }
        let found = self.shared.catalogue.lock().get(&settings.table).cloned();
        let found = found.ok_or_else(|| {
            let database = &self.shared.server.config().database;
            let detail = format!("database `{database}` has no table `{}`", settings.table);
            Error::new(ErrorKind::Configuration, "map a table", detail)
        })?;
        let key_chars_max = found.key_chars_max();
        let is_hidden = {
            let catalogue = self.shared.catalogue.lock();
            let tables: Vec<Table> = catalogue.values().map(|found| found.table.clone()).collect();
            hidden_changes(&tables).iter().any(|hidden| hidden.table == settings.table)
        };
        let mapping = Mapping::new(Arc::new(found.table), settings)?;
        let plan = Plan {
            statements: Statements::new(self.shared.flavour.dialect(), &mapping),
            mapping,
            key_chars_max,
            obstacle: found.obstacle,
            is_hidden,
            unique_indexes: found.unique_indexes,
            lock_denied: AtomicBool::new(false),
        };
        let plan = Arc::new(plan);
        let member = self.shared.members.add(Arc::clone(&plan));
        Ok(Arc::new(MysqlTable { shared: Arc::clone(&self.shared), plan, member }))
    }

    /// The control tables, if this account may use those that are there. Changes nothing.
    ///
    /// # Errors
    /// As [`MysqlSource::connect`].
    pub async fn control(&self, tasks: &dyn Tasks) -> Result<ControlTables<Arc<DatabaseControl>>> {
        control::open(&self.shared.server, tasks).await
    }

    /// Who owns lanes of accepted writes in the database.
    ///
    /// # Errors
    /// Those of any statement; none where there is no table of them, or no right to read it.
    pub async fn lane_owners(&self) -> Result<LaneOwners> {
        let mut owners = remote::owners::ask(&self.shared.owners).await?;
        owners::respell(&mut owners, &self.shared.server.config().database);
        Ok(owners)
    }

    /// Gives up those of `lanes` that `owner` has.
    ///
    /// # Errors
    /// Those of any statement; giving them up again is always safe.
    pub async fn release_lanes(&self, lanes: &[Lane], owner: &Owner) -> Result<()> {
        remote::drain::release_lanes(&self.shared.drains, lanes, owner).await
    }

    /// What was counted so far.
    pub fn stats(&self) -> MysqlStats {
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
