// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that cannot be made say why and what to do.

use throughline_core::{Error, ErrorKind};
use throughline_sources::Password;
use throughline_testkit::free_port;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::fixture::{config_of, server};
use crate::server::{Config, NAME, connect};

fn config() -> Config {
    config_of(&server().url())
}

/// The error of a connection with changed settings.
pub(crate) async fn refused(change: impl FnOnce(&mut Config)) -> Error {
    let mut config = config();
    change(&mut config);
    connect(config).await.unwrap_err()
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_not_repeated() {
    let error = refused(|config| config.password = Password::new("geheim")).await;
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.detail().contains("correct user and password"), "{error}");
    assert!(!format!("{error:?}").contains("geheim"));
}

#[tokio::test]
async fn what_is_printed_of_a_source_hides_the_password() {
    let config = config();
    let password = server().url().split([':', '@']).nth(2).unwrap().to_owned();
    let source = connect(config).await.unwrap();
    let shown = format!("{source:?}");
    assert!(shown.contains("throughline") && !shown.contains(&password), "{shown}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let error = refused(|config| config.database = "nowhere".into()).await;
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.detail().contains("no database `nowhere`"), "{error}");
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_unavailable() {
    let error = refused(|config| config.port = free_port()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.detail().contains("start the server"), "{error}");
}

#[tokio::test]
async fn a_server_that_speaks_otherwise_is_not_taken_for_a_database() {
    for greeting in ["SSH-2.0-OpenSSH_9.2\r\n", "\x05\0\0\0nopes", "\x01\0\0\0\x0a", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
        };
        let refusal = refused(|config| {
            config.port = port;
            config.connect_timeout_ms = 500;
        });
        let (error, ()) = tokio::join!(refusal, serve);
        let expected = [ErrorKind::Configuration, ErrorKind::Unavailable];
        assert!(expected.contains(&error.kind()), "{greeting:?}: {error}");
        assert!(error.detail().contains(NAME), "{greeting:?}: {error}");
    }
}
