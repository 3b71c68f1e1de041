// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control tables on a MySQL or MariaDB server.
//!
//! They have connections of their own, with autocommit: inside the application's transaction a snapshot could
//! show an old row. Reads that wait are joined into one statement as long as it was not sent, so a fleet of writers
//! costs the server no more than one small SELECT at a time per connection.

use std::fmt;
use std::sync::Arc;

use mysql_async::{Row, Value as Wire};
use throughline_core::{BoxFuture, ControlStore, ControlView, Error, ErrorKind, Result, Tasks, Transition};
use tokio::sync::oneshot;

use super::client::{Role, Server, Session};
use super::config::MysqlConfig;
use super::map::{Failure, statement_error};
use super::worker::{Work, start};
use crate::queue::Job;
use crate::remote::Workers;
use crate::sql::{
    CONTROL_VERSION, ControlTables, DAEMON_RIGHTS, Dialect, Installed, NoView, READ_VERSION, TRY_RIGHTS,
    Value, ViewRow, install_statements, read_view, transition_statement, view_statement,
};

const VIEW: &str = "read the control tables";
const APPLY: &str = "change the control tables";
const INSTALL: &str = "make the control tables";
const TABLES: &str = "tl_*";
/// One for what goes on while another's connection is being made anew.
const CONNECTION_COUNT: usize = 2;
/// Readers of the tables that one statement answers.
const BATCH_LEN_MAX: usize = 4_096;

/// The control tables of a database.
#[derive(Debug)]
pub struct MysqlControl {
    server: Arc<Server>,
    workers: Workers<Request>,
}

/// What a caller wants.
enum Request {
    View(oneshot::Sender<Result<ControlView>>),
    Apply(Transition, oneshot::Sender<Result<bool>>),
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View(_) => f.write_str("View"),
            Self::Apply(transition, _) => f.debug_tuple("Apply").field(transition).finish(),
        }
    }
}

