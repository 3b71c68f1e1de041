// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control tables `tl_*`: their definition by version, and the statements on their rows.
//!
//! | table | what its rows are |
//! |---|---|
//! | `tl_meta` | one: the version of this definition |
//! | `tl_config` | one: the length of a reader's lease, and how far clocks may run apart |
//! | `tl_node` | a cache server: generation, how far a fence has come, identity |
//! | `tl_resource` | a resource: where its reads go, its generation |
//!
//! Texts have `?` where a value is bound. The conditions of the UPDATEs are those of
//! [`throughline_core::Transition`]: what is written in its documentation stands here once more, as SQL.

use throughline_core::{
    ControlView, FenceState, Lineage, Mode, NodeName, NodeRow, Nonce, ResourceName, ResourceRow, Transition,
};

use super::{Dialect, Value};

/// The version of the tables that this program makes and uses.
pub const CONTROL_VERSION: u32 = 1;

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
];

/// The statements that bring tables of version `before` (0 for none) to [`CONTROL_VERSION`]. Running them again does
/// no harm.
pub fn install_statements(dialect: Dialect, before: u32) -> Vec<String> {
    let mut statements = Vec::new();
    if before < 1 {
        statements.extend(first_version(dialect));
    }
    // What a later version changes comes here, as `if before < 2 { … }`.
    if before < CONTROL_VERSION {
        statements.push(format!("UPDATE tl_meta SET version = {CONTROL_VERSION} WHERE id = 1"));
    }
    statements
}

fn first_version(dialect: Dialect) -> [String; 6] {
    // Names are compared byte by byte.
    let name = |len: usize| match dialect {
        Dialect::Mysql | Dialect::Mariadb => format!("VARCHAR({len}) CHARACTER SET ascii COLLATE ascii_bin"),
        Dialect::Sqlite => "TEXT".to_owned(),
    };
    let (tail, ignore) = match dialect {
        Dialect::Mysql | Dialect::Mariadb => (" ENGINE = InnoDB", "INSERT IGNORE INTO"),
        Dialect::Sqlite => ("", "INSERT OR IGNORE INTO"),
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
             changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, why {text} NOT NULL){tail}"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS tl_resource (resource {resource} NOT NULL PRIMARY KEY, mode {mode} NOT NULL, \
             generation BIGINT NOT NULL, previous BIGINT NOT NULL, state SMALLINT NOT NULL, revision BIGINT NOT NULL, \
             changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP){tail}"
        ),
        // 2 s, and one percent.
        format!("{ignore} tl_config (id, lease_ms, rho_ppm) VALUES (1, 2000, 10000)"),
        format!("{ignore} tl_meta (id, version) VALUES (1, 0)"),
    ]
}

/// The rights that a daemon needs, each with its table.
pub const DAEMON_RIGHTS: &[(&str, &str)] = &[
    ("SELECT", "tl_meta"),
    ("SELECT", "tl_config"),
    ("SELECT, INSERT, UPDATE", "tl_node"),
    ("SELECT, INSERT, UPDATE", "tl_resource"),
];

/// Reads everything in one statement, which sees one moment. `lineage` and `is_replica` are the dialect's words for
/// the server's history and for whether it is one that follows another.
pub fn view_statement(lineage: &str, is_replica: &str) -> String {
    format!(
        "SELECT 0 AS kind, {lineage} AS name, lease_ms AS generation, rho_ppm AS previous, {is_replica} AS state, \
         0 AS nonce, '' AS detail, 0 AS map_version, 0 AS revision FROM tl_config WHERE id = 1 \
         UNION ALL SELECT 1, node, generation, previous, state, nonce, lineage, map_version, revision FROM tl_node \
         UNION ALL SELECT 2, resource, generation, previous, state, 0, mode, 0, revision FROM tl_resource"
    )
}

