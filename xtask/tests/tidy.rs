// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository keeps its own rules.

use std::path::Path;
use std::sync::LazyLock;

use xtask::{Files, Finding, globs, ignores, layers, length, names, paths, sleeps, spdx, words};

static FILES: LazyLock<Files> = LazyLock::new(read);

fn assert_none(check: fn(&Files) -> Vec<Finding>) {
    let findings: Vec<String> = check(&FILES).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} found:\n{}\n", findings.len(), findings.join("\n"));
}

fn read() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository");
    Files::read(root).expect("the repository is a readable git checkout")
}

/// Without files no check finds anything.
#[test]
fn the_checks_see_the_repository() {
    for path in ["Cargo.toml", "crates/core/Cargo.toml", "crates/core/src/lib.rs", "xtask/tests/tidy.rs"] {
        assert!(FILES.contains(path), "{path} is not among the files");
    }
}

#[test]
fn dependencies_point_down() {
    assert_none(layers);
}

#[test]
fn files_stay_under_the_ceiling() {
    assert_none(length);
}

#[test]
fn module_names_say_what_is_in_them() {
    assert_none(names);
}

#[test]
fn one_word_is_used_for_one_thing() {
    assert_none(words);
}

#[test]
fn every_file_names_its_licence() {
    assert_none(spdx);
}

#[test]
fn names_are_imported_one_by_one() {
    assert_none(globs);
}

#[test]
fn no_test_and_no_example_is_ignored() {
    assert_none(ignores);
}

#[test]
fn no_test_sleeps() {
    assert_none(sleeps);
}

#[test]
fn no_file_knows_a_path_of_one_machine() {
    assert_none(paths);
}
