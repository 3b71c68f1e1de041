// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control tables on a MySQL or MariaDB server; what they have in common with others' is in `remote/control.rs`.

use std::sync::Arc;

use mysql_async::{Row, Value as Wire};
use throughline_core::{Error, Result, Tasks, Transition};

use super::client::{Role, Server, Session};
use super::config::MysqlConfig;
use super::map::{Failure, statement_error};
use super::worker::{Work, start};
use crate::DatabaseControl;
use crate::remote::control::{
    self, Account, BATCH_LEN_MAX, CONNECTION_COUNT, ControlFailure, ControlSession, Request, TABLES,
};
use crate::sql::{
    ControlDialect, ControlTables, DAEMON_RIGHTS, Dialect, Installed, READ_VERSION, Value, ViewRow,
    install_statements, transition_statement, view_statement,
};

/// "duplicate column name": MySQL cannot be told to add only what is missing.
const COLUMN_IS_THERE: u16 = 1060;

/// Answers requests.
#[derive(Debug)]
struct ControlWork;

impl Work for ControlWork {
    type Job = Request;

    const ROLE: Role = Role::Control;

    async fn run(&self, session: &mut Session, batch: Vec<Request>) -> std::result::Result<(), Vec<Request>> {
        control::serve(session, batch).await
    }
}

impl ControlFailure for Failure {
    fn is_lost(&self) -> bool {
        Self::is_lost(self)
    }

    fn is_denied(&self) -> bool {
        Self::is_denied(self)
    }

    fn is_read_only(&self) -> bool {
        matches!(self, Self::Server { code: 1290 | 1792 | 1836, .. })
    }

    fn error(&self, operation: &'static str) -> Error {
        statement_error(operation, TABLES, self, &|_| false)
    }
}

impl ControlSession for Session {
    type Failure = Failure;

    async fn version(&mut self) -> std::result::Result<u32, Failure> {
        match Self::command(self, READ_VERSION).await {
            Ok(answer) => {
                let version = answer.rows.first().and_then(|row| row.get_opt::<u32, _>(0)?.ok());
                Ok(version.unwrap_or(0))
            }
            Err(Failure::Server { code: 1146, .. }) => Ok(0),
            Err(failure) => Err(failure),
        }
    }

    async fn command(&mut self, sql: &str) -> std::result::Result<(), Failure> {
        Self::command(self, sql).await.map(drop)
    }

    async fn make(&mut self, statements: Vec<String>) -> std::result::Result<(), Failure> {
        // Each is committed by itself, and may be run again.
        for sql in statements {
            match Self::command(self, &sql).await {
                Ok(_) | Err(Failure::Server { code: COLUMN_IS_THERE, .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn rows(&mut self) -> std::result::Result<Option<Vec<ViewRow>>, Failure> {
        // MariaDB gives its servers no identity that survives; host, port and number tell two of a cluster apart.
        let lineage = match self.flavour().dialect() {
            Dialect::Mysql => "@@server_uuid",
            _ => "CONCAT_WS(':', @@hostname, @@port, @@server_id)",
        };
        let sql = view_statement(&format!("CAST({lineage} AS CHAR)"), "@@read_only");
        let answer = Self::command(self, &sql).await?;
        Ok(answer.rows.iter().map(view_row).collect())
    }

    async fn change(&mut self, transition: &Transition) -> std::result::Result<bool, Failure> {
        let (sql, values) = transition_statement(ControlDialect::Mysql, transition);
        let values = values.into_iter().map(wire).collect();
        self.run(&sql, values).await.map(|answer| answer.met == 1)
    }
}

fn view_row(row: &Row) -> Option<ViewRow> {
    let text = |place: usize| match row.as_ref(place)? {
        Wire::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    let number = |place: usize| match row.as_ref(place)? {
        Wire::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        Wire::Int(number) => Some(*number),
        Wire::UInt(number) => i64::try_from(*number).ok(),
        _ => None,
    };
    Some(ViewRow {
        kind: number(0)?,
        name: text(1)?,
        generation: number(2)?,
        previous: number(3)?,
        state: number(4)?,
        nonce: number(5)?,
        detail: text(6)?,
        map_version: number(7)?,
        revision: number(8)?,
    })
}

fn wire(value: Value) -> Wire {
    match value {
        Value::Int(number) => Wire::Int(number),
        Value::Text(text) => Wire::Bytes(text.into_bytes()),
        _ => Wire::NULL,
    }
}

/// Looks whether the tables are there and may be used, and if so starts the workers.
pub(super) async fn open(
    server: &Arc<Server>,
    tasks: &dyn Tasks,
) -> Result<ControlTables<Arc<DatabaseControl>>> {
    let mut session = server.open(Role::Control).await?;
    if let Some((why, remedy)) = control::look(&mut session, &account_of(server.config())).await? {
        return Ok(ControlTables::Unusable { why, remedy });
    }
    let workers = start(
        "mysql control tables",
        CONNECTION_COUNT,
        BATCH_LEN_MAX,
        server,
        ControlWork,
        Some(session),
        tasks,
    );
    Ok(ControlTables::Ready(Arc::new(DatabaseControl::new(workers, server.answer_limit()))))
}

/// Makes the control tables, or brings them to the present version. Running it again changes nothing.
///
/// # Errors
/// As [`super::MysqlSource::connect`]; [`throughline_core::ErrorKind::Denied`] with the rights that are missing;
/// [`throughline_core::ErrorKind::Configuration`] when a newer program made them.
pub async fn install(config: MysqlConfig) -> Result<Installed> {
    let server = Arc::new(Server::new(config));
    let mut session = server.open(Role::Control).await?;
    let installed = control::install(&mut session, ControlDialect::Mysql, &account_of(server.config())).await;
    session.close().await;
    installed
}

/// What [`install`] would run on a database without control tables, and the rights that daemons need then.
pub fn install_script(config: &MysqlConfig) -> Vec<String> {
    let mut script = install_statements(ControlDialect::Mysql, 0);
    script.extend(daemon_grants(config));
    script
}

fn account_of(config: &MysqlConfig) -> Account<'_> {
    Account {
        user: &config.user,
        database: &config.database,
        daemon_grants: daemon_grants(config),
        install_grant: install_grant(config),
    }
}

fn quoted(name: &str) -> String {
    let mut text = String::new();
    Dialect::Mysql.push_name(name, &mut text);
    text
}

pub(super) fn account(config: &MysqlConfig) -> String {
    format!("'{}'@'%'", config.user.replace('\\', "\\\\").replace('\'', "''"))
}

fn daemon_grants(config: &MysqlConfig) -> Vec<String> {
    let (database, account) = (quoted(&config.database), account(config));
    let grant = |(rights, table): &(&str, &str)| format!("GRANT {rights} ON {database}.{table} TO {account}");
    DAEMON_RIGHTS.iter().map(grant).collect()
}

fn install_grant(config: &MysqlConfig) -> String {
    let database = quoted(&config.database);
    format!("GRANT CREATE, ALTER, SELECT, INSERT, UPDATE ON {database}.* TO {}", account(config))
}
