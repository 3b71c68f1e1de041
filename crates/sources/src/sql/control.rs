// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control tables `tl_*`: their definition by version, and the statements on their rows.
//!
//! | table | what its rows are |
//! |---|---|
//! | `tl_meta` | one: the version of this definition |
//! | `tl_config` | one: the length of a reader's lease, and how far clocks may run apart |
//! | `tl_node` | a cache server: generation, how far a fence has come, identity |
//! | `tl_resource` | a resource: where its reads go, its generation |
//! | `tl_applied` | a lane of accepted writes: its owner, how far it was applied, to which table (`applied.rs`) |
//!
//! The tables are the same in every database. SQLite has the last one only: one daemon owns the file.

mod transition;
mod view;

use throughline_core::{Lineage, NodeName, ResourceName};

use super::applied::{APPLIED, AppliedDialect, create_applied, extend_applied};

pub(super) use transition::numbered;
pub use transition::transition_statement;
pub use view::{NoView, ViewRow, read_view, view_statement};

/// Whose SQL the texts are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlDialect {
    /// MySQL and MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgres,
}

/// The version of the tables that this program makes and uses.
pub const CONTROL_VERSION: u32 = 3;

/// Tables whose names begin like this are ours, and no resource.
const OWN_PREFIX: &str = "tl_";

/// Whether a table is one of ours.
pub fn is_own_table(name: &str) -> bool {
    name.get(..OWN_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX))
}

/// What was found of the control tables.
#[derive(Debug)]
pub enum ControlTables<S> {
    /// They are there and may be used.
    Ready(S),
    /// They cannot be used, for this reason, with what to do about it.
    Unusable {
        /// Why.
        why: String,
        /// What to do.
        remedy: String,
    },
}

/// What an installation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The version that was there before; 0 for none.
    pub before: u32,
    /// The version that is there now.
    pub version: u32,
}

/// Reads the version; fails when there are no tables.
pub const READ_VERSION: &str = "SELECT version FROM tl_meta WHERE id = 1";

/// Changes nothing, and is refused to an account that lacks a right which a daemon needs.
pub const TRY_RIGHTS: &[&str] = &[
    "SELECT lease_ms FROM tl_config WHERE id = 0",
    "UPDATE tl_node SET revision = revision WHERE node = ''",
    "UPDATE tl_resource SET revision = revision WHERE resource = ''",
    "INSERT INTO tl_node SELECT * FROM tl_node WHERE node = ''",
    "INSERT INTO tl_resource SELECT * FROM tl_resource WHERE resource = ''",
];

/// The statements that bring tables of version `before` (0 for none) to [`CONTROL_VERSION`]. Running them again does
/// no harm; MySQL fails because a column is there already, and then the rest is to be run.
pub fn install_statements(dialect: ControlDialect, before: u32) -> Vec<String> {
    let mut statements = Vec::new();
    if before < 1 {
        statements.extend(first_version(dialect));
    }
    let applied = match dialect {
        ControlDialect::Mysql => AppliedDialect::Mysql,
        ControlDialect::Postgres => AppliedDialect::Postgres,
    };
    match before {
        // In its present form.
        0 | 1 => statements.push(create_applied(applied)),
        2 => statements.push(extend_applied(applied)),
        _ => {}
    }
    // What a later version changes comes here, as `if before < 4 { … }`.
    if before < CONTROL_VERSION {
        statements.push(format!("UPDATE tl_meta SET version = {CONTROL_VERSION} WHERE id = 1"));
    }
    statements
}

