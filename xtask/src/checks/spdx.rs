// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each file names its licence.

use crate::{Files, Finding};

const FIRST_LINE: &str = "// SPDX-License-Identifier: MIT OR Apache-2.0";

/// Rust files whose first line does not name the licence.
pub fn spdx(files: &Files) -> Vec<Finding> {
    let unnamed = files.rust().filter(|file| file.text.lines().next() != Some(FIRST_LINE));
    unnamed.map(|file| file.finding(0, format!("the first line must be `{FIRST_LINE}`"))).collect()
}

#[cfg(test)]
mod tests {
    use super::{FIRST_LINE, spdx};
    use crate::Files;

    #[test]
    fn a_file_without_its_licence_is_found() {
        for text in ["", "//! Doc.\n", "\n// SPDX-License-Identifier: MIT OR Apache-2.0\n"] {
            assert_eq!(spdx(&Files::one("src/a.rs", text)).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn a_file_with_its_licence_is_not_found() {
        assert_eq!(spdx(&Files::one("src/a.rs", &format!("{FIRST_LINE}\n//! Doc.\n"))), []);
    }
}
