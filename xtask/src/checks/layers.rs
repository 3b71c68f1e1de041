// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dependencies point down.

use toml::{Table, Value};

use crate::files::TextFile;
use crate::{Files, Finding};

/// A crate of ours and the crates of ours that it may use.
struct Layer {
    name: &'static str,
    uses: &'static [&'static str],
    /// What its tests may use besides; `throughline-testkit` always.
    tests_use: &'static [&'static str],
}

const fn layer(name: &'static str, uses: &'static [&'static str]) -> Layer {
    Layer { name, uses, tests_use: &[] }
}

const BANK: &str = "throughline-bank";
const CORE: &str = "throughline-core";
const WIRE: &str = "throughline-wire";
const RESILIENCE: &str = "throughline-resilience";
const ENGINE: &str = "throughline-engine";
const CACHES: &str = "throughline-caches";
const SOURCES: &str = "throughline-sources";
const JOURNALS: &str = "throughline-journals";
const FACADE: &str = "throughline";
const SERVER: &str = "throughline-server";
const CLI: &str = "throughline-cli";
const TESTKIT: &str = "throughline-testkit";
const SIM: &str = "throughline-sim";
const BENCH: &str = "throughline-bench";

/// The order of the house, from the bottom up. Backends know neither each other nor the engine, the engine knows
/// no backend, and the tools for tests are in no product.
const LAYERS: [Layer; 15] = [
    layer(CORE, &[]),
    layer(WIRE, &[]),
    layer(RESILIENCE, &[CORE]),
    layer(CACHES, &[CORE, WIRE]),
    // Somebody else's service, which knows nothing of us: what tests and demonstrations bring along.
    layer(BANK, &[]),
    Layer { name: SOURCES, uses: &[CORE], tests_use: &[BANK] },
    layer(JOURNALS, &[CORE]),
    // Strategies and front doors are tested with the cache that needs no server.
    Layer { name: ENGINE, uses: &[CORE, RESILIENCE], tests_use: &[CACHES] },
    Layer {
        name: FACADE,
        uses: &[CORE, WIRE, RESILIENCE, ENGINE, CACHES, SOURCES, JOURNALS],
        tests_use: &[BANK],
    },
    Layer { name: SERVER, uses: &[CORE, WIRE, FACADE], tests_use: &[CACHES] },
    layer(CLI, &[CORE, FACADE, SERVER, BANK]),
    layer(TESTKIT, &[CORE, JOURNALS]),
    layer(SIM, &[CORE, WIRE, ENGINE, CACHES, JOURNALS, FACADE, TESTKIT]),
    layer(
        BENCH,
        &[CORE, WIRE, RESILIENCE, ENGINE, CACHES, SOURCES, JOURNALS, FACADE, SERVER, CLI, TESTKIT, SIM],
    ),
    layer("xtask", &[]),
];

/// Edges between our crates that the table does not have, and crates that it does not know.
pub fn layers(files: &Files) -> Vec<Finding> {
    let manifests = files.all().filter(|file| is_member(&file.path));
    manifests.flat_map(|file| manifest(file).unwrap_or_else(|finding| vec![finding])).collect()
}

fn is_member(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], ["crates", _, "Cargo.toml"] | ["xtask", "Cargo.toml"])
}

fn manifest(file: &TextFile) -> Result<Vec<Finding>, Finding> {
    let manifest: Table = file.text.parse().map_err(|error| file.finding(0, format!("no TOML: {error}")))?;
    let package = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let name = package.ok_or_else(|| file.finding(0, "a manifest without a package name"))?;
    let layer = LAYERS.iter().find(|layer| layer.name == name);
    let layer = layer.ok_or_else(|| file.finding(0, format!("{name} is not in the layer table")))?;

    let mut findings = Vec::new();
    // What a platform needs stands in tables of its own.
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    for table in platforms.chain([&manifest]) {
        for used in ours(table, "dependencies").into_iter().chain(ours(table, "build-dependencies")) {
            if !layer.uses.contains(&used.as_str()) {
                findings.push(edge(file, name, &used));
            }
        }
        for used in ours(table, "dev-dependencies") {
            let known = used == TESTKIT || used == name || layer.uses.contains(&used.as_str());
            if !known && !layer.tests_use.contains(&used.as_str()) {
                findings.push(edge(file, name, &used));
            }
        }
    }
    Ok(findings)
}

/// Our crates in this section, by their real names even when they are renamed.
fn ours(table: &Table, section: &str) -> Vec<String> {
    let section = table.get(section).and_then(Value::as_table);
    let names = section.into_iter().flatten().map(|(key, value)| {
        let renamed = value.get("package").and_then(Value::as_str);
        renamed.unwrap_or(key).to_owned()
    });
    names.filter(|name| LAYERS.iter().any(|layer| layer.name == name)).collect()
}

fn edge(file: &TextFile, from: &str, to: &str) -> Finding {
    let line = file.text.lines().position(|line| line.trim_start().starts_with(to)).unwrap_or(0);
    file.finding(line, format!("{from} must not use {to}: no such edge in the layer table"))
}

#[cfg(test)]
mod tests {
    use super::layers;
    use crate::Files;

    fn found(name: &str, rest: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{name}\"\n{rest}\n");
        layers(&Files::one("crates/x/Cargo.toml", &text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_edge_upward_is_found_with_its_line() {
        assert_eq!(
            found("throughline-engine", "[dependencies]\nthroughline-caches.workspace = true"),
            ["crates/x/Cargo.toml:4: throughline-engine must not use throughline-caches: \
              no such edge in the layer table"]
        );
    }

    #[test]
    fn an_edge_is_found_in_every_section() {
        let sections =
            ["dependencies", "build-dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"];
        for section in sections {
            let rest = format!("[{section}]\nthroughline-sources = {{ path = \"../sources\" }}");
            assert_eq!(found("throughline-caches", &rest).len(), 1, "{section}");
        }
    }

    #[test]
    fn a_renamed_edge_is_found() {
        let rest = "[dependencies]\nengine = { package = \"throughline-engine\", path = \"../engine\" }";
        assert_eq!(found("throughline-server", rest).len(), 1);
    }

    #[test]
    fn testkit_in_a_product_is_found_and_in_its_tests_is_not() {
        let testkit = "throughline-testkit.workspace = true";
        assert_eq!(found("throughline-sources", &format!("[dependencies]\n{testkit}")).len(), 1);
        assert_eq!(found("throughline-sources", &format!("[dev-dependencies]\n{testkit}")).len(), 0);
    }

    #[test]
    fn a_crate_outside_the_table_is_found() {
        assert_eq!(found("throughline-extras", "").len(), 1);
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_found() {
        assert_eq!(layers(&Files::one("xtask/Cargo.toml", "[package")).len(), 1);
        assert_eq!(layers(&Files::one("xtask/Cargo.toml", "")).len(), 1);
    }

    #[test]
    fn an_edge_of_the_table_is_not_found() {
        assert_eq!(found("throughline", "[dependencies]\nthroughline-caches.workspace = true"), [""; 0]);
    }
}
