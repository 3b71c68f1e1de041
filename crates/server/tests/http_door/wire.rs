// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is on the wire: heads that are none, limits, and the end.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use throughline_server::http::{HttpDoor, serve_http};
use throughline_server::{Listener, Shutdown};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::house::{ADA, House};

/// Nothing here takes long; a test that waits longer has found a bug.
const PATIENCE: Duration = Duration::from_secs(30);

/// A door that is open on a port, and what is behind it.
struct Open {
    house: House,
    address: SocketAddr,
    shutdown: Shutdown,
    serving: JoinSet<bool>,
}

impl Open {
    async fn with(door: HttpDoor, connections_max: u64) -> Self {
        let house = House::new();
        let listener =
            Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), connections_max).await.expect("a port");
        let address = listener.address();
        let shutdown = Shutdown::new(Duration::from_secs(5));
        let mut serving = JoinSet::new();
        serving.spawn(serve_http(listener, house.throughline.clone(), door, shutdown.clone()));
        Self { house, address, shutdown, serving }
    }

    async fn new() -> Self {
        Self::with(HttpDoor::default(), 100).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the door listens")
    }

    /// Sends `bytes` and returns all that is answered until the door closes the connection.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.expect("the connection takes it");
        rest(&mut stream).await
    }

    async fn closed(mut self) {
        let end = tokio::time::timeout(PATIENCE, self.serving.join_next());
        end.await.expect("the door closes in time").expect("it was served").expect("no panic");
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    read.await.expect("the door closes the connection").expect("no reset");
    String::from_utf8(answer).expect("text")
}

/// Reads until what was read ends with `end`.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer));
        assert_ne!(read.await.expect("an answer in time").expect("no reset"), 0, "{answer:?}");
    }
    String::from_utf8(answer).expect("text")
}

fn head_and_body(answer: &str) -> (&str, &str) {
    answer.split_once("\r\n\r\n").expect("a head and a body")
}

/// Checks that `answer` is one problem document with this status, of the length that it says.
fn assert_problem(answer: &str, status: u16, name: &str) {
    let (head, body) = head_and_body(answer);
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{answer}");
    assert!(head.contains("\r\ncontent-type: application/problem+json"), "{answer}");
    assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{answer}");
    let document: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(
        (&document["status"], &document["type"]),
        (&status.into(), &format!("/problems/{name}").into())
    );
}

#[tokio::test]
async fn bytes_that_are_no_request_are_answered_by_a_problem() {
    let door = Open::new().await;
    let junk: &[&[u8]] = &[
        b"\0\x01\x02\xff\r\n\r\n",
        b"get person:1\r\n",
        b"GET /v1 HTTP/9.9\r\n\r\n",
        b"GET /v1\xff HTTP/1.1\r\n\r\n",
        b"GET /v1/a b HTTP/1.1\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\nno colon\r\n\r\n",
        b"PUT /v1/person/1 HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"PUT /v1/person/1 HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in junk {
        assert_problem(&door.say(bytes).await, 400, "malformed-request");
    }
    assert_eq!(door.house.counter("loads"), 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_by_a_problem() {
    let door = Open::new().await;
    let long_path = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000));
    assert_problem(&door.say(long_path.as_bytes()).await, 431, "headers-too-large");
    let long_header = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(200_000));
    assert_problem(&door.say(long_header.as_bytes()).await, 431, "headers-too-large");
}

#[tokio::test]
async fn too_many_headers_are_answered_by_a_problem() {
    let door = Open::new().await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert_problem(&door.say(many.as_bytes()).await, 431, "headers-too-large");
}

#[tokio::test]
async fn junk_after_a_request_leaves_its_answer_whole() {
    let door = Open::new().await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /v1/person/1 HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(until(&mut stream, ADA).await.starts_with("HTTP/1.1 200 OK\r\n"));
    stream.write_all(b"\xff\xff\r\n\r\n").await.unwrap();
    assert_problem(&rest(&mut stream).await, 400, "malformed-request");
}

