// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every test and every example runs.

use crate::{Files, Finding};

/// Ignored tests, and examples in documents that are not even compiled. A test that does not run promises
/// nothing.
pub fn ignores(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.rust() {
        for (line, (code, text)) in file.code.lines().zip(file.text.lines()).enumerate() {
            if is_ignored_test(code) {
                findings.push(file.finding(line, "an ignored test; make it run everywhere or remove it"));
            } else if is_ignored_example(text) {
                findings.push(file.finding(line, "an example that is not compiled; use `no_run` or `text`"));
            }
        }
    }
    findings
}

fn is_ignored_test(code: &str) -> bool {
    let code: String = code.split_whitespace().collect();
    code.contains("#[ignore") || (code.contains("cfg_attr(") && code.contains(",ignore"))
}

fn is_ignored_example(text: &str) -> bool {
    let text = text.trim_start();
    let comment = text.strip_prefix("///").or_else(|| text.strip_prefix("//!"));
    let fence = comment.and_then(|comment| comment.trim_start().strip_prefix("```"));
    fence.is_some_and(|attributes| attributes.split(',').any(|attribute| attribute.trim() == "ignore"))
}

#[cfg(test)]
mod tests {
    use super::ignores;
    use crate::Files;

    #[test]
    fn an_ignored_test_is_found() {
        let planted = ["#[ignore]", "    #[ignore = \"slow\"]", "#[cfg_attr(not(unix), ignore)]"];
        for text in planted {
            assert_eq!(ignores(&Files::one("src/a.rs", text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn an_example_that_is_not_compiled_is_found() {
        for text in ["/// ```ignore", "//! ```rust,ignore", "    /// ``` ignore"] {
            assert_eq!(ignores(&Files::one("src/a.rs", text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_comment_about_them_is_not_found() {
        assert_eq!(ignores(&Files::one("src/a.rs", "// never #[ignore]\n/// ```no_run\n")), []);
    }
}
