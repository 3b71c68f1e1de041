// SPDX-License-Identifier: MIT OR Apache-2.0
//! The database under test: a real server, and the checker's own way to it, which shares nothing with Throughline's.

mod mysql;
mod postgres;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Result};
use throughline_testkit::{Mariadb, MariadbOptions, Postgres, PostgresOptions};

use crate::sut::Process;

/// Without a binary log InnoDB shows a commit to others before its log is on disk: a database that is killed at
/// that moment has shown what it then never had, and no cache in front of it can help. With one, a commit is
/// prepared on disk and written to the binary log before anybody sees it.
const DURABLE_BEFORE_VISIBLE: [&str; 3] = ["--log-bin=binary-log", "--sync-binlog=1", "--binlog-format=ROW"];

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MariaDB.
    Mariadb,
    /// PostgreSQL.
    Postgres,
}

/// A real server.
#[derive(Clone, Debug)]
pub enum Server {
    /// MariaDB.
    Mariadb(Arc<Mariadb>),
    /// PostgreSQL.
    Postgres(Arc<Postgres>),
}

impl Kind {
    /// What reports call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mariadb => "MariaDB",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// The kind called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "mariadb" => Some(Self::Mariadb),
            "postgres" => Some(Self::Postgres),
            _ => None,
        }
    }
}

impl Server {
    /// Starts a server; blocks until it answers. Commits wait for the disk, because acknowledged writes are
    /// counted after it was killed.
    ///
    /// # Panics
    /// When it does not come up, with the end of its log.
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Mariadb => {
                let args = DURABLE_BEFORE_VISIBLE.map(str::to_owned).to_vec();
                Self::Mariadb(Arc::new(Mariadb::start(MariadbOptions { durable: true, args })))
            }
            Kind::Postgres => Self::Postgres(Arc::new(Postgres::start(PostgresOptions::default()))),
        }
    }

    /// Which database it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Mariadb(_) => Kind::Mariadb,
            Self::Postgres(_) => Kind::Postgres,
        }
    }

    /// The process.
    pub fn process(&self) -> Arc<dyn Process> {
        match self {
            Self::Mariadb(server) => Arc::clone(server) as _,
            Self::Postgres(server) => Arc::clone(server) as _,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        match self {
            Self::Mariadb(server) => server.address(),
            Self::Postgres(server) => server.address(),
        }
    }

    /// Makes an empty database, and gives its URL.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create_database(&self, name: &str) -> String {
        match self {
            Self::Mariadb(server) => server.create_database(name),
            Self::Postgres(server) => server.create_database(name),
        }
    }
}

const NODES: &str = "SELECT node, generation FROM tl_node";
const RESOURCES: &str = "SELECT resource, generation FROM tl_resource WHERE resource = 'kv'";

/// What the audit table tells of one write: its place in the order, the key, and what was stored.
pub(crate) type Audited = (u64, i64, Option<String>);

/// One connection of the checker's, or of a control.
///
/// A call that was dropped half-way must be the last one.
pub(crate) enum Session {
    Mysql(mysql::Session),
    Postgres(postgres::Session),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mysql(_) => "MariaDB",
            Self::Postgres(_) => "PostgreSQL",
        })
    }
}

macro_rules! each {
    ($self:ident, $session:ident => $call:expr) => {
        match $self {
            Session::Mysql($session) => $call.await.map_err(|error| failed("MariaDB", error)),
            Session::Postgres($session) => $call.await.map_err(|error| failed("PostgreSQL", error)),
        }
    };
}

impl Session {
    /// Connects to the database at `url`, by TCP as other programs do.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        if url.starts_with("postgres:") {
            let session = postgres::Session::connect(url).await;
            return session.map(Self::Postgres).map_err(|error| failed("PostgreSQL", error));
        }
        mysql::Session::connect(url).await.map(Self::Mysql).map_err(|error| failed("MariaDB", error))
    }

    /// Makes the checker's tables and triggers.
    pub(crate) async fn create(&mut self) -> Result<()> {
        each!(self, session => session.create())
    }

    /// Runs one statement; on PostgreSQL several.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<()> {
        each!(self, session => session.execute(sql))
    }

    /// Rows of a name and a number that is never negative.
    pub(crate) async fn numbers(&mut self, query: &str) -> Result<Vec<(String, u64)>> {
        each!(self, session => session.numbers(query))
    }

    pub(crate) async fn insert(&mut self, key: i64, body: &str) -> Result<()> {
        each!(self, session => session.insert(key, body))
    }

    pub(crate) async fn upsert(&mut self, key: i64, body: &str) -> Result<()> {
        each!(self, session => session.upsert(key, body))
    }

    pub(crate) async fn remove(&mut self, key: i64) -> Result<()> {
        each!(self, session => session.remove(key))
    }

    pub(crate) async fn body(&mut self, key: i64) -> Result<Option<String>> {
        each!(self, session => session.body(key))
    }

    pub(crate) async fn rows(&mut self) -> Result<Vec<(i64, String)>> {
        each!(self, session => session.rows())
    }

    /// At most `len_max` writes after the one numbered `seq`, in the order of commits.
    pub(crate) async fn audit_after(&mut self, seq: u64, len_max: u64) -> Result<Vec<Audited>> {
        each!(self, session => session.audit_after(seq, len_max))
    }

    /// The generations in which daemons keep entries now: of each cache server by its name, and of the resource
    /// `kv`. Empty and 0 where there are no control tables, or no rows in them.
    pub(crate) async fn generations(&mut self) -> (BTreeMap<String, u64>, u64) {
        let nodes = match self {
            Self::Mysql(session) => session.numbers(NODES).await.unwrap_or_default(),
            Self::Postgres(session) => session.numbers(NODES).await.unwrap_or_default(),
        };
        let resources = match self {
            Self::Mysql(session) => session.numbers(RESOURCES).await.unwrap_or_default(),
            Self::Postgres(session) => session.numbers(RESOURCES).await.unwrap_or_default(),
        };
        let resource = resources.first().map_or(0, |(_, generation)| *generation);
        (nodes.into_iter().collect(), resource)
    }

    /// How many statements the server has carried out so far: the base of rates only.
    pub(crate) async fn statement_count(&mut self) -> Result<u64> {
        each!(self, session => session.statement_count())
    }
}

fn failed(server: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "ask the database for the checker", server).with_cause(error)
}