fn first_version(dialect: ControlDialect) -> [String; 6] {
    // Names are compared byte by byte.
    let name = |len: usize| match dialect {
        ControlDialect::Mysql => format!("VARCHAR({len}) CHARACTER SET ascii COLLATE ascii_bin"),
        ControlDialect::Postgres => format!("VARCHAR({len}) COLLATE \"C\""),
    };
    let (tail, moment) = match dialect {
        ControlDialect::Mysql => (" ENGINE = InnoDB", "TIMESTAMP"),
        ControlDialect::Postgres => ("", "TIMESTAMPTZ"),
    };
    let (node, resource, mode, text) =
        (name(NodeName::LEN_MAX), name(ResourceName::LEN_MAX), name(8), name(Lineage::LEN_MAX));
    [
        format!(
            "CREATE TABLE IF NOT EXISTS tl_meta (id INT NOT NULL PRIMARY KEY CHECK (id = 1), \
             version INT NOT NULL){tail}"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS tl_config (id INT NOT NULL PRIMARY KEY CHECK (id = 1), \
             lease_ms INT NOT NULL CHECK (lease_ms BETWEEN 100 AND 60000), \
             rho_ppm INT NOT NULL CHECK (rho_ppm BETWEEN 0 AND 100000)){tail}"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS tl_node (node {node} NOT NULL PRIMARY KEY, generation BIGINT NOT NULL, \
             previous BIGINT NOT NULL, state SMALLINT NOT NULL, nonce BIGINT NOT NULL, lineage {text} NOT NULL, \
             map_version INT NOT NULL, revision BIGINT NOT NULL, \
             changed {moment} NOT NULL DEFAULT CURRENT_TIMESTAMP, why {text} NOT NULL){tail}"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS tl_resource (resource {resource} NOT NULL PRIMARY KEY, mode {mode} NOT NULL, \
             generation BIGINT NOT NULL, previous BIGINT NOT NULL, state SMALLINT NOT NULL, revision BIGINT NOT NULL, \
             changed {moment} NOT NULL DEFAULT CURRENT_TIMESTAMP){tail}"
        ),
        // 2 s, and one percent.
        insert(dialect, "tl_config (id, lease_ms, rho_ppm) VALUES (1, 2000, 10000)"),
        insert(dialect, "tl_meta (id, version) VALUES (1, 0)"),
    ]
}

/// The rights that a daemon needs, each with its table.
pub const DAEMON_RIGHTS: &[(&str, &str)] = &[
    ("SELECT", "tl_meta"),
    ("SELECT", "tl_config"),
    ("SELECT, INSERT, UPDATE", "tl_node"),
    ("SELECT, INSERT, UPDATE", "tl_resource"),
    ("SELECT, INSERT, UPDATE", APPLIED),
];

/// An INSERT that meets no row when there is one of that name.
fn insert(dialect: ControlDialect, rest: &str) -> String {
    match dialect {
        ControlDialect::Mysql => format!("INSERT IGNORE INTO {rest}"),
        ControlDialect::Postgres => format!("INSERT INTO {rest} ON CONFLICT DO NOTHING"),
    }
}

#[cfg(test)]
mod tests {
    use super::{CONTROL_VERSION, ControlDialect, install_statements, is_own_table};

    #[test]
    fn our_tables_are_known_by_their_names() {
        assert!(is_own_table("tl_node") && is_own_table("TL_Outbox"));
        assert!(!is_own_table("tlx") && !is_own_table("tl") && !is_own_table("title_"));
    }

    #[test]
    fn tables_of_the_present_version_are_left_alone() {
        for dialect in [ControlDialect::Mysql, ControlDialect::Postgres] {
            assert_eq!(install_statements(dialect, CONTROL_VERSION), [""; 0]);
            assert!(install_statements(dialect, 0).iter().all(|sql| !sql.contains(';')));
        }
    }

    #[test]
    fn tables_of_the_first_version_get_what_came_since_and_nothing_is_made_anew() {
        for dialect in [ControlDialect::Mysql, ControlDialect::Postgres] {
            let statements = install_statements(dialect, 1);
            assert!(statements[0].contains("tl_applied"), "{}", statements[0]);
            assert_eq!(statements.len(), 2);
            let statements = install_statements(dialect, 2);
            assert!(statements[0].starts_with("ALTER TABLE tl_applied ADD COLUMN"), "{}", statements[0]);
            assert_eq!(statements.len(), 2);
        }
    }
}