#[tokio::test]
async fn a_record_that_looks_like_an_answer_is_sent_as_it_is() {
    let door = Open::new().await;
    let record = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    door.house.note.change_behind("x", Some(record));
    let request = b"GET /v1/note/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = door.say(request).await;
    assert_eq!(head_and_body(&answer).1, record);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let door = Open::new().await;
    let request =
        |key: &str, more: &str| format!("GET /v1/person/{key} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
    let all = [request("1", ""), request("9", ""), request("2", "connection: close\r\n")].concat();
    let answer = door.say(all.as_bytes()).await;
    let places = ["Ada", "not-found", r#"{"id":2}"#].map(|text| answer.find(text).expect("every answer"));
    assert!(places.is_sorted());
}

#[tokio::test]
async fn an_answer_without_a_body_has_none_on_the_wire() {
    let door = Open::new().await;
    let tag = door.house.get("/v1/person/1").await.header("etag").to_owned();
    let say = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n")
    };
    let known = door.say(say("GET /v1/person/1", &format!("if-none-match: {tag}\r\n")).as_bytes()).await;
    let (head, body) = head_and_body(&known);
    assert!(
        head.starts_with("HTTP/1.1 304") && !head.contains("content-length: 0") && body.is_empty(),
        "{known}"
    );
    let length = format!("content-length: {}", ADA.len());
    let head_only = door.say(say("HEAD /v1/person/1", "").as_bytes()).await;
    let (head, body) = head_and_body(&head_only);
    assert!(head.starts_with("HTTP/1.1 200") && head.contains(&length) && body.is_empty(), "{head_only}");
    let gone = door.say(say("DELETE /v1/person/1", "").as_bytes()).await;
    let (head, body) = head_and_body(&gone);
    assert!(
        head.starts_with("HTTP/1.1 204") && !head.contains("content-length") && body.is_empty(),
        "{gone}"
    );
}

#[tokio::test]
async fn a_client_that_asks_first_does_not_send_what_is_too_large() {
    let door = Open::new().await;
    let head = "PUT /v1/person/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 99999999\r\nexpect: 100-continue\r\n\r\n";
    assert_problem(&door.say(head.as_bytes()).await, 413, "too-large");
}

#[tokio::test]
async fn a_client_that_sends_too_much_reads_why() {
    let door = Open::new().await;
    let body = vec![b'x'; 3 * 1024 * 1024];
    let head = format!(
        "PUT /v1/person/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    assert_problem(&door.say(&[head.as_bytes(), &body].concat()).await, 413, "too-large");
}

#[tokio::test]
async fn a_body_that_ends_early_changes_nothing() {
    let door = Open::new().await;
    let mut stream = door.connect().await;
    let half = "PUT /v1/person/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{}";
    stream.write_all(half.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(door.house.person.row("1").unwrap(), ADA);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let door = Open::with(HttpDoor { body_ms_max: 20, ..HttpDoor::default() }, 100).await;
    let half = "PUT /v1/person/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    assert_problem(&door.say(half.as_bytes()).await, 408, "slow-request");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let door = Open::with(HttpDoor { head_ms_max: 20, ..HttpDoor::default() }, 100).await;
    assert_eq!(door.say(b"GET /v1/per").await, "");
    assert_eq!(door.say(b"").await, "");
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_connection() {
    let door = Open::with(HttpDoor { answer_ms_max: 20, ..HttpDoor::default() }, 1).await;
    door.house.note.change_behind("large", Some(&"x".repeat(900_000)));
    let mut greedy = door.connect().await;
    let request = b"GET /v1/note/large HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(40);
    greedy.write_all(&request).await.unwrap();
    // Its place is the only one: another client is let in as soon as it is free.
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let served = async {
        loop {
            let mut stream = door.connect().await;
            let mut answer = Vec::new();
            let asked = stream.write_all(request).await.is_ok();
            if asked && stream.read_to_end(&mut answer).await.is_ok() && answer.ends_with(b"alive\n") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("the place is freed");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let door = Open::with(HttpDoor::default(), 1).await;
    let mut first = door.connect().await;
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&mut first, "alive\n").await;
    let mut second = door.connect().await;
    assert_problem(&rest(&mut second).await, 503, "overloaded");
}

#[tokio::test]
async fn an_idle_connection_ends_with_the_door() {
    let door = Open::new().await;
    let mut idle = door.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&mut idle, "alive\n").await;
    door.shutdown.begin();
    assert_eq!(rest(&mut idle).await, "");
    door.closed().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_door_closes() {
    let door = Open::new().await;
    door.house.person.open_reads(false);
    let mut stream = door.connect().await;
    stream.write_all(b"GET /v1/person/1 HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    while door.house.person.loads() == 0 {
        tokio::task::yield_now().await;
    }
    door.shutdown.begin();
    while TcpStream::connect(door.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    door.house.person.open_reads(true);
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with(ADA), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    door.closed().await;
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let door = Open::with(HttpDoor::default(), 4_000).await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(door.connect().await);
    }
    let answer = door.say(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with("alive\n"));
}