/// One row of [`view_statement`], in the order of its columns.
#[derive(Clone, Debug)]
pub struct ViewRow {
    /// 0 for the settings, 1 for a cache server, 2 for a resource.
    pub kind: i64,
    /// The lineage, or the row's name.
    pub name: String,
    /// The generation; the lease.
    pub generation: i64,
    /// The generation before; ρ.
    pub previous: i64,
    /// The state; whether the server is a replica.
    pub state: i64,
    /// The nonce.
    pub nonce: i64,
    /// The row's lineage; the mode.
    pub detail: String,
    /// The list of servers.
    pub map_version: i64,
    /// How often the row changed.
    pub revision: i64,
}

/// Why rows are no view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoView {
    /// The server follows another, so its rows may be old.
    Replica,
    /// The row of the settings is missing.
    NoSettings,
    /// A row holds what this program never writes.
    Damaged,
}

/// The view that the rows are.
///
/// # Errors
/// Why they are none.
pub fn read_view(rows: impl IntoIterator<Item = ViewRow>) -> Result<ControlView, NoView> {
    let mut settings = None;
    let (mut nodes, mut resources) = (Vec::new(), Vec::new());
    for row in rows {
        match row.kind {
            0 if row.state != 0 => return Err(NoView::Replica),
            0 => settings = Some(row),
            1 => nodes.push(node_row(&row).ok_or(NoView::Damaged)?),
            _ => resources.push(resource_row(&row).ok_or(NoView::Damaged)?),
        }
    }
    let settings = settings.ok_or(NoView::NoSettings)?;
    Ok(ControlView {
        lineage: Lineage::new(&settings.name),
        lease_ms: u64::try_from(settings.generation).map_err(|_| NoView::Damaged)?,
        rho_ppm: u32::try_from(settings.previous).map_err(|_| NoView::Damaged)?,
        nodes,
        resources,
    })
}

fn node_row(row: &ViewRow) -> Option<NodeRow> {
    Some(NodeRow {
        name: NodeName::new(&row.name)?,
        generation: u64::try_from(row.generation).ok()?,
        previous: u64::try_from(row.previous).ok()?,
        state: FenceState::from_number(u64::try_from(row.state).ok()?)?,
        // Signed columns keep the bits of any number.
        nonce: Nonce(row.nonce as u64),
        lineage: Lineage::new(&row.detail),
        map_version: u32::try_from(row.map_version).ok()?,
        revision: u64::try_from(row.revision).ok()?,
    })
}

fn resource_row(row: &ViewRow) -> Option<ResourceRow> {
    Some(ResourceRow {
        name: ResourceName::new(&row.name)?,
        mode: Mode::parse(&row.detail)?,
        generation: u64::try_from(row.generation).ok()?,
        previous: u64::try_from(row.previous).ok()?,
        state: FenceState::from_number(u64::try_from(row.state).ok()?)?,
        revision: u64::try_from(row.revision).ok()?,
    })
}