impl Job for Request {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::View(reply) => reply.is_closed(),
            Self::Apply(_, reply) => reply.is_closed(),
        }
    }

    fn weight(&self) -> usize {
        1
    }

    fn joins(&self, other: &Self) -> bool {
        matches!((self, other), (Self::View(_), Self::View(_)))
    }

    fn refuse(self, error: Error) {
        // A caller that left needs no answer, here and below.
        match self {
            Self::View(reply) => drop(reply.send(Err(error))),
            Self::Apply(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

/// Answers requests.
#[derive(Debug)]
struct ControlWork;

impl Work for ControlWork {
    type Job = Request;

    const ROLE: Role = Role::Control;

    async fn run(&self, session: &mut Session, batch: Vec<Request>) -> std::result::Result<(), Vec<Request>> {
        // Either all of the batch are views, or it is one transition.
        let failure = match batch.first() {
            None => return Ok(()),
            Some(Request::View(_)) => match view(session).await {
                Ok(view) => {
                    answer_views(batch, &view);
                    return Ok(());
                }
                Err(failure) => failure,
            },
            Some(Request::Apply(transition, _)) => match apply(session, transition).await {
                Ok(applied) => {
                    answer_apply(batch, applied);
                    return Ok(());
                }
                Err(failure) => failure,
            },
        };
        if failure.is_lost() {
            // A transition that took place all the same finds nothing to change the second time.
            return Err(batch);
        }
        for request in batch {
            let operation = if matches!(request, Request::View(_)) { VIEW } else { APPLY };
            request.refuse(statement_error(operation, TABLES, &failure, &|_| false));
        }
        Ok(())
    }
}

fn answer_views(batch: Vec<Request>, view: &Result<ControlView>) {
    for request in batch {
        if let Request::View(reply) = request {
            let _ = reply.send(view.clone());
        }
    }
}

fn answer_apply(batch: Vec<Request>, applied: bool) {
    for request in batch {
        if let Request::Apply(_, reply) = request {
            let _ = reply.send(Ok(applied));
        }
    }
}

async fn view(session: &mut Session) -> std::result::Result<Result<ControlView>, Failure> {
    let flavour = session.flavour();
    // MariaDB gives its servers no identity that survives; host, port and number tell two of a cluster apart.
    let lineage = match flavour.dialect() {
        Dialect::Mysql => "@@server_uuid",
        _ => "CONCAT_WS(':', @@hostname, @@port, @@server_id)",
    };
    let sql = view_statement(&format!("CAST({lineage} AS CHAR)"), "@@read_only");
    let answer = session.command(&sql).await?;
    let rows: Option<Vec<ViewRow>> = answer.rows.iter().map(view_row).collect();
    Ok(rows.ok_or(NoView::Damaged).and_then(read_view).map_err(no_view))
}

fn no_view(why: NoView) -> Error {
    let (kind, detail) = match why {
        NoView::Replica => {
            (ErrorKind::Unavailable, "the server is read-only: is it a replica? connect to the primary")
        }
        NoView::NoSettings => (
            ErrorKind::Configuration,
            "`tl_config` has no row: run `throughline init` with the database's URL",
        ),
        NoView::Damaged => (ErrorKind::Corrupt, "a row of `tl_*` holds what this program never writes"),
    };
    Error::new(kind, VIEW, detail)
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

async fn apply(session: &mut Session, transition: &Transition) -> std::result::Result<bool, Failure> {
    let (sql, values) = transition_statement(session.flavour().dialect(), transition);
    let values = values.into_iter().map(wire).collect();
    session.run(&sql, values).await.map(|answer| answer.met == 1)
}

fn wire(value: Value) -> Wire {
    match value {
        Value::Int(number) => Wire::Int(number),
        Value::Text(text) => Wire::Bytes(text.into_bytes()),
        _ => Wire::NULL,
    }
}

impl MysqlControl {
    async fn ask<T>(
        &self,
        operation: &'static str,
        request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request,
    ) -> Result<T> {
        let late = || "no connection became free in time".to_owned();
        self.workers.ask(operation, self.server.answer_limit(), late, request).await
    }
}

impl ControlStore for MysqlControl {
    fn view(&self) -> BoxFuture<'_, Result<ControlView>> {
        Box::pin(self.ask(VIEW, Request::View))
    }

    fn apply<'a>(&'a self, transition: &'a Transition) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.ask(APPLY, |reply| Request::Apply(transition.clone(), reply)))
    }
}

/// Looks whether the tables are there and may be used, and if so starts the workers.
pub(super) async fn open(
    server: &Arc<Server>,
    tasks: &dyn Tasks,
) -> Result<ControlTables<Arc<MysqlControl>>> {
    let mut session = server.open(Role::Control).await?;
    let config = server.config();
    let unusable = |why: String, remedy: String| Ok(ControlTables::Unusable { why, remedy });
    let init = "run `throughline init` with the database's URL".to_owned();
    match version(&mut session).await {
        Ok(0) => return unusable("the database has no control tables (tl_*)".to_owned(), init),
        Ok(CONTROL_VERSION) => {}
        Ok(version) if version < CONTROL_VERSION => {
            return unusable(format!("the control tables (tl_*) are of version {version}"), init);
        }
        Ok(version) => {
            let why = format!("the control tables (tl_*) are of version {version}, made by a newer program");
            return unusable(why, "use that version of Throughline here too".to_owned());
        }
        Err(failure) if failure.is_denied() => {
            return unusable(denied(config), daemon_grants(config).join("; "));
        }
        Err(failure) => return Err(statement_error(VIEW, TABLES, &failure, &|_| false)),
    }
    for sql in TRY_RIGHTS {
        match session.command(sql).await {
            Ok(_) => {}
            Err(failure) if failure.is_denied() => {
                return unusable(denied(config), daemon_grants(config).join("; "));
            }
            Err(failure) => return Err(statement_error(VIEW, TABLES, &failure, &|_| false)),
        }
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
    Ok(ControlTables::Ready(Arc::new(MysqlControl { server: Arc::clone(server), workers })))
}

fn denied(config: &MysqlConfig) -> String {
    format!("user `{}` may not use the control tables (tl_*) of database `{}`", config.user, config.database)
}

/// The version of the tables; 0 when there are none.
async fn version(session: &mut Session) -> std::result::Result<u32, Failure> {
    match session.command(READ_VERSION).await {
        Ok(answer) => {
            let version = answer.rows.first().and_then(|row| row.get_opt::<u32, _>(0)?.ok());
            Ok(version.unwrap_or(0))
        }
        Err(Failure::Server { code: 1146, .. }) => Ok(0),
        Err(failure) => Err(failure),
    }
}

/// Makes the control tables, or brings them to the present version. Running it again changes nothing.
///
/// # Errors
/// As [`super::MysqlSource::connect`]; [`ErrorKind::Denied`] with the rights that are missing;
/// [`ErrorKind::Configuration`] when a newer program made them.
pub async fn install(config: MysqlConfig) -> Result<Installed> {
    let server = Arc::new(Server::new(config));
    let mut session = server.open(Role::Control).await?;
    let config = server.config();
    let failed = |failure: Failure| {
        if failure.is_denied() {
            let detail = format!(
                "user `{}` may not make tables in database `{}`: {}; or let an administrator run what \
                 `throughline init --print` shows",
                config.user,
                config.database,
                install_grant(config)
            );
            return Error::new(ErrorKind::Denied, INSTALL, detail);
        }
        statement_error(INSTALL, TABLES, &failure, &|_| false)
    };
    let before = version(&mut session).await.map_err(failed)?;
    if before > CONTROL_VERSION {
        let detail = format!("they are of version {before}, made by a newer program: use that one");
        return Err(Error::new(ErrorKind::Configuration, INSTALL, detail));
    }
    for sql in install_statements(session.flavour().dialect(), before) {
        session.command(&sql).await.map_err(failed)?;
    }
    session.close().await;
    Ok(Installed { before, version: CONTROL_VERSION })
}

/// What [`install`] would run on a database without control tables, and the rights that daemons need then.
pub fn install_script(config: &MysqlConfig) -> Vec<String> {
    let mut script = install_statements(Dialect::Mysql, 0);
    script.extend(daemon_grants(config));
    script
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
