// SPDX-License-Identifier: MIT OR Apache-2.0
//! Notices what fires no trigger: TRUNCATE and ALTER.
//!
//! The catalogue is read once a second. Columns and the time of creation make a table's shape, which is kept in
//! `tl_table`; when it differs, the table is noted as changed, for every daemon. MariaDB keeps the time
//! of creation through TRUNCATE, so two numbers that TRUNCATE starts anew are compared as well: AUTO_INCREMENT, which only
//! grows otherwise, and InnoDB's number of the table, which only accounts with the PROCESS right see.

use std::collections::HashMap;
use std::time::Duration;

use throughline_core::Result;
use tokio::time::Instant;

use super::super::super::catalogue::{integer, text};
use super::super::super::client::Session;
use super::super::super::map::Failure;
use super::super::error;
use crate::remote::triggers_gone;
use crate::sql::outbox::KeyMaps;

const LOOK_EVERY: Duration = Duration::from_secs(1);

const SHAPES: &str = "SELECT t.TABLE_NAME, CONCAT(COALESCE(t.CREATE_TIME, ''), '/', (SELECT BIT_XOR(CRC32(CONCAT_WS(',', \
    c.ORDINAL_POSITION, c.COLUMN_NAME, c.COLUMN_TYPE, c.COLUMN_KEY, COALESCE(c.COLLATION_NAME, '')))) \
    FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME)), \
    t.AUTO_INCREMENT FROM information_schema.TABLES t \
    WHERE t.TABLE_SCHEMA = ? AND t.TABLE_NAME IN (SELECT tbl FROM tl_table)";
const NOTE_SHAPE: &str = "UPDATE tl_table SET shape = ?, at = NOW(6) WHERE tbl = ? AND NOT (shape <=> ?)";
const NOTE_CHANGE: &str = "UPDATE tl_table SET at = NOW(6) WHERE tbl = ?";
const TRIGGERS: &str = "SELECT EVENT_OBJECT_TABLE, COUNT(*) FROM information_schema.TRIGGERS \
    WHERE TRIGGER_SCHEMA = ? AND TRIGGER_NAME LIKE 'tl\\_%' GROUP BY EVENT_OBJECT_TABLE";
const TABLE_IDS: &str =
    "SELECT NAME, TABLE_ID FROM information_schema.INNODB_SYS_TABLES WHERE NAME LIKE CONCAT(?, '/%')";

/// What is known of the tables' shapes.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    next: Option<Instant>,
    /// AUTO_INCREMENT of each table at the last look.
    counters: HashMap<String, u64>,
    /// InnoDB's number of each table at the last look.
    ids: HashMap<String, u64>,
    ids_denied: bool,
    /// How many triggers of ours each table had at the first look; empty for an account that sees none.
    triggers: Option<HashMap<String, u64>>,
}

impl Shapes {
    pub(super) fn is_due(&self) -> bool {
        self.next.is_none_or(|next| next <= Instant::now())
    }

    /// Compares with the last look and notes what differs.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::Configuration`] when triggers of ours are gone: then news are missed.
    pub(super) async fn look(&mut self, session: &mut Session, database: &str, keys: &KeyMaps) -> Result<()> {
        let found = self.compare(session, database).await;
        let triggers = found.map_err(|failure| error(&failure))?;
        let known = self.triggers.get_or_insert_with(|| triggers.clone());
        if let Some(table) =
            known.keys().find(|table| keys.contains(table) && triggers.get(*table) != known.get(*table))
        {
            return Err(triggers_gone(table));
        }
        self.next = Some(Instant::now() + LOOK_EVERY);
        Ok(())
    }

    async fn compare(
        &mut self,
        session: &mut Session,
        database: &str,
    ) -> std::result::Result<HashMap<String, u64>, Failure> {
        let rows = session.run(SHAPES, vec![database.into()]).await?.rows;
        let ids = self.table_ids(session, database).await?;
        for row in &rows {
            let (table, shape) = (text(row, 0), text(row, 1));
            let values = vec![shape.clone().into(), table.clone().into(), shape.into()];
            session.run(NOTE_SHAPE, values).await?;
            let counter = integer(row, 2);
            let before = counter.and_then(|counter| self.counters.insert(table.clone(), counter));
            let fell = before.is_some_and(|before| counter < Some(before));
            let id = ids.get(&format!("{database}/{table}")).copied();
            let other =
                id.is_some_and(|id| self.ids.insert(table.clone(), id).is_some_and(|before| before != id));
            if fell || other {
                session.run(NOTE_CHANGE, vec![table.into()]).await?;
            }
        }
        triggers(session, database).await
    }

    /// InnoDB's numbers of the database's tables, by the names it has for them (a name with other characters than
    /// letters and digits is spelled otherwise there, and then not found); none where they are not shown.
    async fn table_ids(
        &mut self,
        session: &mut Session,
        database: &str,
    ) -> std::result::Result<HashMap<String, u64>, Failure> {
        if self.ids_denied || !session.flavour().is_mariadb() {
            return Ok(HashMap::new());
        }
        match session.run(TABLE_IDS, vec![database.into()]).await {
            Ok(answer) => {
                let pair = |row: &mysql_async::Row| Some((text(row, 0), integer(row, 1)?));
                Ok(answer.rows.iter().filter_map(pair).collect())
            }
            Err(Failure::Server { .. }) => {
                self.ids_denied = true;
                Ok(HashMap::new())
            }
            Err(failure) => Err(failure),
        }
    }
}

/// How many triggers of ours each table has, as far as the account may see them.
pub(super) async fn triggers(
    session: &mut Session,
    database: &str,
) -> std::result::Result<HashMap<String, u64>, Failure> {
    let rows = session.run(TRIGGERS, vec![database.into()]).await?.rows;
    Ok(rows.iter().map(|row| (text(row, 0), integer(row, 1).unwrap_or(0))).collect())
}
