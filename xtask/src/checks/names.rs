// SPDX-License-Identifier: MIT OR Apache-2.0
//! A module's name says what is in it.

use crate::{Files, Finding};

/// Words that say nothing, alone or beside others; what is in such a module belongs where it is used.
const EMPTY_WORDS: [&str; 8] =
    ["utils", "util", "common", "helpers", "helper", "misc", "manager", "managers"];
/// Names that say nothing unless another word says of what: `types`, but not `column_types`.
const EMPTY_NAMES: [&str; 2] = ["types", "prelude"];

/// Files named `mod.rs`, and files or folders whose name says nothing.
pub fn names(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.rust() {
        if file.path.rsplit('/').next() == Some("mod.rs") {
            findings.push(file.finding(0, "a `mod.rs`; use `foo.rs` beside `foo/`"));
        }
        let parts = file.path.trim_end_matches(".rs").split('/');
        for name in parts.filter(|name| is_empty_name(name)) {
            findings.push(file.finding(0, format!("`{name}` says nothing; name what is in it")));
        }
    }
    findings
}

fn is_empty_name(name: &str) -> bool {
    EMPTY_NAMES.contains(&name) || name.split('_').any(|word| EMPTY_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::names;
    use crate::Files;

    #[test]
    fn a_mod_rs_is_found() {
        assert_eq!(names(&Files::one("crates/x/src/a/mod.rs", "")).len(), 1);
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        for path in [
            "src/utils.rs",
            "src/key_helpers.rs",
            "tests/common/a.rs",
            "src/connection_manager.rs",
            "src/types.rs",
        ] {
            assert_eq!(names(&Files::one(path, "")).len(), 1, "{path}");
        }
    }

    #[test]
    fn other_names_are_not_found() {
        assert_eq!(names(&Files::one("crates/core/src/model.rs", "")), []);
        assert_eq!(names(&Files::one("crates/sources/tests/column_types.rs", "")), []);
        assert_eq!(names(&Files::one("docs/common.md", "")), []);
    }
}
