// SPDX-License-Identifier: MIT OR Apache-2.0
//! The changes of the control tables' rows.
//!
//! The conditions of the UPDATEs are those of [`throughline_core::Transition`]: what is written in its documentation
//! stands here once more, as SQL.

use throughline_core::{FenceState, Transition};

use super::{ControlDialect, insert};
use crate::sql::Value;

/// The statement that is a transition, with its values. It meets one row when the transition takes place.
pub fn transition_statement(dialect: ControlDialect, transition: &Transition) -> (String, Vec<Value>) {
    let (sql, values) = statement(dialect, transition);
    match dialect {
        ControlDialect::Mysql => (sql, values),
        // PostgreSQL numbers its values, and its driver counts rows only by being sent them.
        ControlDialect::Postgres => (numbered(&sql) + " RETURNING 1", values),
    }
}

/// The same with `?` where a value is bound.
fn statement(dialect: ControlDialect, transition: &Transition) -> (String, Vec<Value>) {
    let number = |number: u64| Value::Int(number as i64);
    let text = |text: &str| Value::Text(text.to_owned());
    let (active, fencing, fenced) =
        (FenceState::Active.number(), FenceState::Fencing.number(), FenceState::Fenced.number());
    match transition {
        Transition::Enroll { node, generation, nonce, lineage } => {
            let row = format!(
                "tl_node (node, generation, previous, state, nonce, lineage, map_version, revision, why) \
                 VALUES (?, ?, ?, {active}, ?, ?, 1, 1, 'enrolled')"
            );
            let values = vec![
                text(node.as_str()),
                number(*generation),
                number(*generation),
                number(nonce.0),
                text(lineage.as_str()),
            ];
            (insert(dialect, &row), values)
        }
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
        Transition::EnrollResource { resource, generation } => {
            let row = format!(
                "tl_resource (resource, mode, generation, previous, state, revision) \
                 VALUES (?, 'cache', ?, ?, {active}, 1)"
            );
            (insert(dialect, &row), vec![text(resource.as_str()), number(*generation), number(*generation)])
        }
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

/// `sql` with `$1`, `$2`, … for its question marks, of which there are none in texts.
pub(in crate::sql) fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (place, part) in parts.enumerate() {
        text.push_str(&format!("${}{part}", place + 1));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ControlDialect, transition_statement};
    use throughline_core::{NodeName, Transition};

    #[test]
    fn values_stand_where_the_dialect_wants_them() {
        let end = Transition::EndFence { node: NodeName::new("a").expect("a name"), generation: 7 };
        let (sql, values) = transition_statement(ControlDialect::Mysql, &end);
        assert!(sql.ends_with("WHERE node = ? AND generation = ? AND state = 1"), "{sql}");
        assert_eq!(values.len(), 2);
        let (sql, _) = transition_statement(ControlDialect::Postgres, &end);
        assert!(sql.ends_with("WHERE node = $1 AND generation = $2 AND state = 1 RETURNING 1"), "{sql}");
    }
}
