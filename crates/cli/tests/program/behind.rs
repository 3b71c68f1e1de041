// SPDX-License-Identifier: MIT OR Apache-2.0
//! Write-behind as an operator meets it.

use std::path::Path;
use std::process::Output;

use throughline_testkit::{Daemon, DaemonOptions, Listener};

use crate::{run, stderr, stdout};

/// A bank in a file, which refuses amounts that are not positive; its payments are applied when somebody asks.
fn bank(folder: &Path) -> String {
    let file = folder.join("bank.db");
    let table = "CREATE TABLE payment (id INTEGER PRIMARY KEY, amount INT NOT NULL CHECK (amount > 0))";
    rusqlite::Connection::open(&file).unwrap().execute_batch(table).unwrap();
    let url = format!("sqlite:{}", file.display());
    let config = folder.join("throughline.toml");
    let text = format!(
        "data_dir = {:?}\n[sources.bank]\nurl = \"{url}\"\n[resources.payment]\nsource = \"bank\"\n\
         access = \"write\"\nwrite = \"write-behind\"\nbehind = {{ delay = \"never\" }}\n",
        folder.join("data")
    );
    std::fs::write(&config, text).unwrap();
    url
}

fn daemon(folder: &Path) -> Daemon {
    let config = folder.join("throughline.toml");
    let config = config.to_str().unwrap();
    let args = ["serve", "--config", config, "--http", "127.0.0.1:0", "--memcached", "127.0.0.1:0"];
    Daemon::start(DaemonOptions::new(env!("CARGO_BIN_EXE_throughline"), &args))
}

fn ask(daemon: &Daemon, args: &[&str]) -> Output {
    let server = format!("http://{}", daemon.address(Listener::Http));
    run(&[args, &["--server", &server]].concat())
}

fn rows(folder: &Path) -> Vec<(i64, i64)> {
    let connection = rusqlite::Connection::open(folder.join("bank.db")).unwrap();
    let mut statement = connection.prepare("SELECT id, amount FROM payment ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn without_the_table_of_what_was_applied_it_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    bank(folder.path());
    let config = folder.path().join("throughline.toml");
    let refused = run(&["check", "--config", config.to_str().unwrap()]);
    assert!(!refused.status.success());
    assert!(stderr(&refused).contains("throughline init"), "{}", stderr(&refused));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.lines().skip(1).collect::<Vec<_>>().join("\n")).unwrap();
    let refused = run(&["serve", "--config", config.to_str().unwrap()]);
    assert!(stderr(&refused).contains("data_dir"), "{}", stderr(&refused));
}

#[test]
fn writes_are_accepted_shown_applied_and_decided_about() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(&["init", &bank(folder.path())]).status.success());
    let daemon = daemon(folder.path());
    assert_eq!(stdout(&ask(&daemon, &["put", "payment:1", r#"{"amount":100}"#])), "accepted as 1\n");
    assert_eq!(stdout(&ask(&daemon, &["put", "payment:2", r#"{"amount":-1}"#])), "accepted as 2\n");
    assert_eq!(stdout(&ask(&daemon, &["get", "payment:1"])), "{\"id\":1,\"amount\":100}\n");
    let wrong = stderr(&ask(&daemon, &["put", "payment:3", r#"{"amount":"much"}"#]));
    assert!(wrong.contains("amount"), "what can be known is refused at once: {wrong}");
    assert!(rows(folder.path()).is_empty(), "not yet");
    assert!(stdout(&ask(&daemon, &["journal", "list"])).contains("payment  2 pending"));

    let drained = ask(&daemon, &["drain"]);
    assert!(drained.status.success(), "{}", stderr(&drained));
    assert_eq!(rows(folder.path()), [(1, 100)]);
    let listed = stdout(&ask(&daemon, &["journal", "list", "payment"]));
    assert!(listed.contains("0 pending, 1 dead letters") && listed.contains("2  put 2  dead"), "{listed}");
    let shown = stdout(&ask(&daemon, &["journal", "show", "payment", "2"]));
    assert!(shown.contains("amount > 0") && shown.contains("\"amount\": -1"), "{shown}");
    assert_eq!(stdout(&ask(&daemon, &["journal", "export", "payment"])).lines().count(), 1);

    let edited = ask(&daemon, &["journal", "edit", "payment", "2", r#"{"amount":1}"#]);
    assert_eq!(stdout(&edited), "accepted again as 3\n", "{}", stderr(&edited));
    ask(&daemon, &["put", "payment:4", r#"{"amount":0}"#]);
    assert!(ask(&daemon, &["drain", "payment"]).status.success());
    assert_eq!(rows(folder.path()), [(1, 100), (2, 1)]);
    assert_eq!(stdout(&ask(&daemon, &["journal", "discard", "payment", "4"])), "discarded\n");
    assert_eq!(ask(&daemon, &["get", "payment:4"]).status.code(), Some(2), "the source is shown");
    let none = ask(&daemon, &["journal", "retry", "payment", "4"]);
    assert!(stderr(&none).contains("no dead letter"), "{}", stderr(&none));
}

#[test]
fn a_second_process_with_the_journal_is_refused_and_the_first_leaves_it_drained() {
    let folder = tempfile::tempdir().unwrap();
    let url = bank(folder.path());
    assert!(run(&["init", &url]).status.success());
    let first = daemon(folder.path());
    ask(&first, &["put", "payment:1", r#"{"amount":100}"#]);
    let config = folder.path().join("throughline.toml");
    let drain = ["drain", "--config", config.to_str().unwrap()];
    let refused = run(&drain);
    assert!(!refused.status.success(), "{}", stdout(&refused));
    first.kill();
    assert!(rows(folder.path()).is_empty());
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("write-behind", "write-through").replace("behind = {", "# {"))
        .unwrap();
    let changed = run(&["serve", "--config", config.to_str().unwrap()]);
    assert!(stderr(&changed).contains("holds accepted writes"), "{}", stderr(&changed));
    std::fs::write(&config, text).unwrap();
    let drained = run(&drain);
    assert!(drained.status.success(), "{}", stderr(&drained));
    assert_eq!(rows(folder.path()), [(1, 100)], "without a daemon");

    let second = daemon(folder.path());
    ask(&second, &["put", "payment:2", r#"{"amount":5}"#]);
    second.terminate();
    let ended = second.wait_exit(std::time::Duration::from_secs(20)).expect("it ends");
    assert!(ended.success(), "{}", second.log());
    assert_eq!(rows(folder.path()), [(1, 100), (2, 5)], "a daemon that is stopped drains");
}
