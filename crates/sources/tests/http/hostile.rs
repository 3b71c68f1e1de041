// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers that answer what they must not, too slowly, or half.

use std::time::Duration;

use throughline_core::{ErrorKind, Loader as _, Retry, Writer as _};
use throughline_sources::http::HttpConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{key, load, open, put, resource};

/// What a server does with a request once it has read it.
#[derive(Clone)]
enum Does {
    /// Answers these bytes and closes.
    Answers(Vec<u8>),
    /// Answers these bytes and stands still.
    Stalls(Vec<u8>),
    /// Answers one byte of this after the other, slowly, for ever.
    Drips(u8),
}

async fn server(does: Does) -> HttpConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, does.clone()));
        }
    });
    HttpConfig { request_timeout_ms: 300, body_bytes_max: 1_000, ..HttpConfig::parse_url(&url).unwrap() }
}

async fn serve(mut stream: TcpStream, does: Does) {
    let mut request = [0; 4_096];
    let Ok(1..) = stream.read(&mut request).await else { return };
    match does {
        Does::Answers(bytes) => drop(stream.write_all(&bytes).await),
        Does::Stalls(bytes) => {
            let _ = stream.write_all(&bytes).await;
            std::future::pending::<()>().await;
        }
        Does::Drips(byte) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await;
            let mut slowly = tokio::time::interval(Duration::from_millis(20));
            while stream.write_all(&[byte]).await.is_ok() {
                slowly.tick().await;
            }
        }
    }
}

fn answer(head: &str, body: &str) -> Does {
    Does::Answers(format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

async fn load_error(does: Does) -> (ErrorKind, Retry, String) {
    let resource = resource(&open(server(does).await), "/x/{id}");
    let error = load(&resource, "1").await.unwrap_err();
    (error.kind(), error.retry(), error.to_string())
}

#[tokio::test]
async fn garbage_is_corrupt_and_not_asked_for_again() {
    for does in [
        answer("200 OK\r\nContent-Type: application/json", "{\"half\":"),
        answer("200 OK\r\nContent-Type: application/json", "\u{0}\u{1}"),
        answer("200 OK\r\nContent-Type: application/json", "[]"),
        answer("200 OK\r\nContent-Type: text/html", "<html>s3cret</html>"),
        answer("200 OK\r\nContent-Encoding: gzip", "{}"),
        answer("204 No Content", ""),
        answer("206 Partial Content", "{}"),
        Does::Answers(b"+OK memcached\r\n".to_vec()),
        Does::Answers(b"HTTP/1.1 banana\r\n\r\n".to_vec()),
        Does::Answers(format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes()),
    ] {
        let (kind, retry, text) = load_error(does).await;
        assert_eq!((kind, retry), (ErrorKind::Corrupt, Retry::Never), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_not_read() {
    let said = answer("200 OK", &"x".repeat(1_001));
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1_000));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let unsaid = Does::Stalls(format!("{head}{}", chunk.repeat(50)).into_bytes());
    let lied = Does::Stalls(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{".to_vec());
    for does in [said, unsaid, lied] {
        let (kind, retry, text) = load_error(does).await;
        assert_eq!((kind, retry), (ErrorKind::TooLarge, Retry::Never), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_stalls_or_drips_is_left_in_time() {
    let began = tokio::time::Instant::now();
    for does in [
        Does::Stalls(Vec::new()),
        Does::Stalls(b"HTTP/1.1 200".to_vec()),
        Does::Stalls(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{".to_vec()),
        Does::Drips(b'a'),
    ] {
        let (kind, retry, text) = load_error(does).await;
        assert_eq!((kind, retry), (ErrorKind::Timeout, Retry::Safe), "{text}");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_that_closes_in_the_middle_is_unavailable() {
    for bytes in ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\""]
    {
        let (kind, retry, text) = load_error(Does::Answers(bytes.as_bytes().to_vec())).await;
        assert_eq!((kind, retry), (ErrorKind::Unavailable, Retry::Safe), "{bytes:?}: {text}");
    }
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/s3cret", elsewhere.local_addr().unwrap());
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let (kind, retry, text) = load_error(answer(&format!("{status}\r\nLocation: {target}"), "")).await;
        assert_eq!((kind, retry), (ErrorKind::Other, Retry::Never), "{text}");
        assert!(text.contains("sends us elsewhere") && !text.contains("s3cret"), "{text}");
    }
    let visited = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(visited.is_err(), "nobody went there");
}

#[tokio::test]
async fn a_write_that_was_answered_took_place_whatever_follows_the_status() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{",
        "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\n<html",
    ] {
        let resource = resource(&open(server(Does::Answers(bytes.into())).await), "/x/{id}");
        resource.prepare(&[put("1", "{}")]).await.unwrap().commit().await.unwrap();
    }
    for bytes in ["", "HTTP/1.1 2", "+OK\r\n"] {
        let resource = resource(&open(server(Does::Answers(bytes.into())).await), "/x/{id}");
        let error = resource.prepare(&[put("1", "{}")]).await.unwrap().commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{bytes:?}: {error}");
    }
}

#[tokio::test]
async fn a_source_survives_what_one_server_answers() {
    let resource = resource(&open(server(answer("200 OK", "{\"a\":")).await), "/x/{id}");
    for _ in 0..20 {
        assert_eq!(load(&resource, "1").await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert!(resource.canonical(&key("1")).is_ok());
}
