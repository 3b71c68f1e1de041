// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file can be read at one sitting.

use crate::{Files, Finding};

/// The aim is about 100 lines; from 300 on a file is worth a thought, and here it is too long.
const LINES_MAX: usize = 500;

/// Files whose part before the unit tests, or whose tests when it has nothing else, are longer than 500 lines.
pub fn length(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.rust() {
        let lines = match file.tests_begin() {
            None | Some(0) => file.text.lines().count(),
            Some(line) => line,
        };
        if lines > LINES_MAX {
            findings.push(
                file.finding(
                    LINES_MAX,
                    format!("{lines} lines before the tests, {LINES_MAX} is the ceiling"),
                ),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::length;
    use crate::Files;

    #[test]
    fn the_line_after_the_ceiling_is_found() {
        assert_eq!(length(&Files::one("src/a.rs", &"\n".repeat(501))).len(), 1);
        assert_eq!(length(&Files::one("crates/x/tests/a.rs", &"\n".repeat(501))).len(), 1);
        assert_eq!(length(&Files::one("src/a.rs", &"\n".repeat(500))), []);
    }

    #[test]
    fn unit_tests_do_not_count() {
        let text = format!("{}#[cfg(test)]\n{}", "\n".repeat(500), "\n".repeat(100));
        assert_eq!(length(&Files::one("src/a.rs", &text)), []);
    }
}
