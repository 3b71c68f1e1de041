// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the control tables of every server have in common: how those that are there are judged, how they are made,
//! and the requests that wait for a connection.
//!
//! They have connections of their own, with autocommit: inside the application's transaction a snapshot could
//! show an old row. Reads that wait are joined into one statement as long as it was not sent, so a fleet of writers
//! costs the server no more than one small SELECT at a time per connection.

mod request;

use throughline_core::{Error, ErrorKind, Result, Transition};

use crate::sql::{
    CONTROL_VERSION, ControlDialect, Installed, NoView, TRY_RIGHTS, ViewRow, install_statements,
};

pub use request::DatabaseControl;
pub(crate) use request::{Request, serve};

const VIEW: &str = "read the control tables";
const APPLY: &str = "change the control tables";
const INSTALL: &str = "make the control tables";
/// The place that errors name.
pub(crate) const TABLES: &str = "tl_*";
/// One for what goes on while another's connection is being made anew.
pub(crate) const CONNECTION_COUNT: usize = 2;
/// Readers of the tables that one statement answers.
pub(crate) const BATCH_LEN_MAX: usize = 4_096;

/// A connection to the database of the tables.
pub(crate) trait ControlSession: Send {
    /// What a statement fails with.
    type Failure: ControlFailure;

    /// The version of the tables; 0 when there are none.
    fn version(&mut self) -> impl Future<Output = std::result::Result<u32, Self::Failure>> + Send;

    /// Runs a statement.
    fn command(&mut self, sql: &str) -> impl Future<Output = std::result::Result<(), Self::Failure>> + Send;

    /// Runs statements that make tables, all or as many as the server can.
    fn make(
        &mut self,
        statements: Vec<String>,
    ) -> impl Future<Output = std::result::Result<(), Self::Failure>> + Send;

    /// Every row; `None` when one of them has not the form that this program gives them.
    fn rows(
        &mut self,
    ) -> impl Future<Output = std::result::Result<Option<Vec<ViewRow>>, Self::Failure>> + Send;

    /// Changes a row; whether it was as the transition expects it.
    fn change(
        &mut self,
        transition: &Transition,
    ) -> impl Future<Output = std::result::Result<bool, Self::Failure>> + Send;
}

/// Why a statement failed.
pub(crate) trait ControlFailure: Send {
    /// Whether the connection was lost before an answer.
    fn is_lost(&self) -> bool;

    /// Whether the account lacks a right.
    fn is_denied(&self) -> bool;

    /// Whether the server takes no writes, as replicas do.
    fn is_read_only(&self) -> bool;

    /// The same for callers.
    fn error(&self, operation: &'static str) -> Error;
}

/// The account, in the words of what it is told.
pub(crate) struct Account<'a> {
    pub(crate) user: &'a str,
    pub(crate) database: &'a str,
    /// The statements that give it what a daemon needs.
    pub(crate) daemon_grants: Vec<String>,
    /// The statement that lets it make the tables.
    pub(crate) install_grant: String,
}

/// Why tables cannot be used, and what to do about it.
pub(crate) type Obstacle = (String, String);

/// Whether the tables are there and may be used; changes nothing.
pub(crate) async fn look<S: ControlSession>(
    session: &mut S,
    account: &Account<'_>,
) -> Result<Option<Obstacle>> {
    let init = || "run `throughline init` with the database's URL".to_owned();
    let obstacle = match session.version().await {
        Ok(0) => Some(("the database has no control tables (tl_*)".to_owned(), init())),
        Ok(CONTROL_VERSION) => None,
        Ok(version) if version < CONTROL_VERSION => {
            Some((format!("the control tables (tl_*) are of version {version}"), init()))
        }
        Ok(version) => Some((
            format!("the control tables (tl_*) are of version {version}, made by a newer program"),
            "use that version of Throughline here too".to_owned(),
        )),
        Err(failure) => Some(unusable(&failure, account)?),
    };
    if obstacle.is_some() {
        return Ok(obstacle);
    }
    for sql in TRY_RIGHTS {
        if let Err(failure) = session.command(sql).await {
            return unusable(&failure, account).map(Some);
        }
    }
    Ok(None)
}

/// What a failure says about the tables, unless it says nothing about them.
fn unusable(failure: &impl ControlFailure, account: &Account<'_>) -> Result<Obstacle> {
    if failure.is_denied() {
        let why = format!(
            "user `{}` may not use the control tables (tl_*) of database `{}`",
            account.user, account.database
        );
        return Ok((why, account.daemon_grants.join("; ")));
    }
    if failure.is_read_only() {
        return Ok((
            "the server is read-only: is it a replica?".to_owned(),
            "connect to the primary".to_owned(),
        ));
    }
    Err(failure.error(VIEW))
}

/// Makes the tables, or brings them to the present version.
///
/// # Errors
/// [`ErrorKind::Denied`] with the rights that are missing; [`ErrorKind::Configuration`] when a newer program made them.
pub(crate) async fn install<S: ControlSession>(
    session: &mut S,
    dialect: ControlDialect,
    account: &Account<'_>,
) -> Result<Installed> {
    let failed = |failure: S::Failure| {
        if failure.is_denied() {
            let detail = format!(
                "user `{}` may not make tables in database `{}`: {}; or let an administrator run what \
                 `throughline init --print` shows",
                account.user, account.database, account.install_grant
            );
            return Error::new(ErrorKind::Denied, INSTALL, detail);
        }
        failure.error(INSTALL)
    };
    let before = session.version().await.map_err(failed)?;
    if before > CONTROL_VERSION {
        let detail = format!("they are of version {before}, made by a newer program: use that one");
        return Err(Error::new(ErrorKind::Configuration, INSTALL, detail));
    }
    let statements = install_statements(dialect, before);
    if !statements.is_empty() {
        session.make(statements).await.map_err(failed)?;
    }
    Ok(Installed { before, version: CONTROL_VERSION })
}

/// The error for rows that are no view.
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
