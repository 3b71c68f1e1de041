// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names are imported one by one.

use crate::{Files, Finding};

/// Glob imports. A reader could not tell where a name comes from, and a new name in the other module could
/// change what the code means. Clippy allows `use super::*` in tests; this check does not.
pub fn globs(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.rust() {
        let mut inside = false;
        for (line, code) in file.code.lines().enumerate() {
            inside |= begins_use(code);
            if inside && code.contains('*') {
                findings.push(file.finding(line, "a glob import; import the names"));
            }
            inside &= !code.contains(';');
        }
    }
    findings
}

fn begins_use(code: &str) -> bool {
    let code = code.trim_start();
    let item = match code.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')').map_or("", |(_, item)| item),
        Some(rest) => rest,
        None => code,
    };
    item.trim_start().starts_with("use ")
}

#[cfg(test)]
mod tests {
    use super::globs;
    use crate::Files;

    #[test]
    fn a_glob_import_is_found() {
        let planted = ["use super::*;", "    pub(crate) use a::b::*;", "pub use a::{\n  b,\n  c::*,\n};"];
        for text in planted {
            assert_eq!(globs(&Files::one("src/a.rs", text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn stars_elsewhere_are_not_found() {
        let text = "use a::b;\nlet x = *y * 2; // use a::*;\nlet s = \"use a::*;\";\n";
        assert_eq!(globs(&Files::one("src/a.rs", text)), []);
    }
}
