// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control tables on a PostgreSQL server; what they have in common with others' is in `remote/control.rs`.
//!
//! A database has one set of them, in whichever schema it was made, and every connection of ours to them looks
//! there and nowhere else: accounts whose `search_path`s differ would otherwise agree on different rows.

use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Result, Tasks, Transition};
use tokio_postgres::Row;

use super::cell::{Wire, to_wire};
use super::client::{Role, Server, Session};
use super::config::PostgresConfig;
use super::map::{Complaint, Failure, statement_error};
use super::statement::quoted;
use super::stats::Counters;
use super::worker::{Work, start};
use crate::DatabaseControl;
use crate::remote::control::{
    self, Account, BATCH_LEN_MAX, CONNECTION_COUNT, ControlFailure, ControlSession, Request, TABLES,
};
use crate::sql::{
    ControlDialect, ControlTables, DAEMON_RIGHTS, Installed, READ_VERSION, ViewRow, install_statements,
    transition_statement, view_statement,
};

/// What a connection to the tables begins with: they are looked for where they are, and a change of theirs that was
/// acknowledged survives a crash, whatever the account's setting is.
pub(super) const SETTINGS: &str = "\
    SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident(n.nspname), false) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relname = 'tl_meta' AND c.relkind = 'r'; \
    SELECT pg_catalog.set_config('synchronous_commit', 'on', false) \
    WHERE pg_catalog.current_setting('synchronous_commit') = 'off'";

const SCHEMAS: &str = "SELECT n.nspname::text FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relname = 'tl_meta' AND c.relkind = 'r' ORDER BY 1";

/// What a standby is called instead of its history: it follows another server's.
const STANDBY: &str = "standby";

/// The cluster, and its timeline, which the promotion of a standby changes.
const LINEAGE: &str = "CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby' ELSE \
    (SELECT system_identifier FROM pg_catalog.pg_control_system()) || ':' || \
    pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) END";

/// Two programs that make the tables at once would meet in the catalogue. The number has no meaning.
const INSTALL_LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(7310594270264113)";

/// "insufficient privilege".
const DENIED: &str = "42501";

/// Answers requests.
#[derive(Debug)]
struct ControlWork {
    server: Arc<Server>,
}

impl Work for ControlWork {
    type Job = Request;

    const ROLE: Role = Role::Control;
    // Whoever waits meanwhile is answered together by the next one.
    const DEPTH: usize = 1;

    async fn run(&self, session: &Session, batch: Vec<Request>) -> std::result::Result<(), Vec<Request>> {
        Counters::add(&self.server.counters().control_statements, 1);
        let mut session = session;
        control::serve(&mut session, batch).await
    }
}

impl ControlFailure for Failure {
    fn is_lost(&self) -> bool {
        Self::is_lost(self)
    }

    fn is_denied(&self) -> bool {
        matches!(self, Self::Server(complaint) if complaint.code == DENIED)
    }

    fn is_read_only(&self) -> bool {
        matches!(self, Self::Server(complaint) if complaint.code == "25006")
    }

    fn error(&self, operation: &'static str) -> Error {
        statement_error(operation, TABLES, self, &|_| false)
    }
}

impl ControlSession for &Session {
    type Failure = Failure;

    async fn version(&mut self) -> std::result::Result<u32, Failure> {
        match version(self).await {
            Err(Failure::Server(complaint)) if complaint.code == "42P01" => {
                if schemas(self).await?.is_empty() {
                    return Ok(0);
                }
                // Another program may have made them between the two looks.
                version(self).await.map_err(|failure| match failure {
                    // A schema that the account may not use is as if it were not there.
                    Failure::Server(complaint) if complaint.code == "42P01" => {
                        Failure::Server(Complaint { code: DENIED.to_owned(), ..Complaint::default() })
                    }
                    failure => failure,
                })
            }
            outcome => outcome,
        }
    }

    async fn command(&mut self, sql: &str) -> std::result::Result<(), Failure> {
        Session::command(self, sql).await
    }

    async fn make(&mut self, statements: Vec<String>) -> std::result::Result<(), Failure> {
        let text = format!("BEGIN; {INSTALL_LOCK}; {}; COMMIT", statements.join("; "));
        Session::command(self, &text).await
    }

    async fn rows(&mut self) -> std::result::Result<Option<Vec<ViewRow>>, Failure> {
        let columns = "kind::text, name::text, generation::text, previous::text, state::text, nonce::text, \
                       detail::text, map_version::text, revision::text";
        // Both facts in one word, because a promotion may come between two looks.
        let sql = format!("SELECT {columns} FROM ({}) AS tl_view", view_statement(LINEAGE, "0"));
        let rows = self.run(&sql, &[]).await?;
        Ok(rows.iter().map(view_row).collect())
    }

