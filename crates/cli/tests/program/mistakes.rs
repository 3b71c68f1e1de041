// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mistakes are shown with their place and their remedy, and nothing is started.

use crate::{run, stderr};

const FILE: &str = r#"[sources.shop]
url = "sqlite:shop.db"

[resources.person]
source = "shpo"
"#;

#[test]
fn a_mistake_in_the_configuration_is_underlined_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("throughline.toml");
    std::fs::write(&path, FILE).unwrap();
    let output = run(&["check", "--config", path.to_str().unwrap()]);
    assert!(!output.status.success());
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in
        ["throughline.toml:5:", "source = \"shpo\"", "there is no source `shpo`", "did you mean `shop`?"]
    {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
}

#[test]
fn an_unknown_field_names_those_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("throughline.toml");
    std::fs::write(&path, FILE.replace("source = \"shpo\"", "sauce = \"shop\"")).unwrap();
    let error = stderr(&run(&["serve", "--config", path.to_str().unwrap()]));
    assert!(error.contains("unknown field `sauce`") && error.contains("`source`"), "{error}");
}

#[test]
fn a_file_that_is_not_there_and_a_url_of_an_unknown_kind_say_what_to_do() {
    let error = stderr(&run(&["check", "--config", "no-such-file.toml"]));
    assert!(error.contains("no-such-file.toml"), "{error}");
    let error = stderr(&run(&["check", "oracle://localhost/shop"]));
    assert!(error.contains("`oracle` is no kind of source") && error.contains("sqlite:shop.db"), "{error}");
    let error = stderr(&run(&["check", "sqlite:no-such-folder/shop.db"]));
    assert!(error.contains("shop.db"), "{error}");
}

#[test]
fn a_broken_database_file_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.db");
    let junk = "this is no database, ".repeat(400);
    std::fs::write(&path, &junk).unwrap();
    let output = run(&["serve", &format!("sqlite:{}", path.display())]);
    assert!(!output.status.success());
    let error = stderr(&output);
    assert!(error.contains("broken.db") && !error.contains("panicked"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), junk);
}

#[test]
fn a_door_beyond_loopback_needs_a_token_and_the_memcached_door_stays_inside() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let error = stderr(&run(&["serve", "--data-dir", data, "--http", "0.0.0.0:0"]));
    assert!(error.contains("a listener beyond loopback needs a token"), "{error}");
    let error = stderr(&run(&["serve", "--data-dir", data, "--memcached", "0.0.0.0:0"]));
    assert!(error.contains("stays on loopback"), "{error}");
}

#[test]
fn a_port_that_is_taken_is_told_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = stderr(&run(&["serve", "--data-dir", folder.path().to_str().unwrap(), "--http", &address]));
    assert!(error.contains("cannot open the http door") && error.contains("--http 127.0.0.1:0"), "{error}");
}

#[test]
fn a_command_without_a_daemon_says_how_to_start_one() {
    let error = stderr(&run(&["get", "person:1", "--server", "http://127.0.0.1:9"]));
    assert!(error.contains("no daemon answers") && error.contains("throughline serve"), "{error}");
    let error = stderr(&run(&["get", "person"]));
    assert!(error.contains("RESOURCE:KEY"), "{error}");
}
