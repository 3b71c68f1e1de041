// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a row will look like once it is written, as far as that is known without asking.

use throughline_core::Record;

use super::{Assignment, Assignments, Kind, Mapping, Value};

impl Mapping {
    /// The record that a loader will make of a row that is replaced or inserted like this. What only the database can
    /// fill in is null in it: defaults that are no constants, what it computes, the count of a version column.
    pub(crate) fn preview(&self, assignments: &Assignments) -> Record {
        let mut cells = vec![Value::Null; self.selected.len()];
        for (at, part) in self.key_at.iter().zip(&assignments.key) {
            cells[*at] = part.clone().unwrap_or(Value::Null);
        }
        for (place, assignment) in &assignments.columns {
            let Some(at) = self.selected.iter().position(|selected| selected == place) else { continue };
            let column = &self.table.columns[*place];
            cells[at] = match assignment {
                Assignment::Value(value) => value.clone(),
                Assignment::Default => {
                    let default = column.default.as_deref();
                    default.and_then(|text| constant(text, &column.kind)).unwrap_or(Value::Null)
                }
                Assignment::NextVersion => Value::Null,
            };
        }
        for (at, value) in assignments.expected() {
            cells[*at] = value.clone();
        }
        self.record(|at| cells[at].as_cell())
    }
}

/// The value of a default, where its text is that of a constant.
fn constant(text: &str, kind: &Kind) -> Option<Value> {
    let mut text = text.trim();
    while let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        text = inner.trim();
    }
    match kind {
        Kind::Integer { unsigned: true, .. } => text.parse().ok().map(Value::UInt),
        Kind::Integer { .. } => text.parse().ok().map(Value::Int),
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(Value::Int(1)),
            "false" | "0" => Some(Value::Int(0)),
            _ => None,
        },
        Kind::Text { .. } => quoted(text).map(Value::Text),
        _ => None,
    }
}

/// The text in quotes, behind which PostgreSQL may name its type.
fn quoted(text: &str) -> Option<String> {
    let rest = text.strip_prefix('\'')?;
    let end = rest.rfind('\'')?;
    let (inner, behind) = (&rest[..end], &rest[end + 1..]);
    let is_plain = (behind.is_empty() || behind.starts_with("::"))
        // MySQL's own way to escape.
        && !inner.contains('\\')
        && !inner.replace("''", "").contains('\'');
    is_plain.then(|| inner.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Value, constant};

    #[test]
    fn constants_are_told_from_expressions() {
        let integer = Kind::Integer { bits: 64, unsigned: false };
        assert_eq!(constant("(-5)", &integer), Some(Value::Int(-5)));
        assert_eq!(constant("nextval('x')", &integer), None);
        let text = Kind::Text { exact: true };
        assert_eq!(constant("'it''s'::character varying", &text), Some(Value::Text("it's".into())));
        for expression in ["NULL", "now()", "'a' || 'b'", "concat('a', 'b')", "'a\\n'"] {
            assert_eq!(constant(expression, &text), None, "{expression}");
        }
        assert_eq!(constant("false", &Kind::Bool), Some(Value::Int(0)));
    }
}
