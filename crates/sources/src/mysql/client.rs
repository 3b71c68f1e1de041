// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection and what it answers.
//!
//! MySQL's protocol has no request numbers: an answer belongs to whoever asked last. A statement whose
//! future is dropped half-way would leave its answer on the wire for the next one. So a [`Session`] is only
//! ever driven by the worker task that owns it, which nobody cancels, and a statement that takes too long
//! costs the connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, SslOpts, Value};
use throughline_core::{Error, Result};
use tokio::time::timeout;

use super::config::MysqlConfig;
use super::flavour::Flavour;
use super::map::{Failure, connect_error};
use super::stats::Counters;
use crate::tls::{self, Tls, TlsMode};

/// Prepared statements that a connection keeps; the driver closes the least used one beyond.
const STATEMENT_COUNT_MAX: usize = 256;

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
    /// Writing rows: every first statement begins a transaction, without a BEGIN.
    Writer,
    /// Reading and changing the control tables: every statement is a transaction of its own.
    Control,
    /// Reading the catalogue, which is not counted.
    Catalogue,
    /// Taking news, which is not counted either.
    Feed,
    /// Transactions of applications: as for writing rows, but their changes come back as news.
    Transaction,
}

/// A server, as whoever connects sees it.
pub(super) struct Server {
    config: MysqlConfig,
    options: Opts,
    /// Why no connection may be made, if none may.
    unusable: Option<Error>,
    counters: Counters,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver's options would show the password.
        f.debug_struct("Server").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(config: MysqlConfig) -> Self {
        let encryption = encryption(&config.tls);
        let options = OptsBuilder::default()
            .ssl_opts(encryption.clone().ok().flatten())
            .ip_or_hostname(config.host.clone())
            .tcp_port(config.port)
            .user(Some(config.user.clone()))
            .pass(config.password.reveal().map(str::to_owned))
            .db_name(Some(config.database.clone()))
            .prefer_socket(false)
            .client_found_rows(true)
            .tcp_keepalive(Some(Duration::from_secs(10)))
            .stmt_cache_size(STATEMENT_COUNT_MAX)
            .into();
        Self { config, options, unusable: encryption.err(), counters: Counters::default() }
    }

    pub(super) fn config(&self) -> &MysqlConfig {
        &self.config
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How long a statement may take.
    fn statement_limit(&self) -> Duration {
        Duration::from_millis(self.config.statement_timeout_ms + GRACE_MS)
    }

    /// How long a caller waits for a worker's answer: for a connection, for one batch before its own, for its own.
    pub(super) fn answer_limit(&self) -> Duration {
        Duration::from_millis(self.config.connect_timeout_ms) + 2 * self.statement_limit()
    }

    /// Opens a connection.
    pub(super) async fn open(self: &Arc<Self>, role: Role) -> Result<Session> {
        if let Some(error) = &self.unusable {
            return Err(error.clone());
        }
        let config = &self.config;
        let place = format!("{}:{}", config.host, config.port);
        let failed = |failure| connect_error(&place, &config.user, &config.database, failure);
        let limit = Duration::from_millis(config.connect_timeout_ms);
        let conn = match timeout(limit, Conn::new(self.options.clone())).await {
            Ok(Ok(conn)) => conn,
            Ok(Err(error)) => return Err(failed(error.into())),
            Err(_) => return Err(failed(Failure::TimedOut)),
        };
        let mut session = Session {
            conn: Some(conn),
            flavour: None,
            role: Role::Catalogue,
            server: Arc::clone(self),
            limit: self.statement_limit(),
            packet_len_max: usize::MAX,
            is_read_only: false,
        };
        let answer =
            session.command("SELECT VERSION(), @@max_allowed_packet, @@read_only").await.map_err(failed)?;
        let mut row = answer.rows.into_iter().next();
        let version = row.as_mut().and_then(|row| row.take_opt::<String, _>(0)?.ok());
        let flavour = Flavour::read(&version.unwrap_or_default())?;
        session.is_read_only = row.as_mut().and_then(|row| row.take_opt::<u8, _>(2)?.ok()) == Some(1);
        session.packet_len_max = row.and_then(|mut row| row.take_opt(1)?.ok()).unwrap_or(usize::MAX);
        session.flavour = Some(flavour);
        // A little longer than a prepared write may live, so that its worker rolls back first.
        let idle_ms = config.prepared_life_ms + 2_000;
        let settings = flavour.session(
            config.statement_timeout_ms,
            idle_ms,
            !matches!(role, Role::Writer | Role::Transaction),
        );
        for statement in
            ["SET NAMES utf8mb4", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", &settings]
        {
            session.command(statement).await.map_err(failed)?;
        }
        if let (Role::Writer, Some(consumer)) = (role, &config.consumer) {
            // The triggers of an outbox look at it: what is written here need not come back as news.
            let name = consumer.name().replace(['\'', '\\'], "");
            session.command(&format!("SET @tl_origin = '{name}'")).await.map_err(failed)?;
        }
        session.role = role;
        if role == Role::Control {
            session.limit = session.limit.min(CONTROL_LIMIT);
        }
        Counters::add(&self.counters.connections_opened, 1);
        Ok(session)
    }
}

/// How the driver is to encrypt, or `None` when nothing is demanded.
fn encryption(tls: &Tls) -> Result<Option<SslOpts>> {
    let options = SslOpts::default();
    let options = match tls.mode {
        TlsMode::Off => return Ok(None),
        TlsMode::Require => {
            options.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)
        }
        TlsMode::Verify => {
            // Looked at here, because the driver would say only that it is not there.
            tls.authorities()?;
            let files = tls.ca_file.iter().map(|file| file.clone().into());
            options.with_disable_built_in_roots(tls.ca_file.is_some()).with_root_certs(files.collect())
        }
    };
    tls::provide();
    Ok(Some(options))
}

/// What a statement brought.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The rows, in the server's order.
    pub(super) rows: Vec<Row>,
    /// How many rows a change met, whether or not they became different.
    pub(super) met: u64,
    /// The key that AUTO_INCREMENT made.
    pub(super) made_id: Option<u64>,
}

