// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection and what it answers.
//!
//! Requests may be sent one behind the other without waiting (they are pipelined), and the driver keeps their
//! answers apart even if a future is dropped. A transaction is another matter: it belongs to whoever drives the
//! connection, and that is always one worker, which nobody cancels.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use parking_lot::Mutex;
use throughline_core::{BoxFuture, Result, Tasks};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::cell::Wire;
use super::config::PostgresConfig;
use super::control;
use super::encryption::connector;
use super::map::{Failure, connect_error};
use super::server::{Facts, refuse_strangers};
use super::stats::Counters;

/// Prepared statements that a connection keeps; beyond them it forgets them all and begins anew, which a source
/// of that many tables notices as a round trip now and then.
const STATEMENT_COUNT_MAX: usize = 1_024;

/// How much longer than the server we wait for a statement's end: the server can stop it without losing the
/// connection, so it shall come first.
const GRACE_MS: u64 = 500;

/// How long a statement on the control tables may take: a few short rows, and others wait behind it.
const CONTROL_LIMIT: Duration = Duration::from_secs(2);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Reading rows: every statement is a transaction of its own.
    Reader,
    /// Writing rows.
    Writer,
    /// Transactions of applications: as for writing rows, but their changes come back as news.
    Transaction,
    /// Reading and changing the control tables: every statement is a transaction of its own.
    Control,
    /// Reading the catalogue.
    Catalogue,
}

