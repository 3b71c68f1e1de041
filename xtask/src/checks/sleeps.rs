// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests await conditions.

use crate::{Files, Finding};

/// Test files that may sleep, and why no condition can be awaited there.
const ALLOWED: [(&str, &str); 0] = [];

/// Sleeps in tests: too short on a busy machine, too long on every other. On tokio's paused clock a sleep takes
/// no time and only says at which moment something happens, so it is allowed in a file that pauses the clock.
pub fn sleeps(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.rust().filter(|file| ALLOWED.iter().all(|(path, _)| *path != file.path)) {
        let Some(begin) = file.tests_begin() else { continue };
        let paused = file.code.contains("start_paused") || file.code.contains("time::pause()");
        for (line, code) in file.code.lines().enumerate().skip(begin) {
            if code.contains("thread::sleep") {
                findings.push(file.finding(line, "a test that sleeps; await the condition"));
            } else if code.contains("time::sleep") && !paused {
                findings
                    .push(file.finding(line, "a test that sleeps; await the condition or pause the clock"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::sleeps;
    use crate::Files;

    #[test]
    fn a_sleep_in_a_test_is_found() {
        let call = "std::thread::sleep(PAUSE);\n";
        assert_eq!(sleeps(&Files::one("crates/x/tests/a.rs", call)).len(), 1);
        assert_eq!(sleeps(&Files::one("crates/x/src/a/tests.rs", "use tokio::time::sleep;\n")).len(), 1);
        assert_eq!(
            sleeps(&Files::one("src/a.rs", &format!("#[cfg(test)]\nmod tests {{ {call} }}"))).len(),
            1
        );
    }

    #[test]
    fn a_sleep_of_the_process_is_found_even_when_the_clock_is_paused() {
        let text = "#[tokio::test(start_paused = true)]\nstd::thread::sleep(PAUSE);\n";
        assert_eq!(sleeps(&Files::one("tests/a.rs", text)).len(), 1);
    }

    #[test]
    fn a_sleep_on_a_paused_clock_and_one_outside_tests_are_not_found() {
        let text = "#[tokio::test(start_paused = true)]\ntokio::time::sleep(PAUSE).await;\n";
        assert_eq!(sleeps(&Files::one("tests/a.rs", text)), []);
        assert_eq!(sleeps(&Files::one("src/a.rs", "tokio::time::sleep(PAUSE).await;\n")), []);
    }
}
