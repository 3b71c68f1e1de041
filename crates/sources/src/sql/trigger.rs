// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which tables change although nobody wrote to them by name: by cascades and by triggers.

use super::outbox::OWN_PREFIX;
use super::{Action, Table};

/// A table whose rows may change behind a writer's back, so that its resources cannot be strict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenChange {
    /// The table.
    pub table: String,
    /// By what, in the words of the start-up lines.
    pub reason: String,
}

/// The tables among `tables` that references and triggers change.
///
/// A trigger counts when its body names the table as a word other than behind `NEW.` or `OLD.`, or calls
/// anything, which may change everything. This errs on the side of naming a table that is only read.
pub fn hidden_changes(tables: &[Table]) -> Vec<HiddenChange> {
    tables
        .iter()
        .filter_map(|table| {
            reason(table, tables).map(|reason| HiddenChange { table: table.name.clone(), reason })
        })
        .collect()
}

fn reason(table: &Table, tables: &[Table]) -> Option<String> {
    let cascades = |key: &&super::ForeignKey| {
        [key.on_delete, key.on_update].iter().any(|action| *action != Action::Restrict)
    };
    if let Some(key) = table.foreign_keys.iter().find(cascades) {
        return Some(format!("its rows change with those of `{}` (foreign key)", key.parent));
    }
    for other in tables {
        // Those of ours only write into the outbox.
        let foreign = other.triggers.iter().filter(|trigger| !trigger.name.starts_with(OWN_PREFIX));
        for trigger in foreign {
            let words = words(&trigger.body);
            let calls = words.iter().any(|word| word.eq_ignore_ascii_case("call"));
            // A table of another schema is called `schema.table` here, and its name alone may stand in the body.
            let name = table.name.rsplit('.').next().unwrap_or(&table.name);
            let names = words.iter().any(|word| word.eq_ignore_ascii_case(name));
            if calls || names {
                let does = if calls { "calls a procedure" } else { "names it" };
                return Some(format!("the trigger `{}` of `{}` {does}", trigger.name, other.name));
            }
        }
    }
    None
}

/// The words of `body` that do not stand behind `NEW.` or `OLD.`.
fn words(body: &str) -> Vec<&str> {
    let is_part = |char: char| char.is_alphanumeric() || char == '_' || char == '$' || !char.is_ascii();
    let mut found = Vec::new();
    let mut behind_row = false;
    let mut rest = body;
    while let Some(start) = rest.find(is_part) {
        let gap = &rest[..start];
        let tail = &rest[start..];
        let (word, after) = tail.split_at(tail.find(|char| !is_part(char)).unwrap_or(tail.len()));
        let joined = gap.trim_matches(|char: char| char.is_whitespace() || "\"`[]".contains(char)) == ".";
        if !(joined && behind_row) {
            found.push(word);
        }
        behind_row = word.eq_ignore_ascii_case("new") || word.eq_ignore_ascii_case("old");
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{ForeignKey, Trigger};
    use super::{Action, Table, hidden_changes};

    fn table(name: &str, body: Option<&str>) -> Table {
        let trigger = |body: &str| Trigger { name: "t".into(), body: body.into() };
        Table {
            schema: None,
            name: name.into(),
            columns: vec![],
            primary_key: vec![],
            has_other_unique: false,
            foreign_keys: vec![],
            triggers: body.map(trigger).into_iter().collect(),
            unservable: None,
        }
    }

    fn changed(tables: &[Table]) -> Vec<String> {
        hidden_changes(tables).into_iter().map(|change| change.table).collect()
    }

    #[test]
    fn a_table_that_a_trigger_names_is_changed_behind_our_back() {
        let body = "UPDATE `stock` SET n = n - 1 WHERE id = NEW.product";
        assert_eq!(
            changed(&[table("sale", Some(body)), table("stock", None), table("product", None)]),
            ["stock"]
        );
    }

    #[test]
    fn a_trigger_that_calls_may_change_everything() {
        assert_eq!(
            changed(&[table("sale", Some("CALL anything()")), table("stock", None)]),
            ["sale", "stock"]
        );
    }

    #[test]
    fn words_behind_the_row_and_parts_of_words_do_not_count() {
        let body = "SET NEW.stock = OLD . \"stock\" + 1, @stocks = 'x'";
        assert_eq!(changed(&[table("sale", Some(body)), table("stock", None)]), [""; 0]);
    }

    #[test]
    fn a_cascade_changes_the_referring_table() {
        let mut child = table("child", None);
        child.foreign_keys.push(ForeignKey {
            parent: "parent".into(),
            on_delete: Action::SetNull,
            on_update: Action::Restrict,
        });
        assert_eq!(changed(&[child, table("parent", None)]), ["child"]);
    }
}
