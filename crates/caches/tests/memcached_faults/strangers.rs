// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers that will not do: wrongly started, or no memcached at all.

use std::net::SocketAddr;

use throughline_caches::MemcachedConfig;
use throughline_core::{Cache, Error, ErrorKind, NodeId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::house::{cache_on, eventually, patient, put, read, slot, started};

/// What the probe says, and then a call.
async fn refused(config: MemcachedConfig) -> (Error, Error) {
    let cache = cache_on(config);
    let probed = cache.probe().await.expect_err("this server will not do");
    let called = cache.get(&slot("a")).await.expect_err("this server will not do");
    (probed, called)
}

/// Checks that both say what was found and what to do, and that the call is told to go on without.
fn says((probed, called): (Error, Error), kind: ErrorKind, words: &[&str]) {
    assert_eq!(probed.kind(), kind, "{probed}");
    assert_eq!(called.kind(), ErrorKind::Unavailable, "{called}");
    for word in words {
        assert!(probed.detail().contains(word), "{probed}");
        assert!(called.detail().contains(word), "{called}");
    }
}

#[tokio::test]
async fn a_server_without_cas_numbers_is_refused() {
    let server = started(&["-C"]);
    says(
        refused(patient(server.address())).await,
        ErrorKind::Configuration,
        &["1.6.18", "start it without -C"],
    );
}

#[tokio::test]
async fn a_server_that_survives_restarts_is_refused() {
    let server = started(&["-e", "contents"]);
    says(
        refused(patient(server.address())).await,
        ErrorKind::Configuration,
        &["1.6.18", "start it without -e"],
    );
}

#[tokio::test]
async fn a_server_that_keeps_values_on_disk_is_refused() {
    let server = started(&["-o", "ext_path=values:64m"]);
    says(refused(patient(server.address())).await, ErrorKind::Configuration, &["start it without ext_path"]);
}

/// A server that treats every connection in its own way.
async fn stranger<F>(mut treat: impl FnMut(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(treat(stream));
        }
    });
    address
}

/// A server that reads a little, answers always the same, and closes.
async fn answering(answer: &'static [u8]) -> SocketAddr {
    stranger(async move |mut stream: TcpStream| {
        let mut request = [0; 64];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer).await;
    })
    .await
}

#[tokio::test]
async fn what_is_no_memcached_is_named() {
    let http = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
    let mariadb = b"Y\0\0\0\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x04\0\0\0abcdefgh\0mysql_native_password\0";
    let redis = b"-ERR unknown command 'version', with args beginning with: \r\n";
    for (answer, name) in [
        (&http[..], "an HTTP server"),
        (mariadb, "a MySQL or MariaDB server"),
        (redis, "a Redis server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH server"),
        (b"\xff\x00\x80 junk", "something else"),
        (b"VERSION 1.6.18\r\nERROR\r\n", "a part of memcached's protocol"),
    ] {
        let config = patient(answering(answer).await);
        says(refused(config).await, ErrorKind::Configuration, &[name, "11211"]);
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let old =
        answering(b"VERSION 1.5.22\r\nEND\r\nSTAT item_size_max 1048576\r\nSTAT cas_enabled yes\r\nEND\r\n")
            .await;
    says(refused(patient(old)).await, ErrorKind::Configuration, &["1.5.22", "too old", "1.6.18 or newer"]);
}

#[tokio::test]
async fn a_server_that_wants_a_password_is_refused() {
    let address = answering(b"CLIENT_ERROR unauthenticated\r\nCLIENT_ERROR unauthenticated\r\n").await;
    says(refused(patient(address)).await, ErrorKind::Denied, &["password"]);
}

#[tokio::test]
async fn silence_is_told_from_a_refusal() {
    let silent = stranger(async |stream: TcpStream| {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let config = MemcachedConfig { connect_timeout_ms: 100, ..patient(silent) };
    says(refused(config).await, ErrorKind::Unavailable, &["did not answer within 100 ms"]);

    let closing = stranger(async |stream: TcpStream| drop(stream)).await;
    let (probed, _) = refused(patient(closing)).await;
    assert_eq!(probed.kind(), ErrorKind::Unavailable, "{probed}");
}

const ADMITTED: &[u8] =
    b"VERSION 1.6.18\r\nEND\r\nSTAT item_size_max 1048576\r\nSTAT cas_enabled yes\r\nEND\r\n\
    VA 16 f0 c1 t-1 O1\r\n00000001deadbeef\r\n";

/// A server that is admitted, answers the first request by `answer`, and stays.
async fn misbehaving(answer: &'static [u8]) -> SocketAddr {
    stranger(async move |mut stream: TcpStream| {
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(ADMITTED).await;
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer).await;
        std::future::pending().await
    })
    .await
}

#[tokio::test]
async fn an_answer_out_of_step_ends_the_connection_before_anybody_gets_it() {
    for answer in [
        &b"VA 0 f0 c1 t5 W O999\r\n\r\n"[..],
        b"VA 0 f0 c1 t5 W\r\n\r\n",
        b"HD O2\r\n",
        b"STORED\r\n",
        b"CLIENT_ERROR bad data chunk\r\n",
        b"junk\r\n",
        b"VA 99999999999 f0 c1 t5 O1\r\n",
    ] {
        let cache = cache_on(MemcachedConfig { connections: 1, ..patient(misbehaving(answer).await) });
        cache.probe().await.expect("it pretends well");
        let error = cache.get(&slot("a")).await.expect_err("this is no answer");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        eventually("it connects anew", async || (read(&cache.stats(NodeId(0)).connects) > 1).then_some(()))
            .await;
    }
}

#[tokio::test]
async fn two_servers_are_two_caches() {
    let servers = [started(&[]), started(&[])];
    let [a, b] = [0, 1].map(|n: usize| cache_on(patient(servers[n].address())));
    a.probe().await.expect("the server was just started");
    b.probe().await.expect("the server was just started");
    put(&a, &slot("a"), "v").await;
    assert_eq!(b.peek(&slot("a")).await.expect("a healthy server"), None);
}
