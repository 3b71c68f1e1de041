// SPDX-License-Identifier: MIT OR Apache-2.0
//! MariaDB.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Result};

use super::Audited;

/// The table that the system under test serves as the resource `kv`, and the audit table with its triggers.
///
/// The order of `kv_audit.seq` within one key is the order of commits: the trigger runs while the row's lock
/// is held, and the lock is held until the commit.
const SCHEMA: [&str; 5] = [
    "CREATE TABLE kv (id BIGINT PRIMARY KEY, body VARCHAR(200) NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE kv_audit (seq BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT NOT NULL, body VARCHAR(200), \
     op CHAR(1) NOT NULL) ENGINE=InnoDB",
    "CREATE TRIGGER kv_after_insert AFTER INSERT ON kv FOR EACH ROW \
     INSERT INTO kv_audit (id, body, op) VALUES (NEW.id, NEW.body, 'i')",
    "CREATE TRIGGER kv_after_update AFTER UPDATE ON kv FOR EACH ROW \
     INSERT INTO kv_audit (id, body, op) VALUES (NEW.id, NEW.body, 'u')",
    "CREATE TRIGGER kv_after_delete AFTER DELETE ON kv FOR EACH ROW \
     INSERT INTO kv_audit (id, body, op) VALUES (OLD.id, NULL, 'd')",
];

pub(crate) struct Session(Conn);

impl Session {
    pub(super) async fn connect(url: &str) -> Result<Self> {
        let options = Opts::from_url(url).map_err(Error::Url)?;
        Ok(Self(Conn::new(OptsBuilder::from_opts(options).prefer_socket(false)).await?))
    }

    pub(super) async fn create(&mut self) -> Result<()> {
        for statement in SCHEMA {
            self.0.query_drop(statement).await?;
        }
        Ok(())
    }

    pub(super) async fn execute(&mut self, sql: &str) -> Result<()> {
        self.0.query_drop(sql).await
    }

    pub(super) async fn insert(&mut self, key: i64, body: &str) -> Result<()> {
        self.0.exec_drop("INSERT INTO kv (id, body) VALUES (?, ?)", (key, body)).await
    }

    pub(super) async fn upsert(&mut self, key: i64, body: &str) -> Result<()> {
        let upsert = "INSERT INTO kv (id, body) VALUES (?, ?) ON DUPLICATE KEY UPDATE body = VALUES(body)";
        self.0.exec_drop(upsert, (key, body)).await
    }

    pub(super) async fn remove(&mut self, key: i64) -> Result<()> {
        self.0.exec_drop("DELETE FROM kv WHERE id = ?", (key,)).await
    }

    pub(super) async fn body(&mut self, key: i64) -> Result<Option<String>> {
        self.0.exec_first("SELECT body FROM kv WHERE id = ?", (key,)).await
    }

    pub(super) async fn rows(&mut self) -> Result<Vec<(i64, String)>> {
        self.0.query("SELECT id, body FROM kv").await
    }

    pub(super) async fn audit_after(&mut self, seq: u64, len_max: u64) -> Result<Vec<Audited>> {
        let page = "SELECT seq, id, body FROM kv_audit WHERE seq > ? ORDER BY seq LIMIT ?";
        self.0.exec(page, (seq, len_max)).await
    }

    /// Names and numbers that are never negative.
    pub(super) async fn numbers(&mut self, query: &str) -> Result<Vec<(String, u64)>> {
        self.0.query(query).await
    }

    pub(super) async fn statement_count(&mut self) -> Result<u64> {
        let row: Option<(String, u64)> = self.0.query_first("SHOW GLOBAL STATUS LIKE 'Questions'").await?;
        Ok(row.map_or(0, |(_, count)| count))
    }
}