/// A server, as whoever connects sees it.
pub(super) struct Server {
    config: PostgresConfig,
    tasks: Arc<dyn Tasks>,
    connector: Option<MakeRustlsConnect>,
    counters: Counters,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Server {
    /// # Errors
    /// As [`connector`].
    pub(super) fn new(config: PostgresConfig, tasks: Arc<dyn Tasks>) -> Result<Self> {
        let connector = connector(&config.tls)?;
        Ok(Self { config, tasks, connector, counters: Counters::default() })
    }

    pub(super) fn config(&self) -> &PostgresConfig {
        &self.config
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn tasks(&self) -> &dyn Tasks {
        self.tasks.as_ref()
    }

    /// How long a statement may take, those in front of it on its connection included.
    fn statement_limit(&self) -> Duration {
        Duration::from_millis(2 * self.config.statement_timeout_ms + GRACE_MS)
    }

    /// How long a caller waits for a worker's answer: for a connection, for one batch before its own, for its own.
    pub(super) fn answer_limit(&self) -> Duration {
        Duration::from_millis(self.config.connect_timeout_ms) + 2 * self.statement_limit()
    }

    /// Opens a connection, and tells what there is to know of the server.
    pub(super) async fn open(self: &Arc<Self>, role: Role) -> Result<(Arc<Session>, Facts)> {
        let config = &self.config;
        let place = format!("{}:{}", config.host, config.port);
        let failed = |failure| connect_error(&place, &config.user, &config.database, failure);
        let limit = Duration::from_millis(config.connect_timeout_ms);
        match timeout(limit, self.greet(role)).await {
            Ok(Ok((client, facts))) => {
                refuse_strangers(&facts)?;
                Counters::add(&self.counters.connections_opened, 1);
                let session = Session {
                    client,
                    statements: Mutex::default(),
                    limit: match role {
                        Role::Control => self.statement_limit().min(CONTROL_LIMIT),
                        _ => self.statement_limit(),
                    },
                    role,
                    server: Arc::clone(self),
                    broken: AtomicBool::new(false),
                };
                Ok((Arc::new(session), facts))
            }
            Ok(Err(error)) => Err(failed(error.into())),
            Err(_) => Err(failed(Failure::TimedOut)),
        }
    }

    async fn greet(&self, role: Role) -> std::result::Result<(Client, Facts), tokio_postgres::Error> {
        let config = &self.config;
        let mut options = tokio_postgres::Config::new();
        options
            .host(&config.host)
            .port(config.port)
            .user(&config.user)
            .dbname(&config.database)
            .application_name("throughline")
            .keepalives_idle(Duration::from_secs(10))
            .connect_timeout(Duration::from_millis(config.connect_timeout_ms));
        if let Some(password) = config.password.reveal() {
            options.password(password);
        }
        // The end of the task shows in every request that is sent afterwards.
        let (client, serve): (Client, BoxFuture<'static, ()>) = match &self.connector {
            Some(connector) => {
                let (client, connection) =
                    options.ssl_mode(SslMode::Require).connect(connector.clone()).await?;
                (client, Box::pin(async move { drop(connection.await) }))
            }
            None => {
                let (client, connection) = options.ssl_mode(SslMode::Disable).connect(NoTls).await?;
                (client, Box::pin(async move { drop(connection.await) }))
            }
        };
        self.tasks.spawn("postgres connection", serve);
        client.batch_execute(&self.settings()).await?;
        if let (Role::Writer, Some(consumer)) = (role, &config.consumer) {
            // The triggers of an outbox look at it: what is written here need not come back as news.
            let name = consumer.name().replace(['\'', '\\'], "");
            client.batch_execute(&format!("SET throughline.origin = '{name}'")).await?;
        }
        if role == Role::Control {
            client.batch_execute(control::SETTINGS).await?;
        }
        let facts = Facts::read(&client).await?;
        Ok((client, facts))
    }

    /// The statements that a connection begins with.
    ///
    /// * Every type has one text, whatever the account's settings are.
    /// * READ COMMITTED: each statement sees the newest commit, on which fills rely.
    /// * A prepared write may idle a little longer than its life, so that its worker rolls back first.
    fn settings(&self) -> String {
        let config = &self.config;
        format!(
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
             SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; \
             SET extra_float_digits = 1; SET bytea_output = 'hex'; SET lc_monetary = 'C'; \
             SET xmloption = 'content'; SET standard_conforming_strings = on; SET array_nulls = on",
            config.statement_timeout_ms,
            config.lock_timeout_ms,
            config.prepared_life_ms + 2_000,
        )
    }
}

/// An open connection.
pub(super) struct Session {
    client: Client,
    statements: Mutex<HashMap<String, Statement>>,
    limit: Duration,
    role: Role,
    server: Arc<Server>,
    broken: AtomicBool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.role)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

type Outcome<T> = std::result::Result<T, Failure>;

impl Session {
    /// The name of the database.
    pub(super) fn database(&self) -> &str {
        &self.server.config.database
    }

    /// Whether it can still be used.
    pub(super) fn is_open(&self) -> bool {
        !self.broken.load(Ordering::SeqCst) && !self.client.is_closed()
    }

    /// Sees to it that nobody uses it any more. The server ends what is under way once its last user is gone.
    pub(super) fn abandon(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// The prepared statement of this text.
    pub(super) async fn prepared(&self, sql: &str) -> Outcome<Statement> {
        if let Some(known) = self.statements.lock().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.guarded(self.client.prepare(sql)).await?;
        let mut statements = self.statements.lock();
        if statements.len() >= STATEMENT_COUNT_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Runs a prepared statement. It is sent when the future is polled for the first time.
    pub(super) async fn execute(&self, statement: &Statement, values: &[Wire]) -> Outcome<Vec<Row>> {
        let rows = async { self.client.query_raw(statement, values).await?.try_collect().await };
        self.guarded(rows).await
    }

    /// Prepares a statement on its first use and runs it.
    pub(super) async fn run(&self, sql: &str, values: &[Wire]) -> Outcome<Vec<Row>> {
        let statement = self.prepared(sql).await?;
        self.execute(&statement, values).await
    }

    /// Runs a statement that must not return more than `row_count_max` rows; its rows and how many it changed, or
    /// `None`.
    pub(super) async fn run_rows(
        &self,
        sql: &str,
        values: &[Wire],
        row_count_max: usize,
    ) -> Outcome<Option<(Vec<Row>, u64)>> {
        let statement = self.prepared(sql).await?;
        let rows = async {
            let mut stream = pin!(self.client.query_raw(&statement, values).await?);
            let mut rows = Vec::new();
            while let Some(row) = stream.try_next().await? {
                if rows.len() == row_count_max {
                    return Ok(None);
                }
                rows.push(row);
            }
            Ok(Some((rows, stream.rows_affected().unwrap_or(0))))
        };
        self.guarded(rows).await
    }

    /// Runs statements that have no values and no rows. Sent when the future is polled for the first time.
    pub(super) async fn command(&self, sql: &str) -> Outcome<()> {
        self.guarded(self.client.batch_execute(sql)).await
    }

    /// Counts a round trip of a write.
    pub(super) fn count_round_trip(&self) {
        if matches!(self.role, Role::Writer | Role::Transaction) {
            Counters::add(&self.server.counters.write_round_trips, 1);
        }
    }

    async fn guarded<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Outcome<T> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Failure::Lost);
        }
        let failure = match timeout(self.limit, work).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => Failure::from(error),
            Err(_) => Failure::TimedOut,
        };
        if !matches!(failure, Failure::Server(_)) {
            self.abandon();
        }
        Err(match failure {
            // It spoke the protocol before, so a broken message is a broken connection.
            Failure::Foreign(_) | Failure::Insecure(_) | Failure::Unreachable(_) => Failure::Lost,
            failure => failure,
        })
    }
}