    async fn change(&mut self, transition: &Transition) -> std::result::Result<bool, Failure> {
        let (sql, values) = transition_statement(ControlDialect::Postgres, transition);
        let values: Vec<Wire> = values.iter().map(to_wire).collect();
        self.run(&sql, &values).await.map(|rows| rows.len() == 1)
    }
}

fn view_row(row: &Row) -> Option<ViewRow> {
    let text = |place: usize| row.try_get::<_, String>(place).ok();
    let number = |place: usize| text(place)?.parse::<i64>().ok();
    let (kind, name) = (number(0)?, text(1)?);
    Some(ViewRow {
        kind,
        state: if kind == 0 { i64::from(name == STANDBY) } else { number(4)? },
        name,
        generation: number(2)?,
        previous: number(3)?,
        nonce: number(5)?,
        detail: text(6)?,
        map_version: number(7)?,
        revision: number(8)?,
    })
}

async fn version(session: &Session) -> std::result::Result<u32, Failure> {
    let rows = session.run(READ_VERSION, &[]).await?;
    let version = rows.first().and_then(|row| row.try_get::<_, i32>(0).ok());
    Ok(version.and_then(|version| u32::try_from(version).ok()).unwrap_or(0))
}

/// The schemas in which there are control tables.
async fn schemas(session: &Session) -> std::result::Result<Vec<String>, Failure> {
    let rows = session.run(SCHEMAS, &[]).await?;
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

/// What is wrong if daemons could agree on several sets of rows.
async fn several(session: &Session, operation: &'static str) -> Result<Option<String>> {
    let schemas = schemas(session).await.map_err(|failure| failure.error(operation))?;
    let why = || format!("there are control tables (tl_*) in several schemas: {}", schemas.join(", "));
    Ok((schemas.len() > 1).then(why))
}

const REMEDY_SEVERAL: &str = "with every daemon stopped, drop them in all schemas but one";

/// Looks whether the tables are there and may be used, and if so starts the workers.
pub(super) async fn open(server: &Arc<Server>) -> Result<ControlTables<Arc<DatabaseControl>>> {
    let (session, _) = server.open(Role::Control).await?;
    if let Some(why) = several(&session, "look for the control tables").await? {
        return Ok(ControlTables::Unusable { why, remedy: REMEDY_SEVERAL.to_owned() });
    }
    let mut looking = session.as_ref();
    if let Some((why, remedy)) = control::look(&mut looking, &account_of(server.config())).await? {
        return Ok(ControlTables::Unusable { why, remedy });
    }
    let workers = start(
        "postgres control tables",
        CONNECTION_COUNT,
        BATCH_LEN_MAX,
        server,
        ControlWork { server: Arc::clone(server) },
        vec![session],
    );
    Ok(ControlTables::Ready(Arc::new(DatabaseControl::new(workers, server.answer_limit()))))
}

/// Makes the control tables in the schema that new tables go to, or brings those that are there to the present
/// version. Running it again changes nothing.
///
/// # Errors
/// As [`super::PostgresSource::connect`]; [`ErrorKind::Denied`] with the rights that are missing;
/// [`ErrorKind::Configuration`] when a newer program made them, or there are several sets.
pub async fn install(config: PostgresConfig, tasks: Arc<dyn Tasks>) -> Result<Installed> {
    const OPERATION: &str = "make the control tables";
    let server = Arc::new(Server::new(config, tasks)?);
    // Not as one that serves them, whose time is short.
    let (session, _) = server.open(Role::Catalogue).await?;
    session.command(SETTINGS).await.map_err(|failure| failure.error(OPERATION))?;
    if let Some(why) = several(&session, OPERATION).await? {
        return Err(Error::new(ErrorKind::Configuration, OPERATION, format!("{why}: {REMEDY_SEVERAL}")));
    }
    let mut session = session.as_ref();
    control::install(&mut session, ControlDialect::Postgres, &account_of(server.config())).await
}

/// What [`install`] would run on a database without control tables, and the rights that daemons need then.
pub fn install_script(config: &PostgresConfig) -> Vec<String> {
    let mut script = install_statements(ControlDialect::Postgres, 0);
    script.extend(daemon_grants(config));
    script
}

fn account_of(config: &PostgresConfig) -> Account<'_> {
    Account {
        user: &config.user,
        database: &config.database,
        daemon_grants: daemon_grants(config),
        install_grant: format!("GRANT CREATE ON SCHEMA public TO {}", quoted(&config.user)),
    }
}

fn daemon_grants(config: &PostgresConfig) -> Vec<String> {
    let account = quoted(&config.user);
    DAEMON_RIGHTS.iter().map(|(rights, table)| format!("GRANT {rights} ON {table} TO {account}")).collect()
}
