// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checker's own way to the database: makes its tables and reads the truth from them.

use std::collections::BTreeMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use throughline_core::{Error, ErrorKind, Result};

use crate::checker::AuditRow;
use crate::history::Seen;
use crate::payload::{Payload, SCHEMA};
use crate::sut::seen_as;

/// How many audit rows are read at once.
const PAGE: u64 = 10_000;

/// A connection of the checker's.
pub(crate) struct TruthTable {
    database: Conn,
}

impl TruthTable {
    /// Connects.
    pub(crate) async fn connect(options: Opts) -> Result<Self> {
        let database = Conn::new(options).await.map_err(map("connect to the database"))?;
        Ok(Self { database })
    }

    /// Makes the tables and triggers.
    pub(crate) async fn create(&mut self) -> Result<()> {
        for statement in SCHEMA {
            self.database.query_drop(statement).await.map_err(map("make the checker's tables"))?;
        }
        Ok(())
    }

    pub(crate) async fn insert(&mut self, key: i64, body: &str) -> Result<()> {
        let insert = self.database.exec_drop("INSERT INTO kv (id, body) VALUES (?, ?)", (key, body));
        insert.await.map_err(map("write a first row"))
    }

    /// The rows as they are now.
    pub(crate) async fn rows(&mut self) -> Result<BTreeMap<i64, Seen>> {
        let rows: Vec<(i64, String)> =
            self.database.query("SELECT id, body FROM kv").await.map_err(map("read the rows"))?;
        Ok(rows.into_iter().map(|(key, body)| (key, seen_as(key, &body))).collect())
    }

    /// Every write in the order of commits.
    pub(crate) async fn audit(&mut self) -> Result<Vec<AuditRow>> {
        let mut audit: Vec<AuditRow> = Vec::new();
        loop {
            let after = audit.last().map_or(0, |row| row.seq);
            let statement = "SELECT seq, id, body FROM kv_audit WHERE seq > ? ORDER BY seq LIMIT ?";
            let page: Vec<(u64, i64, Option<String>)> =
                self.database.exec(statement, (after, PAGE)).await.map_err(map("read the audit table"))?;
            let last = (page.len() as u64) < PAGE;
            audit.extend(page.into_iter().map(|(seq, key, body)| {
                let stored = body.map_or(Seen::Absent, |body| seen_as(key, &body));
                AuditRow { seq, key, stored }
            }));
            if last {
                return Ok(audit);
            }
        }
    }
}

/// Options for the database at `url`, always by TCP as other programs reach it.
pub(crate) fn options(url: &str) -> Result<Opts> {
    let options = Opts::from_url(url).map_err(|error| {
        Error::new(ErrorKind::Configuration, "read the database's URL", "not a MySQL URL").with_cause(error)
    })?;
    Ok(OptsBuilder::from_opts(options).prefer_socket(false).into())
}

/// What a raw slot of the cache shows, when it holds a payload at all.
pub(crate) fn slot_seen(bytes: &[u8]) -> Option<(i64, Seen)> {
    Payload::find(bytes)
        .map(|payload| (payload.key, Seen::Value { op: payload.op, counter: payload.counter }))
}

fn map(operation: &'static str) -> impl FnOnce(mysql_async::Error) -> Error {
    move |error| Error::new(ErrorKind::Unavailable, operation, "MariaDB").with_cause(error)
}
