// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables in the database, and the judge's own way to read them.

use std::collections::BTreeMap;

use throughline_core::Result;

use super::super::ledger::{RecordId, Resource};
use crate::database::{Kind, Session};

/// A table per resource. A value below 1 is refused for good, which the daemon cannot know before.
const TABLES: [&str; 3] = [
    "CREATE TABLE newest (id BIGINT PRIMARY KEY, n BIGINT NOT NULL CHECK (n > 0))",
    "CREATE TABLE steps (id BIGINT PRIMARY KEY, n BIGINT NOT NULL CHECK (n > 0))",
    "CREATE TABLE told (seq BIGINT PRIMARY KEY, id BIGINT NOT NULL, n BIGINT NOT NULL)",
];

/// What the triggers on `steps` tell: the rows of `told` in their order; 0 for a delete. Within one record that is the order of the
/// commits, because a trigger runs while the row is locked.
const MARIADB: [&str; 4] = [
    "ALTER TABLE told MODIFY seq BIGINT AUTO_INCREMENT",
    "CREATE TRIGGER steps_insert AFTER INSERT ON steps FOR EACH ROW INSERT INTO told (id, n) VALUES (NEW.id, NEW.n)",
    "CREATE TRIGGER steps_update AFTER UPDATE ON steps FOR EACH ROW INSERT INTO told (id, n) VALUES (NEW.id, NEW.n)",
    "CREATE TRIGGER steps_delete AFTER DELETE ON steps FOR EACH ROW INSERT INTO told (id, n) VALUES (OLD.id, 0)",
];

const POSTGRES: [&str; 3] = [
    "ALTER TABLE told ALTER seq ADD GENERATED ALWAYS AS IDENTITY",
    "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
         IF TG_OP = 'DELETE' THEN
             INSERT INTO told (id, n) VALUES (OLD.id, 0);
         ELSE
             INSERT INTO told (id, n) VALUES (NEW.id, NEW.n);
         END IF;
         RETURN NULL;
     END $$",
    "CREATE TRIGGER steps_told AFTER INSERT OR UPDATE OR DELETE ON steps FOR EACH ROW EXECUTE FUNCTION tell()",
];

/// Makes the tables.
pub(super) async fn create(kind: Kind, session: &mut Session) -> Result<()> {
    let own: &[&str] = match kind {
        Kind::Mariadb => &MARIADB,
        Kind::Postgres => &POSTGRES,
    };
    for sql in TABLES.iter().chain(own) {
        session.execute(sql).await?;
    }
    Ok(())
}

/// The rows of a resource's table.
pub(in super::super) async fn rows(
    session: &mut Session,
    resource: Resource,
) -> Result<BTreeMap<RecordId, i64>> {
    let rows = session.numbers(&format!("SELECT CONCAT(id, ''), n FROM {}", resource.name())).await?;
    let row = |(id, n): (String, u64)| (named(resource, &id), n.cast_signed());
    Ok(rows.into_iter().map(row).collect())
}

/// What was applied to `steps`, in its order: the record, and the number that was stored, or 0 for a delete.
pub(in super::super) async fn applied(session: &mut Session) -> Result<Vec<(RecordId, u64)>> {
    let told = session.numbers("SELECT CONCAT(id, ''), n FROM told ORDER BY seq").await?;
    Ok(told.into_iter().map(|(id, n)| (named(Resource::Steps, &id), n)).collect())
}

fn named(resource: Resource, id: &str) -> RecordId {
    RecordId { resource, id: id.parse().unwrap_or(u64::MAX) }
}