/// The statement that is a transition, with its values. It meets one row when the transition takes place.
pub fn transition_statement(dialect: Dialect, transition: &Transition) -> (String, Vec<Value>) {
    let number = |number: u64| Value::Int(number as i64);
    let text = |text: &str| Value::Text(text.to_owned());
    let (active, fencing, fenced) =
        (FenceState::Active.number(), FenceState::Fencing.number(), FenceState::Fenced.number());
    match transition {
        Transition::Enroll { node, generation, nonce, lineage } => insert(
            dialect,
            "tl_node",
            &format!(
                "(node, generation, previous, state, nonce, lineage, map_version, revision, why) \
                 VALUES (?, ?, ?, {active}, ?, ?, 1, 1, 'enrolled')"
            ),
            vec![
                text(node.as_str()),
                number(*generation),
                number(*generation),
                number(nonce.0),
                text(lineage.as_str()),
            ],
        ),
        Transition::StartFence { node, generation, next, lineage, why } => {
            let why = why.get(..Transition::WHY_LEN_MAX).unwrap_or(why);
            let sql = update(
                "tl_node",
                &format!("previous = ?, generation = ?, state = {fencing}, lineage = ?, why = ?"),
                &format!("node = ? AND generation = ? AND state <> {fencing}"),
            );
            let values = vec![
                number(*generation),
                number(*next),
                text(lineage.as_str()),
                text(why),
                text(node.as_str()),
                number(*generation),
            ];
            (sql, values)
        }
        Transition::EndFence { node, generation } => {
            let sql = update(
                "tl_node",
                &format!("state = {fenced}"),
                &format!("node = ? AND generation = ? AND state = {fencing}"),
            );
            (sql, vec![text(node.as_str()), number(*generation)])
        }
        Transition::Readmit { node, generation, nonce } => {
            let sql = update(
                "tl_node",
                &format!("state = {active}, nonce = ?, why = 'readmitted'"),
                &format!("node = ? AND generation = ? AND state = {fenced}"),
            );
            (sql, vec![number(nonce.0), text(node.as_str()), number(*generation)])
        }
        Transition::AdoptNonce { node, generation, before, nonce } => {
            let sql = update(
                "tl_node",
                "nonce = ?, why = 'restarted'",
                &format!("node = ? AND generation = ? AND state = {active} AND nonce = ?"),
            );
            (sql, vec![number(nonce.0), text(node.as_str()), number(*generation), number(before.0)])
        }
        Transition::EnrollResource { resource, generation } => insert(
            dialect,
            "tl_resource",
            &format!(
                "(resource, mode, generation, previous, state, revision) VALUES (?, 'cache', ?, ?, {active}, 1)"
            ),
            vec![text(resource.as_str()), number(*generation), number(*generation)],
        ),
        Transition::StartBump { resource, generation, next } => {
            let sql = update(
                "tl_resource",
                &format!("previous = ?, generation = ?, state = {fencing}"),
                &format!("resource = ? AND generation = ? AND state = {active}"),
            );
            let values =
                vec![number(*generation), number(*next), text(resource.as_str()), number(*generation)];
            (sql, values)
        }
        Transition::EndBump { resource, generation } => {
            let sql = update(
                "tl_resource",
                &format!("state = {active}"),
                &format!("resource = ? AND generation = ? AND state = {fencing}"),
            );
            (sql, vec![text(resource.as_str()), number(*generation)])
        }
        Transition::SetMode { resource, mode } => {
            let sql = update("tl_resource", "mode = ?", "resource = ?");
            (sql, vec![text(mode.as_str()), text(resource.as_str())])
        }
    }
}

fn update(table: &str, changes: &str, condition: &str) -> String {
    format!(
        "UPDATE {table} SET {changes}, revision = revision + 1, changed = CURRENT_TIMESTAMP WHERE {condition}"
    )
}

/// An INSERT that meets no row when there is one of that name.
fn insert(dialect: Dialect, table: &str, rest: &str, values: Vec<Value>) -> (String, Vec<Value>) {
    let sql = match dialect {
        Dialect::Mysql | Dialect::Mariadb => format!("INSERT IGNORE INTO {table} {rest}"),
        Dialect::Sqlite => format!("INSERT OR IGNORE INTO {table} {rest}"),
    };
    (sql, values)
}

#[cfg(test)]
mod tests {
    use super::{CONTROL_VERSION, install_statements, is_own_table};
    use crate::sql::Dialect;

    #[test]
    fn our_tables_are_known_by_their_names() {
        assert!(is_own_table("tl_node") && is_own_table("TL_Outbox"));
        assert!(!is_own_table("tlx") && !is_own_table("tl") && !is_own_table("title_"));
    }

    #[test]
    fn tables_of_the_present_version_are_left_alone() {
        assert_eq!(install_statements(Dialect::Mariadb, CONTROL_VERSION), [""; 0]);
        assert!(install_statements(Dialect::Mariadb, 0).iter().all(|sql| !sql.contains(';')));
    }
}
