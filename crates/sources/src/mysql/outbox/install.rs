// SPDX-License-Identifier: MIT OR Apache-2.0
//! The statements that give a database its outbox, and those that take it away.

use throughline_core::{Error, ErrorKind, Result};

use super::super::MysqlSource;
use super::super::client::{Role, Session};
use super::super::control::account;
use super::super::map::{Failure, statement_error};
use super::super::{MysqlConfig, catalogue};
use super::poll;
use crate::sql::outbox::{Event, SHARED, is_exact_in_triggers, trigger_name};
use crate::sql::{Column, Dialect, Kind, Table, hidden_changes};

const INSTALL: &str = "install an outbox";

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS tl_outbox (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
     consumer VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '', \
     origin VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL, \
     tbl VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, \
     k TEXT CHARACTER SET ascii COLLATE ascii_bin NULL, \
     at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), KEY tl_outbox_consumer (consumer, id)) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS tl_consumer (name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, \
     since TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), \
     seen TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS tl_table (tbl VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, \
     shape VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '', at TIMESTAMP(6) NULL) ENGINE = InnoDB",
];

impl MysqlSource {
    /// The statements that make the outbox and the triggers on `names`, in their order. Again, they do no harm.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a table that is not there or a server that cannot; as [`MysqlSource::tables`].
    pub async fn outbox_statements(config: MysqlConfig, names: &[String]) -> Result<Vec<String>> {
        let (session, statements) = plan(config, names).await?;
        session.close().await;
        Ok(statements)
    }

    /// The same as the `mysql` and `mariadb` programs read it, with the rights that a daemon's account needs.
    ///
    /// # Errors
    /// As [`MysqlSource::outbox_statements`].
    pub async fn outbox_script(config: MysqlConfig, names: &[String]) -> Result<Vec<String>> {
        let line = |statement: String| match statement.starts_with("CREATE TRIGGER") {
            true => format!("DELIMITER //\n{statement} //\nDELIMITER ;"),
            false => format!("{statement};"),
        };
        let (account, database) = (account(&config), quoted(&config.database));
        let statements = Self::outbox_statements(config, names).await?;
        let grant =
            |table| format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.{table} TO {account};");
        Ok(statements.into_iter().map(line).chain(OUTBOX_TABLES.map(grant)).collect())
    }

    /// Makes the outbox and the triggers on `names`.
    ///
    /// # Errors
    /// As [`MysqlSource::outbox_statements`]; [`ErrorKind::Timeout`] when another transaction holds a table for
    /// longer than a few seconds; [`ErrorKind::Denied`] without the right.
    pub async fn install_outbox(config: MysqlConfig, names: &[String]) -> Result<Vec<String>> {
        let (mut session, statements) = plan(config, names).await?;
        run(&mut session, &statements).await?;
        session.close().await;
        Ok(statements)
    }

    /// Removes every trigger and table of ours, those of [`super::super::install`] too.
    ///
    /// # Errors
    /// As [`MysqlSource::install_outbox`].
    pub async fn remove_own(config: MysqlConfig) -> Result<Vec<String>> {
        let mut session = open(config.clone()).await?;
        let rows = session
            .run(OWN_TRIGGERS, vec![config.database.as_str().into()])
            .await
            .map_err(|failure| failed(&failure))?
            .rows;
        let drop = |row| format!("DROP TRIGGER IF EXISTS {}", quoted(&catalogue::text(row, 0)));
        let mut statements: Vec<String> = rows.iter().map(drop).collect();
        let rows = session.run(OWN_TABLES, vec![config.database.as_str().into()]).await;
        let rows = rows.map_err(|failure| failed(&failure))?.rows;
        let drop = |row| format!("DROP TABLE IF EXISTS {}", quoted(&catalogue::text(row, 0)));
        statements.extend(rows.iter().map(drop));
        run(&mut session, &statements).await?;
        session.close().await;
        Ok(statements)
    }
}

const OUTBOX_TABLES: [&str; 3] = ["tl_outbox", "tl_consumer", "tl_table"];

const OWN_TABLES: &str = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? \
    AND TABLE_NAME LIKE 'tl\\_%' ORDER BY TABLE_NAME";
const OWN_TRIGGERS: &str = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? \
    AND TRIGGER_NAME LIKE 'tl\\_%' ORDER BY TRIGGER_NAME";

async fn open(config: MysqlConfig) -> Result<Session> {
    let server = std::sync::Arc::new(super::super::client::Server::new(config));
    let mut session = server.open(Role::Catalogue).await?;
    // A trigger waits for every transaction on its table; sooner than we give the statement up.
    session.command("SET SESSION lock_wait_timeout = 4").await.map_err(|failure| failed(&failure))?;
    Ok(session)
}

