// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tests may rely on when `testkit` starts a PostgreSQL for them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use throughline_testkit::{Postgres, PostgresOptions};

fn is_running(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

#[test]
fn committed_rows_are_kept_over_a_kill() {
    for options in [PostgresOptions::default(), PostgresOptions::fast()] {
        let postgres = Postgres::start(options);
        postgres.execute("create table t (id int primary key, name text); insert into t values (1, 'Ada');");
        let (address, pid) = (postgres.address(), postgres.pid());
        postgres.restart();
        assert_eq!(postgres.execute("select id, name from t"), "1\tAda\n");
        assert_eq!(postgres.address(), address);
        assert_ne!(postgres.pid(), pid);
    }
}

#[test]
fn commits_wait_for_the_disk_unless_told_otherwise() {
    let fsync = "select current_setting('fsync')";
    assert_eq!(Postgres::start(PostgresOptions::default()).execute(fsync), "on\n");
    assert_eq!(Postgres::start(PostgresOptions::fast()).execute(fsync), "off\n");
}

#[test]
fn a_new_database_has_a_url_of_its_own() {
    let postgres = Postgres::start(PostgresOptions::fast());
    let url = postgres.create_database("second");
    assert!(url.ends_with(&format!("@{}/second", postgres.address())), "{url}");
    assert_eq!(postgres.execute_in("second", "select current_database()"), "second\n");
}

#[test]
fn a_killed_server_refuses_connections() {
    let postgres = Postgres::start(PostgresOptions::fast());
    postgres.kill();
    assert_eq!(TcpStream::connect(postgres.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_paused_server_answers_nobody_until_resumed() {
    let postgres = Postgres::start(PostgresOptions::fast());
    postgres.pause();
    let mut stream = TcpStream::connect(postgres.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // The question whether TLS is spoken, which a server answers at once.
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    assert!(stream.read_exact(&mut [0]).is_err());
    postgres.resume();
    assert_eq!(postgres.execute("select 1"), "1\n");
}

#[test]
fn a_dropped_server_is_gone_with_its_folder() {
    let postgres = Postgres::start(PostgresOptions::fast());
    let (pid, data) = (postgres.pid(), postgres.data());
    assert!(is_running(pid) && data.exists());
    drop(postgres);
    assert!(!is_running(pid));
    assert!(!data.exists());
}

#[test]
#[should_panic(expected = "syntax error")]
fn a_wrong_statement_panics_with_the_servers_words() {
    Postgres::start(PostgresOptions::fast()).execute("selct 1");
}
