// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tests may rely on when `testkit` starts a server for them.

#![allow(clippy::disallowed_methods, reason = "these tests watch processes of the operating system")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use throughline_testkit::{
    Daemon, DaemonOptions, Listener, Mariadb, MariadbOptions, Memcached, MemcachedOptions, Postgres,
    PostgresOptions,
};

/// Sends one command to a memcached and returns the first line of its answer.
fn ask(address: SocketAddr, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    stream.write_all(command.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn is_running(pid: u32) -> bool {
    // A zombie still has its folder there, but no program any more.
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// Waits for a condition that the operating system brings about in its own time.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let start = std::time::Instant::now();
    while !condition() {
        if start.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_started_memcached_answers() {
    let memcached = Memcached::start(MemcachedOptions::default());
    assert_eq!(ask(memcached.address(), "set k 0 0 1\r\nv\r\n").unwrap(), "STORED");
}

#[test]
fn a_restarted_memcached_is_another_empty_one_on_the_same_port() {
    let memcached = Memcached::start(MemcachedOptions::default());
    let (address, pid) = (memcached.address(), memcached.pid());
    ask(address, "set k 0 0 1\r\nv\r\n").unwrap();
    memcached.restart();
    assert_eq!(ask(address, "get k\r\n").unwrap(), "END");
    assert_ne!(memcached.pid(), pid);
}

#[test]
fn a_killed_memcached_refuses_connections() {
    let memcached = Memcached::start(MemcachedOptions::default());
    memcached.kill();
    assert_eq!(ask(memcached.address(), "version\r\n").unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_paused_memcached_accepts_but_does_not_answer_until_resumed() {
    let memcached = Memcached::start(MemcachedOptions::default());
    memcached.pause();
    let silence = ask(memcached.address(), "version\r\n").unwrap_err();
    assert!(matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    memcached.resume();
    assert!(ask(memcached.address(), "version\r\n").unwrap().starts_with("VERSION "));
}

#[test]
fn a_dropped_memcached_is_gone() {
    let memcached = Memcached::start(MemcachedOptions::default());
    let pid = memcached.pid();
    assert!(is_running(pid));
    drop(memcached);
    assert!(!is_running(pid));
}

#[test]
fn a_paused_memcached_is_gone_when_dropped() {
    let memcached = Memcached::start(MemcachedOptions::default());
    let pid = memcached.pid();
    memcached.pause();
    drop(memcached);
    assert!(!is_running(pid));
}

#[test]
fn memcached_gets_the_arguments() {
    let args = ["-C", "-I", "2m"].map(str::to_owned).to_vec();
    let memcached = Memcached::start(MemcachedOptions { memory_mb: 7, args, ..MemcachedOptions::default() });
    let mut stream = TcpStream::connect(memcached.address()).unwrap();
    stream.write_all(b"stats settings\r\nquit\r\n").unwrap();
    let mut settings = String::new();
    stream.read_to_string(&mut settings).unwrap();
    for setting in ["maxbytes 7340032", "cas_enabled no", "item_size_max 2097152"] {
        assert!(settings.contains(&format!("STAT {setting}\r\n")), "{setting} in {settings}");
    }
}

#[test]
#[should_panic(expected = "memcached ended with exit status: 1 before it was ready; the end of its log:\n")]
fn a_memcached_that_does_not_come_up_panics_with_its_log() {
    Memcached::start(MemcachedOptions { args: vec!["--no-such-option".to_owned()], ..Default::default() });
}

#[test]
fn mariadb_keeps_committed_rows_over_a_kill() {
    for options in [MariadbOptions::default(), MariadbOptions::fast()] {
        let mariadb = Mariadb::start(options);
        mariadb.execute("create table t (id int primary key, name text); insert into t values (1, 'Ada');");
        let (address, pid) = (mariadb.address(), mariadb.pid());
        mariadb.restart();
        assert_eq!(mariadb.execute("select id, name from t"), "1\tAda\n");
        assert_eq!(mariadb.address(), address);
        assert_ne!(mariadb.pid(), pid);
    }
}

#[test]
fn commits_wait_for_the_disk_unless_told_otherwise() {
    let flush = "select @@innodb_flush_log_at_trx_commit";
    assert_eq!(Mariadb::start(MariadbOptions::default()).execute(flush), "1\n");
    assert_eq!(Mariadb::start(MariadbOptions::fast()).execute(flush), "2\n");
}

#[test]
fn the_url_opens_the_database_over_tcp() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    let url = mariadb.create_database("second");
    let (login, rest) = url.strip_prefix("mysql://").unwrap().split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    assert_eq!(rest, format!("{}/second", mariadb.address()));
    let output = Command::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--batch", "--skip-column-names"])
        .arg(format!("--port={}", mariadb.address().port()))
        .args([&format!("--user={user}"), &format!("--password={password}")])
        .args(["--execute=select database(), @@port", "second"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("second\t{}\n", mariadb.address().port()),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn nobody_logs_in_without_a_password() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    let open = "select user, host from mysql.global_priv where \
                json_value(priv, '$.plugin') in ('mysql_native_password', '') \
                and coalesce(json_value(priv, '$.authentication_string'), '') = '' \
                and coalesce(json_value(priv, '$.account_locked'), 'false') = 'false'";
    assert_eq!(mariadb.execute(open), "");
}

#[test]
fn servers_side_by_side_share_no_folder_of_temporary_files() {
    let servers = [Mariadb::start(MariadbOptions::fast()), Mariadb::start(MariadbOptions::fast())];
    let [first, second] = servers.map(|server| server.execute("select @@tmpdir"));
    assert_ne!(first, second);
}

#[test]
fn a_killed_mariadb_refuses_connections() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    mariadb.kill();
    assert_eq!(TcpStream::connect(mariadb.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_paused_mariadb_greets_nobody_until_resumed() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    mariadb.pause();
    let mut stream = TcpStream::connect(mariadb.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(stream.read_exact(&mut [0]).is_err());
    mariadb.resume();
    assert_eq!(mariadb.execute("select 1"), "1\n");
}

#[test]
fn a_dropped_mariadb_is_gone_with_its_folder() {
    let mariadb = Mariadb::start(MariadbOptions::fast());
    let (pid, socket) = (mariadb.pid(), mariadb.socket());
    assert!(is_running(pid) && socket.exists());
    drop(mariadb);
    assert!(!is_running(pid));
    assert!(!socket.parent().is_some_and(Path::exists));
}

#[test]
#[should_panic(expected = "You have an error in your SQL syntax")]
fn a_wrong_statement_panics_with_the_servers_words() {
    Mariadb::start(MariadbOptions::fast()).execute("selct 1");
}

/// A program that prints what a daemon prints; the real one is tested with the real one.
fn stand_in(script: &str) -> DaemonOptions {
    DaemonOptions::new("/bin/sh", &["-c", script])
}

const PRINT: &str = "echo 'memcached  127.0.0.1:11311'; echo 'http       http://127.0.0.1:8311';";

#[test]
fn a_daemons_addresses_are_read_from_its_output() {
    let daemon = Daemon::start(stand_in(&format!("{PRINT} sleep 60")));
    assert_eq!(daemon.address(Listener::Memcached).port(), 11311);
    assert_eq!(daemon.address(Listener::Http).port(), 8311);
}

#[test]
fn a_terminated_daemon_ends_in_its_own_way() {
    let daemon = Daemon::start(stand_in(&format!(
        "trap 'echo bye; exit 7' TERM; {PRINT} while :; do sleep 0.01; done"
    )));
    assert_eq!(daemon.wait_exit(Duration::ZERO), None);
    daemon.terminate();
    assert_eq!(daemon.wait_exit(Duration::from_secs(10)).and_then(|status| status.code()), Some(7));
    assert!(daemon.output().ends_with("bye\n"));
}

#[test]
fn a_daemon_sees_its_environment_and_not_the_callers() {
    let mut options = stand_in(&format!("{PRINT} echo \"$THROUGHLINE_TOKEN\"; sleep 60"));
    options.env.push(("THROUGHLINE_TOKEN".to_owned(), "given".to_owned()));
    let daemon = Daemon::start(options);
    assert!(eventually(|| daemon.output().contains("given\n")));
}

#[test]
#[should_panic(expected = "no such resource")]
fn a_daemon_that_does_not_come_up_panics_with_its_words() {
    Daemon::start(stand_in("echo 'no such resource' >&2; exit 2"));
}

/// Runs [`servers_for_a_victim`] in a process of its own, which is killed while its servers run.
#[test]
fn servers_die_with_a_killed_test_process() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers_for_a_victim", "--nocapture", "--test-threads=1"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    let pids: Vec<u32> = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            line.strip_prefix("pids ").map(|pids| pids.split(' ').map(|pid| pid.parse().unwrap()).collect())
        })
        .unwrap();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|&pid| is_running(pid)));
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(eventually(|| !pids.iter().any(|&pid| is_running(pid))));
}

const VICTIM: &str = "THROUGHLINE_TESTKIT_VICTIM";

/// Not a promise of its own: what [`servers_die_with_a_killed_test_process`] kills. The servers are started by a
/// thread that ends, as the test harness's threads do, and must survive that.
#[test]
fn servers_for_a_victim() {
    let start = || {
        let memcached = Memcached::start(MemcachedOptions::default());
        (memcached, Mariadb::start(MariadbOptions::fast()), Postgres::start(PostgresOptions::fast()))
    };
    let (memcached, mariadb, postgres) = std::thread::spawn(start).join().unwrap();
    assert!(ask(memcached.address(), "version\r\n").unwrap().starts_with("VERSION "));
    assert_eq!(mariadb.execute("select 1"), "1\n");
    assert_eq!(postgres.execute("select 1"), "1\n");
    if std::env::var_os(VICTIM).is_some() {
        println!("\npids {} {} {}", memcached.pid(), mariadb.pid(), postgres.pid());
        std::thread::park();
    }
}