async fn plan(config: MysqlConfig, names: &[String]) -> Result<(Session, Vec<String>)> {
    let database = config.database.clone();
    let mut session = open(config).await?;
    if !session.flavour().skips_locked() {
        let detail = "an outbox needs SKIP LOCKED: MariaDB 10.6 or newer, MySQL 8.0.1 or newer";
        return Err(Error::new(ErrorKind::Configuration, INSTALL, detail));
    }
    let found = catalogue::read(&mut session, &database).await.map_err(|failure| failed(&failure))?;
    let tables: Vec<Table> = found.into_iter().map(|found| found.table).collect();
    // What is installed already is made anew, so that an older version's triggers do not stay.
    let mut all = poll::fed(&mut session, &database).await.map_err(|failure| failed(&failure))?;
    all.retain(|name| !names.contains(name) && tables.iter().any(|table| table.name == *name));
    let hidden = hidden_changes(&tables);
    let mut statements: Vec<String> = TABLES.map(str::to_owned).into();
    for name in names.iter().chain(&all) {
        let refused =
            |why: &str| Error::new(ErrorKind::Configuration, INSTALL, format!("table `{name}`: {why}"));
        let table = tables.iter().find(|table| table.name == *name);
        let table = table.ok_or_else(|| refused("there is no such table"))?;
        if let Some(reason) = &table.unservable {
            return Err(refused(reason));
        }
        let is_changed_by_triggers = hidden.iter().any(|hidden| hidden.table == *name);
        for event in Event::ALL {
            let trigger = quoted(&trigger_name(name, event));
            statements.push(format!("DROP TRIGGER IF EXISTS {trigger}"));
            statements.push(create(table, event, &trigger, is_changed_by_triggers));
        }
        // Between the old triggers and the new ones, and before the first, changes were not written down.
        statements.push(format!(
            "INSERT INTO tl_table (tbl, at) VALUES ({}, NOW(6)) ON DUPLICATE KEY UPDATE at = NOW(6)",
            literal(name)
        ));
    }
    Ok((session, statements))
}

async fn run(session: &mut Session, statements: &[String]) -> Result<()> {
    for statement in statements {
        session.command(statement).await.map_err(|failure| failed(&failure))?;
    }
    Ok(())
}

/// A trigger that writes the row's key, unless the write came over a connection that marks the entry itself.
/// A row that changed its key is written in any case, under both keys, because only one was marked. So is every
/// row of a table that other triggers change: those run over the same connection.
fn create(table: &Table, event: Event, trigger: &str, is_changed_by_triggers: bool) -> String {
    let name = literal(&table.name);
    let (origin, foreign) = if is_changed_by_triggers {
        ("NULL".to_owned(), "TRUE".to_owned())
    } else {
        ("@tl_origin".to_owned(), format!("NOT (@tl_origin <=> '{SHARED}')"))
    };
    let insert = |origin: &str, key: &str| {
        format!("INSERT INTO tl_outbox (origin, tbl, k) VALUES ({origin}, {name}, {key}); ")
    };
    let body = match event {
        Event::Insert => format!("IF {foreign} THEN {}END IF; ", insert(&origin, &key(table, "NEW"))),
        Event::Delete => format!("IF {foreign} THEN {}END IF; ", insert(&origin, &key(table, "OLD"))),
        Event::Update => format!(
            "DECLARE old_key, new_key TEXT CHARACTER SET ascii COLLATE ascii_bin; SET old_key = {}, new_key = {}; \
             IF old_key <=> new_key THEN IF {foreign} THEN {}END IF; ELSE {}{}END IF; ",
            key(table, "OLD"),
            key(table, "NEW"),
            insert(&origin, "old_key"),
            insert("NULL", "old_key"),
            insert("NULL", "new_key"),
        ),
    };
    let word = event.as_str().to_ascii_uppercase();
    let on = quoted(&table.name);
    format!("CREATE TRIGGER {trigger} AFTER {word} ON {on} FOR EACH ROW BEGIN {body}END")
}

/// The parts of a row's key; null when one of them cannot be written exactly.
fn key(table: &Table, row: &str) -> String {
    if !table.key_columns().all(|column| is_exact_in_triggers(&column.kind)) {
        return "NULL".to_owned();
    }
    let part = |column: &Column| {
        let cell = format!("{row}.{}", quoted(&column.name));
        match column.kind {
            Kind::Bytes { .. } => format!("HEX({cell})"),
            Kind::Bit { .. } => format!("HEX(CAST({cell} + 0 AS CHAR))"),
            _ => format!("HEX(CONVERT({cell} USING utf8mb4))"),
        }
    };
    let parts: Vec<String> = table.key_columns().map(part).collect();
    format!("CONCAT({})", parts.join(", ',', "))
}

fn quoted(name: &str) -> String {
    let mut text = String::new();
    Dialect::Mysql.push_name(name, &mut text);
    text
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn failed(failure: &Failure) -> Error {
    if matches!(failure, Failure::Server { code: 1419, .. }) {
        let detail = "the server lets only administrators make triggers while it writes a binary log: run this as one, \
            or set log_bin_trust_function_creators = 1";
        return Error::new(ErrorKind::Denied, INSTALL, detail);
    }
    statement_error(INSTALL, "tl_outbox", failure, &|_| false)
}
