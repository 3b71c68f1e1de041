// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table `tl_applied`: whose each lane of accepted writes is, and how far it was applied.
//!
//! | column | what it holds |
//! |---|---|
//! | `lane` | resource and number: `person/3` |
//! | `owner_journal` | the journal whose positions `position` counts |
//! | `owner_name` | what an operator calls its daemon; null when nobody owns the lane |
//! | `epoch` | grows with every claim |
//! | `position` | every record of the lane up to here is applied or was put aside |
//! | `of_table` | the table that the owner writes to, so that who serves it in another way sees that; null before version 3 |
//!
//! It is the same in every database, SQLite included.

use throughline_core::{Lane, Owner, Position, ResourceName, Watermark};

use super::Value;

/// The table's name.
pub(crate) const APPLIED: &str = "tl_applied";

/// The most bytes of [`Owner::journal`] and [`Owner::name`].
pub(crate) const JOURNAL_LEN_MAX: usize = 64;
pub(crate) const NAME_LEN_MAX: usize = 255;
/// The most characters of a table's name with its schema's; no server lets them be longer together.
const TABLE_LEN_MAX: usize = 255;

/// Whose SQL the texts are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppliedDialect {
    #[cfg(feature = "sqlite")]
    Sqlite,
    Mysql,
    Postgres,
}

/// The statement that makes the table, where new tables go to. Again, it does no harm.
pub(crate) fn create_applied(dialect: AppliedDialect) -> String {
    let of_table = of_table(dialect);
    // A lane's number has at most five digits.
    let lane_len = ResourceName::LEN_MAX + 6;
    let (lane, journal, name, number, tail) = match dialect {
        #[cfg(feature = "sqlite")]
        AppliedDialect::Sqlite => {
            let text = || "TEXT".to_owned();
            (text(), text(), text(), "INTEGER", " WITHOUT ROWID")
        }
        AppliedDialect::Mysql => {
            let text = |len, set| format!("VARCHAR({len}) CHARACTER SET {set} COLLATE {set}_bin");
            let (lane, journal) = (text(lane_len, "ascii"), text(JOURNAL_LEN_MAX, "utf8mb4"));
            (lane, journal, text(NAME_LEN_MAX, "utf8mb4"), "BIGINT", " ENGINE = InnoDB")
        }
        AppliedDialect::Postgres => {
            let text = |len| format!("VARCHAR({len}) COLLATE \"C\"");
            (text(lane_len), text(JOURNAL_LEN_MAX), text(NAME_LEN_MAX), "BIGINT", "")
        }
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {APPLIED} (lane {lane} NOT NULL PRIMARY KEY, owner_journal {journal} NOT NULL, \
         owner_name {name} NULL, epoch {number} NOT NULL, position {number} NOT NULL, {of_table}){tail}"
    )
}

/// The statement that gives a table of an earlier version what came since. Again, it does no harm or fails because the
/// column is there.
pub(crate) fn extend_applied(dialect: AppliedDialect) -> String {
    let (of_table, unless_there) = match dialect {
        AppliedDialect::Postgres => (of_table(dialect), "IF NOT EXISTS "),
        _ => (of_table(dialect), ""),
    };
    format!("ALTER TABLE {APPLIED} ADD COLUMN {unless_there}{of_table}")
}

