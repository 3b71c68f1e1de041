// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository works wherever it is checked out.

use crate::{Files, Finding};

/// Folders of somebody's machine. Written in two halves, so that this file passes its own check.
const PRIVATE: [&str; 3] = [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/")];

/// Absolute paths into somebody's folders, in any text file.
pub fn paths(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.all() {
        for (line, text) in file.text.lines().enumerate() {
            if let Some(path) = PRIVATE.iter().find(|path| begins_path(text, path)) {
                findings.push(
                    file.finding(line, format!("a path under {path}, which other machines do not have")),
                );
            }
        }
    }
    findings
}

/// Whether `path` stands in `text` as the beginning of a path, and not inside a longer one or in a URL.
fn begins_path(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| {
            c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '/' | '}' | ')' | '*')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{PRIVATE, paths};
    use crate::Files;

    #[test]
    fn a_private_path_is_found() {
        for path in PRIVATE {
            assert_eq!(paths(&Files::one("docs/a.md", &format!("see `{path}x`"))).len(), 1, "{path}");
            assert_eq!(paths(&Files::one(".ci/run", &format!("cd {path}"))).len(), 1, "{path}");
        }
    }

    #[test]
    fn a_path_inside_another_is_not_found() {
        let inside =
            PRIVATE.map(|path| format!("target{path}x https://example.com{path}y $ROOT}}{path}")).join("\n");
        assert_eq!(paths(&Files::one("docs/a.md", &inside)), []);
    }
}
