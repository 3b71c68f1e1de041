// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands, against a daemon over the sample database.

use std::time::Duration;

use throughline_testkit::{Daemon, Listener};

use crate::{run, serve, stderr, stdout};

fn ask(daemon: &Daemon, args: &[&str]) -> std::process::Output {
    let server = format!("http://{}", daemon.address(Listener::Http));
    run(&[args, &["--server", &server]].concat())
}

#[test]
fn records_are_read_written_and_deleted() {
    let daemon = serve(&[]);
    assert_eq!(
        stdout(&ask(&daemon, &["get", "person:1"])).trim(),
        r#"{"id":1,"first_name":"Ada","last_name":"Lovelace"}"#
    );
    let value = r#"{"first_name":"Alan","last_name":"Turing"}"#;
    assert_eq!(stdout(&ask(&daemon, &["put", "person:7", value])), "created\n");
    assert_eq!(stdout(&ask(&daemon, &["put", "person:7", value])), "replaced\n");
    assert!(stdout(&ask(&daemon, &["get", "person:7"])).contains("Turing"));
    assert_eq!(stdout(&ask(&daemon, &["invalidate", "person:7"])), "invalidated\n");
    assert_eq!(stdout(&ask(&daemon, &["delete", "person:7"])), "deleted\n");
    assert_eq!(ask(&daemon, &["get", "person:7"]).status.code(), Some(2));
    assert_eq!(ask(&daemon, &["delete", "person:7"]).status.code(), Some(2));
}

#[test]
fn what_does_not_fit_names_the_column() {
    let daemon = serve(&[]);
    let error = stderr(&ask(&daemon, &["put", "product:1", r#"{"name":"Lamp","price":"cheap"}"#]));
    assert!(error.contains("price") && !error.contains("cheap"), "{error}");
    let error = stderr(&ask(&daemon, &["put", "product:1", r#"{"nme":"Lamp","price":1}"#]));
    assert!(error.contains("nme") && error.contains("name"), "{error}");
    let error = stderr(&ask(&daemon, &["get", "persn:1"]));
    assert!(error.contains("there are: payment, person, product"), "{error}");
    assert!(stdout(&ask(&daemon, &["get", "product:1"])).contains("Lamp"), "the daemon lives");
}

#[test]
fn the_mode_is_shown_and_changed_and_the_counters_tell() {
    let daemon = serve(&[]);
    ask(&daemon, &["get", "person:1"]);
    ask(&daemon, &["get", "person:1"]);
    assert!(stdout(&ask(&daemon, &["mode"])).contains("person  cache"));
    assert_eq!(stdout(&ask(&daemon, &["mode", "person", "source"])), "person  source\n");
    ask(&daemon, &["get", "person:1"]);
    assert_eq!(stdout(&ask(&daemon, &["mode", "person"])), "person  source\n");
    let stats = stdout(&ask(&daemon, &["stats", "person"]));
    for counter in ["hits", "misses", "bypass_mode", "mode_switches"] {
        assert!(
            stats.lines().any(|line| line.trim().starts_with(counter) && line.ends_with(" 1")),
            "{counter}:\n{stats}"
        );
    }
}

#[test]
fn stats_tell_what_sources_and_caches_count_and_refuse_an_unknown_resource() {
    let daemon = serve(&[]);
    ask(&daemon, &["get", "person:1"]);
    let stats = stdout(&ask(&daemon, &["stats"]));
    assert!(stats.contains("cache memory\n  entries"), "{stats}");
    assert!(stats.contains("source default\n  read_statements"), "{stats}");
    let one = stdout(&ask(&daemon, &["stats", "person", "--json"]));
    assert!(one.contains("person") && !one.contains("payment"), "{one}");
    let unknown = ask(&daemon, &["stats", "persn"]);
    assert!(!unknown.status.success());
    assert!(stderr(&unknown).contains("there is no resource `persn`"), "{}", stderr(&unknown));
}

#[test]
fn terminated_it_ends_by_itself_and_keeps_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data-dir", folder.path().to_str().unwrap()];
    let daemon = serve(&data);
    ask(&daemon, &["put", "person:8", r#"{"first_name":"Barbara","last_name":"Liskov"}"#]);
    daemon.terminate();
    let status = daemon.wait_exit(Duration::from_secs(20)).expect("it ends");
    assert!(status.success(), "{}", daemon.log());
    let daemon = serve(&data);
    assert!(stdout(&ask(&daemon, &["get", "person:8"])).contains("Liskov"));
    daemon.kill();
    let daemon = serve(&data);
    assert!(stdout(&ask(&daemon, &["get", "person:8"])).contains("Liskov"), "also after a kill");
}

#[test]
fn a_second_daemon_that_would_write_to_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data-dir", folder.path().to_str().unwrap()];
    let first = serve(&data);
    assert!(
        first.output().contains("strict: this process alone owns the database file"),
        "{}",
        first.output()
    );
    let error = stderr(&run(&[&["serve"][..], &data, &["--http", "none", "--memcached", "none"]].concat()));
    assert!(error.contains("another process serves") && error.contains("reading only"), "{error}");
    let url = format!("sqlite:{}", folder.path().join("sample.db").display());
    let reader = serve(&[&url]);
    assert!(reader.output().contains("bounded: the file is open for reading only"), "{}", reader.output());
}

#[test]
fn the_demo_tells_its_stories() {
    let story = stdout(&run(&["demo", "--read-ms", "20", "--write-ms", "20"]));
    for part in
        ["Reading, read-through", "Writing, write-around", "The switch", "has the acknowledgement", "(hit)"]
    {
        assert!(story.contains(part), "{part} is missing in:\n{story}");
    }
}