/// The last column.
fn of_table(dialect: AppliedDialect) -> String {
    match dialect {
        #[cfg(feature = "sqlite")]
        AppliedDialect::Sqlite => "of_table TEXT NULL".to_owned(),
        AppliedDialect::Mysql => {
            format!("of_table VARCHAR({TABLE_LEN_MAX}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL")
        }
        AppliedDialect::Postgres => format!("of_table VARCHAR({TABLE_LEN_MAX}) COLLATE \"C\" NULL"),
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LaneRow {
    pub(crate) lane: String,
    pub(crate) journal: String,
    /// `None` when nobody owns the lane.
    pub(crate) name: Option<String>,
    pub(crate) epoch: i64,
    pub(crate) position: i64,
}

impl LaneRow {
    /// Whose the lane is.
    pub(crate) fn owner(&self) -> Option<Owner> {
        let name = self.name.clone()?;
        Some(Owner { journal: self.journal.clone(), name })
    }

    /// How far it was applied.
    pub(crate) fn watermark(&self) -> Watermark {
        // Both are kept as their bits.
        Watermark { epoch: self.epoch.cast_unsigned(), position: Position(self.position.cast_unsigned()) }
    }
}

/// A statement with its values.
pub(crate) type Bound = (String, Vec<Value>);

/// The statements on the table's rows.
#[derive(Clone, Debug)]
pub(crate) struct AppliedStatements {
    dialect: AppliedDialect,
    /// The table as statements name it.
    table: String,
}

impl AppliedStatements {
    /// Those on `table`, which is quoted where it must be.
    pub(crate) fn new(dialect: AppliedDialect, table: impl Into<String>) -> Self {
        Self { dialect, table: table.into() }
    }

    /// Changes nothing, and fails where the table is missing or the account lacks a right.
    pub(crate) fn try_rights(&self) -> [String; 2] {
        let table = &self.table;
        [
            format!("UPDATE {table} SET of_table = of_table WHERE lane = ''"),
            format!("INSERT INTO {table} SELECT * FROM {table} WHERE lane = ''"),
        ]
    }

    /// Moves a watermark to `to` if it is `from` and `owner`'s; meets one row then.
    pub(crate) fn advance(&self, lane: &Lane, owner: &Owner, from: Watermark, to: Position) -> Bound {
        let sql = format!(
            "UPDATE {} SET position = ? WHERE lane = ? AND owner_journal = ? AND owner_name IS NOT NULL \
             AND epoch = ? AND position = ?{}",
            self.table,
            match self.dialect {
                // Its driver counts rows only by being sent them.
                AppliedDialect::Postgres => " RETURNING 1",
                _ => "",
            }
        );
        let values = vec![
            number(to.0),
            text(lane),
            Value::Text(owner.journal.clone()),
            number(from.epoch),
            number(from.position.0),
        ];
        (self.placed(&sql), values)
    }

    /// What makes sure that a watermark which was read survives a crash of the server, once it is committed.
    ///
    /// InnoDB shows a commit before it is on the disk. A batch whose first try was committed, but not answered, would
    /// be taken for applied, forgotten by its journal, and then lost with the server. A change of the same row that is
    /// committed afterwards is on the disk only if the first one is.
    pub(crate) fn flush(&self, lane: &Lane) -> Vec<Bound> {
        if self.dialect != AppliedDialect::Mysql {
            return Vec::new();
        }
        let step = |sign: char| {
            let sql = format!("UPDATE {} SET epoch = epoch {sign} 1 WHERE lane = ?", self.table);
            (sql, vec![text(lane)])
        };
        vec![step('+'), step('-')]
    }

    /// Gives every lane a row, nobody's where there was none, and keeps others from doing so.
    pub(crate) fn enter(&self, lanes: &[Lane]) -> Bound {
        let rows = vec!["(?, '', NULL, 0, 0)"; lanes.len()].join(", ");
        let else_words = match self.dialect {
            // Locks the row at once as its later change does, so that two claims do not wait for each other in a circle.
            AppliedDialect::Mysql => "ON DUPLICATE KEY UPDATE epoch = epoch",
            _ => "ON CONFLICT (lane) DO NOTHING",
        };
        let sql = format!(
            "INSERT INTO {} (lane, owner_journal, owner_name, epoch, position) VALUES {rows} {else_words}",
            self.table
        );
        (self.placed(&sql), sorted(lanes))
    }

    /// Reads the rows of `lanes` and locks them where there are locks.
    pub(crate) fn read(&self, lanes: &[Lane]) -> Bound {
        let lock = match self.dialect {
            #[cfg(feature = "sqlite")]
            AppliedDialect::Sqlite => "",
            _ => " FOR UPDATE",
        };
        let sql = format!(
            "SELECT lane, owner_journal, owner_name, epoch, position FROM {} WHERE {} ORDER BY lane{lock}",
            self.table,
            listed(lanes.len())
        );
        (self.placed(&sql), sorted(lanes))
    }

    /// Reads whose lanes are; nothing of `of_table` where an earlier version made the table.
    pub(crate) fn owned(&self, is_extended: bool) -> String {
        let of_table = if is_extended { "of_table" } else { "NULL" };
        let table = &self.table;
        format!(
            "SELECT lane, owner_journal, owner_name, {of_table} FROM {table} WHERE owner_name IS NOT NULL ORDER BY lane"
        )
    }

    /// Makes `owner` the owner of `lanes`, whose writes go to `table`, under their next epoch. The positions of another
    /// journal mean nothing to it.
    pub(crate) fn take(&self, lanes: &[Lane], owner: &Owner, table: &str) -> Bound {
        // MySQL assigns from left to right, so what is compared comes last.
        let sql = format!(
            "UPDATE {} SET epoch = epoch + 1, position = CASE WHEN owner_journal = ? THEN position ELSE 0 END, \
             owner_name = ?, of_table = ?, owner_journal = ? WHERE {}",
            self.table,
            listed(lanes.len())
        );
        let journal = || Value::Text(owner.journal.clone());
        let of_table = Value::Text(table.to_owned());
        let mut values = vec![journal(), Value::Text(owner.name.clone()), of_table, journal()];
        values.extend(sorted(lanes));
        (self.placed(&sql), values)
    }

    /// Makes those of `lanes` that are `owner`'s nobody's. Their positions stay, should it claim them again.
    pub(crate) fn give_up(&self, lanes: &[Lane], owner: &Owner) -> Bound {
        let sql = format!(
            "UPDATE {} SET owner_name = NULL WHERE owner_journal = ? AND {}",
            self.table,
            listed(lanes.len())
        );
        let mut values = vec![Value::Text(owner.journal.clone())];
        values.extend(sorted(lanes));
        (self.placed(&sql), values)
    }

    /// `sql` with the dialect's words for its values; there are no question marks in texts.
    fn placed(&self, sql: &str) -> String {
        match self.dialect {
            AppliedDialect::Postgres => super::control::numbered(sql),
            _ => sql.to_owned(),
        }
    }
}

/// In one order for everybody, so that claims do not wait for each other in a circle.
fn sorted(lanes: &[Lane]) -> Vec<Value> {
    let mut names: Vec<String> = lanes.iter().map(Lane::to_string).collect();
    names.sort_unstable();
    names.into_iter().map(Value::Text).collect()
}

fn listed(count: usize) -> String {
    format!("lane IN ({})", vec!["?"; count].join(", "))
}

fn text(lane: &Lane) -> Value {
    Value::Text(lane.to_string())
}

fn number(number: u64) -> Value {
    Value::Int(number.cast_signed())
}
