// SPDX-License-Identifier: MIT OR Apache-2.0
//! The encrypted way to real servers: whom it trusts, and whom it refuses.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails, in helpers too")]

use std::path::PathBuf;
use std::sync::Arc;

use throughline_core::{Error, ErrorKind, Intent, Key, Loader, Result, Sent};
use throughline_sources::mysql::{MysqlConfig, MysqlSource};
use throughline_sources::postgres::{PostgresConfig, PostgresSource};
use throughline_sources::sql::TableMapping;
use throughline_sources::{Tls, TlsMode};
use throughline_testkit::{
    Authority, Certificate, Mariadb, MariadbOptions, Postgres, PostgresOptions, Scratch, TestTasks,
};

const SCHEMA: &str = "create table t (id int primary key); insert into t values (1)";

fn tls(mode: TlsMode, ca_file: Option<PathBuf>) -> Tls {
    Tls { mode, ca_file }
}

/// A server of either kind.
#[derive(Clone, Copy)]
enum Server<'a> {
    Postgres(&'a Postgres),
    Mariadb(&'a Mariadb),
}

impl Server<'_> {
    /// Connects this way and reads a row.
    async fn read(self, tls: Tls) -> Result<()> {
        let loader: Arc<dyn Loader> = match self {
            Self::Postgres(server) => {
                let config = PostgresConfig::parse_url(&server.url()).unwrap();
                let config = PostgresConfig { tls, connect_timeout_ms: 60_000, ..config };
                let source = PostgresSource::connect(config, Arc::new(TestTasks)).await?;
                source.resource(&TableMapping::json("t")).await?
            }
            Self::Mariadb(server) => {
                let config = MysqlConfig::parse_url(&server.url()).unwrap();
                let config = MysqlConfig { tls, connect_timeout_ms: 60_000, ..config };
                let source = MysqlSource::connect(config, &TestTasks).await?;
                source.resource(&TableMapping::json("t")).await?
            }
        };
        let intent = Intent { fill: true, sent: Sent::new() };
        let loaded = loader.load(&Key::parse("1").unwrap(), intent).await?;
        assert!(loaded.record.is_some());
        Ok(())
    }

    async fn refusal(self, tls: Tls) -> Error {
        self.read(tls).await.unwrap_err()
    }
}

fn postgres(certificate: Option<&Certificate>) -> Postgres {
    let settings = |certificate: &Certificate| {
        vec![
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificate.certificate.display()),
            format!("ssl_key_file={}", certificate.key.display()),
        ]
    };
    let settings = certificate.map(settings).unwrap_or_default();
    let server = Postgres::start(PostgresOptions { durable: false, settings });
    server.execute(SCHEMA);
    server
}

fn mariadb(certificate: Option<&Certificate>) -> Mariadb {
    let args = match certificate {
        Some(certificate) => vec![
            format!("--ssl-cert={}", certificate.certificate.display()),
            format!("--ssl-key={}", certificate.key.display()),
        ],
        None => vec!["--skip-ssl".to_owned()],
    };
    let server = Mariadb::start(MariadbOptions { durable: false, args });
    server.execute(SCHEMA);
    server
}

/// What must hold for a server whose certificate is by `authority`, for 127.0.0.1.
async fn assert_verified(server: Server<'_>, authority: &Authority) {
    let known = authority.file();
    server.read(tls(TlsMode::Verify, Some(known))).await.unwrap();
    server.read(tls(TlsMode::Require, None)).await.unwrap();
    let other = Authority::new();
    for ca_file in [None, Some(other.file())] {
        let error = server.refusal(tls(TlsMode::Verify, ca_file)).await;
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.detail().contains("an authority that is not known"), "{error}");
    }
    let scratch = Scratch::new();
    std::fs::write(scratch.join("empty.pem"), "no certificate").unwrap();
    for (file, why) in [("none.pem", "cannot be read"), ("empty.pem", "holds no certificate")] {
        let error = server.refusal(tls(TlsMode::Verify, Some(scratch.join(file)))).await;
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.detail().contains(why), "{error}");
    }
}

async fn assert_wrong_name(server: Server<'_>, authority: &Authority) {
    let error = server.refusal(tls(TlsMode::Verify, Some(authority.file()))).await;
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.detail().contains("another host name"), "{error}");
}

async fn assert_without(server: Server<'_>) {
    server.read(tls(TlsMode::Off, None)).await.unwrap();
    for mode in [TlsMode::Require, TlsMode::Verify] {
        let error = server.refusal(tls(mode, None)).await;
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.detail().contains("the server does not encrypt"), "{error}");
    }
}

#[tokio::test]
async fn postgres_is_trusted_by_its_authority_alone() {
    let authority = Authority::new();
    let server = postgres(Some(&authority.sign(&["127.0.0.1", "localhost"])));
    assert_verified(Server::Postgres(&server), &authority).await;
    // From now on the server itself refuses what is not encrypted.
    let rules = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
    server.reload();
    let is_refused = async || Server::Postgres(&server).read(tls(TlsMode::Off, None)).await.err();
    let error = loop {
        // The postmaster reads the file in its own time.
        if let Some(error) = is_refused().await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.detail().contains("tls = \"verify\""), "{error}");
    Server::Postgres(&server).read(tls(TlsMode::Verify, Some(authority.file()))).await.unwrap();
}

#[tokio::test]
async fn mariadb_is_trusted_by_its_authority_alone() {
    let authority = Authority::new();
    let server = mariadb(Some(&authority.sign(&["127.0.0.1", "localhost"])));
    assert_verified(Server::Mariadb(&server), &authority).await;
    server.execute("set global require_secure_transport = on");
    let error = Server::Mariadb(&server).refusal(tls(TlsMode::Off, None)).await;
    assert!(error.detail().contains("tls = \"verify\""), "{error}");
    Server::Mariadb(&server).read(tls(TlsMode::Verify, Some(authority.file()))).await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let certificate = authority.sign(&["db.example"]);
    assert_wrong_name(Server::Postgres(&postgres(Some(&certificate))), &authority).await;
    assert_wrong_name(Server::Mariadb(&mariadb(Some(&certificate))), &authority).await;
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_gets_no_password() {
    assert_without(Server::Postgres(&postgres(None))).await;
    assert_without(Server::Mariadb(&mariadb(None))).await;
}