/// An open connection.
pub(super) struct Session {
    conn: Option<Conn>,
    flavour: Option<Flavour>,
    role: Role,
    server: Arc<Server>,
    limit: Duration,
    packet_len_max: usize,
    is_read_only: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.role)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn config(&self) -> &MysqlConfig {
        &self.server.config
    }

    pub(super) fn flavour(&self) -> Flavour {
        self.flavour.expect("a session is handed out only after its server was recognised")
    }

    /// Whether the server took no writes when the connection was made, as replicas do.
    pub(super) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether it can still be used.
    pub(super) fn is_open(&self) -> bool {
        self.conn.is_some()
    }

    /// Runs a prepared statement, preparing it on its first use.
    pub(super) async fn run(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> std::result::Result<Answer, Failure> {
        // The server would close the connection in the middle of it.
        if packet_len(&values) > self.packet_len_max {
            return Err(Failure::TooLarge);
        }
        self.guarded(async |conn: &mut Conn| {
            let mut result = conn.exec_iter(sql, values).await?;
            let rows = result.collect().await?;
            let (met, made_id) = (result.affected_rows(), result.last_insert_id());
            result.drop_result().await?;
            Ok(Answer { rows, met, made_id })
        })
        .await
    }

    /// Runs a prepared statement that must not return more than `row_count_max` rows; `None` if it does.
    pub(super) async fn run_rows(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        row_count_max: usize,
    ) -> std::result::Result<Option<Answer>, Failure> {
        if packet_len(&values) > self.packet_len_max {
            return Err(Failure::TooLarge);
        }
        let answer = self.guarded(async |conn: &mut Conn| {
            let mut result = conn.exec_iter(sql, values).await?;
            let mut rows = Vec::new();
            while rows.len() <= row_count_max
                && let Some(row) = result.next().await?
            {
                rows.push(row);
            }
            let (met, made_id) = (result.affected_rows(), result.last_insert_id());
            result.drop_result().await?;
            Ok(Answer { rows, met, made_id })
        });
        answer.await.map(|answer| (answer.rows.len() <= row_count_max).then_some(answer))
    }

    /// Runs a statement with values that will not come again, so that it is not kept prepared.
    pub(super) async fn run_once(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> std::result::Result<Answer, Failure> {
        self.guarded(async |conn: &mut Conn| {
            let statement = conn.prep(sql).await?;
            let mut result = conn.exec_iter(&statement, values).await?;
            let rows = result.collect().await?;
            result.drop_result().await?;
            conn.close(statement).await?;
            Ok(Answer { rows, ..Answer::default() })
        })
        .await
    }

    /// Runs a statement that has no values and need not be prepared.
    pub(super) async fn command(&mut self, sql: &str) -> std::result::Result<Answer, Failure> {
        self.guarded(async |conn: &mut Conn| {
            let mut result = conn.query_iter(sql).await?;
            let rows = result.collect().await?;
            result.drop_result().await?;
            Ok(Answer { rows, ..Answer::default() })
        })
        .await
    }

    /// Says goodbye to the server.
    pub(super) async fn close(mut self) {
        if let Some(conn) = self.conn.take() {
            // The server notices a closed connection without the goodbye as well.
            let _ = timeout(Duration::from_millis(GRACE_MS), conn.disconnect()).await;
        }
    }

    async fn guarded(
        &mut self,
        work: impl AsyncFnOnce(&mut Conn) -> mysql_async::Result<Answer>,
    ) -> std::result::Result<Answer, Failure> {
        let Some(conn) = self.conn.as_mut() else {
            return Err(Failure::Lost);
        };
        let counters = &self.server.counters;
        match self.role {
            Role::Reader => Counters::add(&counters.read_statements, 1),
            Role::Writer | Role::Transaction => Counters::add(&counters.write_statements, 1),
            Role::Control => Counters::add(&counters.control_statements, 1),
            Role::Catalogue | Role::Feed => {}
        }
        let failure = match timeout(self.limit, work(conn)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Failure::from(error),
            Err(_) => Failure::TimedOut,
        };
        if !matches!(failure, Failure::Server { .. }) {
            self.abandon();
        }
        Err(match failure {
            // It spoke the protocol before, so a broken packet is a broken connection.
            Failure::Foreign(_) | Failure::Unreachable(_) => Failure::Lost,
            failure => failure,
        })
    }

    /// Closes the connection at once, whatever is still on the wire.
    pub(super) fn abandon(&mut self) {
        if let Some(conn) = self.conn.take() {
            // Polled once and dropped, the driver's goodbye closes the socket without waiting for answers;
            // dropped without it, the connection would first be read to the end in a task of the driver's.
            let _ = conn.disconnect().now_or_never();
        }
    }
}

/// About how many bytes a statement's values are on the wire, and certainly not fewer.
fn packet_len(values: &[Value]) -> usize {
    const HEAD_LEN: usize = 64;
    let len = |value: &Value| match value {
        // Its bytes, their length, its type and its bit among the nulls.
        Value::Bytes(bytes) => bytes.len() + 12,
        _ => 16,
    };
    HEAD_LEN + values.iter().map(len).sum::<usize>()
}
