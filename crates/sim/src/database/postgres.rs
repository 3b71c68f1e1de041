// SPDX-License-Identifier: MIT OR Apache-2.0
//! PostgreSQL.

use tokio_postgres::{Client, Error, NoTls};

use super::Audited;

type Result<T> = std::result::Result<T, Error>;

/// The table that the system under test serves as the resource `kv`, and the audit table with its trigger.
///
/// The order of `kv_audit.seq` within one key is the order of commits, as on MariaDB.
const SCHEMA: &str = "
    CREATE TABLE kv (id BIGINT PRIMARY KEY, body VARCHAR(200) NOT NULL);
    CREATE TABLE kv_audit (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id BIGINT NOT NULL,
                           body VARCHAR(200), op CHAR(1) NOT NULL);
    CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            INSERT INTO kv_audit (id, body, op) VALUES (OLD.id, NULL, 'd');
        ELSE
            INSERT INTO kv_audit (id, body, op) VALUES (NEW.id, NEW.body, 'w');
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER kv_after AFTER INSERT OR UPDATE OR DELETE ON kv FOR EACH ROW EXECUTE FUNCTION note_write();
";

pub(crate) struct Session(Client);

impl Session {
    pub(super) async fn connect(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // It ends when the client is dropped.
        tokio::spawn(connection);
        Ok(Self(client))
    }

    pub(super) async fn create(&mut self) -> Result<()> {
        self.0.batch_execute(SCHEMA).await
    }

    pub(super) async fn execute(&mut self, sql: &str) -> Result<()> {
        self.0.batch_execute(sql).await
    }

    pub(super) async fn insert(&mut self, key: i64, body: &str) -> Result<()> {
        self.0.execute("INSERT INTO kv (id, body) VALUES ($1, $2)", &[&key, &body]).await.map(drop)
    }

    pub(super) async fn upsert(&mut self, key: i64, body: &str) -> Result<()> {
        let upsert =
            "INSERT INTO kv (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body";
        self.0.execute(upsert, &[&key, &body]).await.map(drop)
    }

    pub(super) async fn remove(&mut self, key: i64) -> Result<()> {
        self.0.execute("DELETE FROM kv WHERE id = $1", &[&key]).await.map(drop)
    }

    pub(super) async fn body(&mut self, key: i64) -> Result<Option<String>> {
        let row = self.0.query_opt("SELECT body FROM kv WHERE id = $1", &[&key]).await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    pub(super) async fn rows(&mut self) -> Result<Vec<(i64, String)>> {
        let rows = self.0.query("SELECT id, body FROM kv", &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    pub(super) async fn audit_after(&mut self, seq: u64, len_max: u64) -> Result<Vec<Audited>> {
        let page = "SELECT seq, id, body FROM kv_audit WHERE seq > $1 ORDER BY seq LIMIT $2";
        let rows = self.0.query(page, &[&seq.cast_signed(), &len_max.cast_signed()]).await?;
        let audited = |row: &tokio_postgres::Row| {
            Ok((row.try_get::<_, i64>(0)?.cast_unsigned(), row.try_get(1)?, row.try_get(2)?))
        };
        rows.iter().map(audited).collect()
    }

    /// Names and numbers that are never negative.
    pub(super) async fn numbers(&mut self, query: &str) -> Result<Vec<(String, u64)>> {
        let rows = self.0.query(query, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned()))).collect()
    }

    /// Transactions: every statement of a reader is one. The server adds them up about once a second.
    pub(super) async fn statement_count(&mut self) -> Result<u64> {
        let sum = "SELECT coalesce(sum(xact_commit + xact_rollback), 0)::bigint FROM pg_stat_database";
        Ok(self.0.query_one(sum, &[]).await?.try_get::<_, i64>(0)?.cast_unsigned())
    }
}
