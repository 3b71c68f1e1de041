// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon is killed under load, again and again, and its database now and then; then everything is compared.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use throughline_testkit::{
    Daemon, DaemonOptions, Listener, Mariadb, MariadbOptions, Postgres, PostgresOptions,
};

use crate::{run, stderr};

const KEYS: u64 = 24;
const WRITERS: u64 = 4;

/// What the clients know: of each key the last number that was accepted, and the last that was tried.
#[derive(Default)]
struct Ledger {
    accepted: HashMap<u64, u64>,
    tried: HashMap<u64, u64>,
    count: u64,
}

/// A database with a table `kv(id, n)`, and what it keeps over a kill.
trait Database {
    fn url(&self) -> String;
    fn execute(&self, sql: &str) -> String;
    fn restart(&self);
}

impl Database for Mariadb {
    fn url(&self) -> String {
        self.create_database("shop")
    }

    fn execute(&self, sql: &str) -> String {
        self.execute(&format!("use shop; {sql}"))
    }

    fn restart(&self) {
        self.kill();
        self.restart();
    }
}

impl Database for Postgres {
    fn url(&self) -> String {
        self.url()
    }

    fn execute(&self, sql: &str) -> String {
        self.execute(sql)
    }

    fn restart(&self) {
        self.kill();
        self.restart();
    }
}

fn start(folder: &Path, url: &str) -> Daemon {
    let config = folder.join("throughline.toml");
    let mut text = String::new();
    writeln!(
        text,
        "data_dir = {:?}\n[sources.shop]\nurl = \"{url}\"\n[resources.kv]\nsource = \"shop\"\naccess = \"write\"\n\
         write = \"write-behind\"\nbehind = {{ delay = \"20ms\" }}",
        folder.join("data")
    )
    .unwrap();
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let args = ["serve", "--config", config, "--http", "127.0.0.1:0", "--memcached", "none"];
    let options = DaemonOptions::new(env!("CARGO_BIN_EXE_throughline"), &args);
    Daemon::start(DaemonOptions { listeners: vec![Listener::Http], ..options })
}

/// Writes growing numbers until the daemon does not answer any more, or it is told to stop.
fn write(server: &str, writer: u64, next: &AtomicU64, ledger: &Mutex<Ledger>, stop: &AtomicBool) {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10)));
    let agent: ureq::Agent = config.http_status_as_error(false).build().into();
    while !stop.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        // Each key has one writer, so its last number is known.
        let key = number % (KEYS / WRITERS) * WRITERS + writer;
        ledger.lock().unwrap().tried.insert(key, number);
        let put = agent.put(format!("{server}/v1/kv/{key}")).header("content-type", "application/json");
        match put.send(format!("{{\"n\":{number}}}")) {
            Ok(answer) if answer.status().as_u16() == 202 => {
                let mut ledger = ledger.lock().unwrap();
                ledger.accepted.insert(key, number);
                ledger.count += 1;
            }
            Ok(answer) => panic!("{}", answer.status()),
            Err(_) => return,
        }
    }
}

fn rounds(database: &impl Database, rounds: u64, kills_database: bool) {
    let folder = tempfile::tempdir().unwrap();
    let url = database.url();
    database.execute("CREATE TABLE kv (id bigint PRIMARY KEY, n bigint NOT NULL)");
    let init = run(&["init", &url]);
    assert!(init.status.success(), "{}", stderr(&init));
    let (ledger, next) = (Mutex::new(Ledger::default()), AtomicU64::new(1));
    let mut daemon = start(folder.path(), &url);
    for round in 0..rounds {
        let server = format!("http://{}", daemon.address(Listener::Http));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (server, next, ledger, stop) = (&server, &next, &ledger, &stop);
                scope.spawn(move || write(server, writer, next, ledger, stop));
            }
            // The moment is by chance: when so many writes more were accepted.
            let until = ledger.lock().unwrap().count + 40 + round * 37 % 200;
            while ledger.lock().unwrap().count < until {
                std::thread::yield_now();
            }
            if kills_database && round % 5 == 4 {
                database.restart();
            }
            daemon.kill();
            stop.store(true, Ordering::SeqCst);
        });
        daemon = start(folder.path(), &url);
        check_reads(&daemon, &ledger.lock().unwrap());
    }
    let server = format!("http://{}", daemon.address(Listener::Http));
    let drained = run(&["drain", "--server", &server]);
    assert!(drained.status.success(), "{}", stderr(&drained));
    let listed = run(&["journal", "list", "kv", "--server", &server]);
    assert!(crate::stdout(&listed).contains("0 pending, 0 dead letters"), "{}", crate::stdout(&listed));
    let ledger = ledger.into_inner().unwrap();
    assert!(ledger.count > rounds * 40);
    for (key, accepted) in &ledger.accepted {
        let row = database.execute(&format!("SELECT n FROM kv WHERE id = {key}"));
        let row: u64 = row.trim().parse().unwrap_or_default();
        assert!((*accepted..=ledger.tried[key]).contains(&row), "key {key}: accepted {accepted}, row {row}");
    }
}

/// Right after a start readers see what was accepted, or a later write whose answer never came.
fn check_reads(daemon: &Daemon, ledger: &Ledger) {
    let server = format!("http://{}", daemon.address(Listener::Http));
    for (key, accepted) in &ledger.accepted {
        let mut answer = ureq::get(format!("{server}/v1/kv/{key}")).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        let seen = record["n"].as_u64().unwrap();
        assert!(
            (*accepted..=ledger.tried[key]).contains(&seen),
            "key {key}: accepted {accepted}, seen {seen}"
        );
    }
}

#[test]
fn nothing_accepted_is_lost_over_twenty_kills_of_the_daemon_and_four_of_mariadb() {
    rounds(&Mariadb::start(MariadbOptions::fast()), 20, true);
}

#[test]
fn nothing_accepted_is_lost_over_twenty_kills_of_the_daemon_and_four_of_postgresql() {
    rounds(&Postgres::start(PostgresOptions::fast()), 20, true);
}
