// SPDX-License-Identifier: MIT OR Apache-2.0
//! The databases by whose control tables fleets agree, and a test of each promise over each of them.

use std::net::SocketAddr;
use std::sync::OnceLock;

use throughline_testkit::{Mariadb, MariadbOptions, Postgres, PostgresOptions};

/// Which database.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Mariadb,
    Postgres,
}

/// A real server.
#[derive(Debug)]
pub(crate) enum Database {
    Mariadb(Mariadb),
    Postgres(Postgres),
}

impl Database {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Mariadb => Self::Mariadb(Mariadb::start(MariadbOptions::fast())),
            Kind::Postgres => Self::Postgres(Postgres::start(PostgresOptions::fast())),
        }
    }

    /// The server that all tests over this database share.
    pub(crate) fn shared(kind: Kind) -> &'static Self {
        static MARIADB: OnceLock<Database> = OnceLock::new();
        static POSTGRES: OnceLock<Database> = OnceLock::new();
        let server = match kind {
            Kind::Mariadb => &MARIADB,
            Kind::Postgres => &POSTGRES,
        };
        server.get_or_init(|| Self::start(kind))
    }

    pub(crate) fn create_database(&self, name: &str) -> String {
        match self {
            Self::Mariadb(server) => server.create_database(name),
            Self::Postgres(server) => server.create_database(name),
        }
    }

    /// Runs statements as another program would; lines of columns parted by tabs.
    pub(crate) fn execute_in(&self, name: &str, sql: &str) -> String {
        match self {
            Self::Mariadb(server) => server.execute(&format!("use {name}; {sql}")),
            Self::Postgres(server) => server.execute_in(name, sql),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Mariadb(server) => server.address(),
            Self::Postgres(server) => server.address(),
        }
    }
}

/// Makes a test of each promise over each database.
macro_rules! over_every_database {
    ($($promise:ident,)*) => {
        mod mariadb {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    super::$promise(super::Kind::Mariadb).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    super::$promise(super::Kind::Postgres).await;
                }
            )*
        }
    };
}

pub(crate) use over_every_database;
