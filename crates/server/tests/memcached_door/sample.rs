// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sample database behind the door: a real SQLite file, as `throughline serve` has it.

use std::net::Ipv4Addr;
use std::time::Duration;

use throughline::Assembly;
use throughline::config::Settings;
use throughline_server::memcached::{MemcachedDoor, serve_memcached};
use throughline_server::{Listener, Shutdown};
use throughline_testkit::Scratch;
use tokio::task::JoinSet;

use crate::bench::Peer;

struct Sample {
    peer: Peer,
    _serving: JoinSet<bool>,
    _folder: Scratch,
}

async fn sample() -> Sample {
    let folder = Scratch::new();
    let throughline =
        Assembly::new(Settings::sample(folder.path().to_owned())).open().await.expect("a sample database");
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), 10).await.expect("a free port");
    let address = listener.address();
    let mut serving = JoinSet::new();
    let shutdown = Shutdown::new(Duration::from_secs(1));
    serving.spawn(serve_memcached(listener, throughline, MemcachedDoor::default(), shutdown));
    Sample { peer: Peer::connect(address).await, _serving: serving, _folder: folder }
}

fn set(command: &str, key: &str, value: &str, cas: &str) -> String {
    format!("{command} {key} 0 0 {}{cas}\r\n{value}\r\n", value.len())
}

fn value(key: &str, value: &str) -> String {
    format!("VALUE {key} 0 {}\r\n{value}\r\nEND\r\n", value.len())
}

#[tokio::test]
async fn a_row_is_read_written_and_removed() {
    let mut sample = sample().await;
    let peer = &mut sample.peer;
    let ada = r#"{"id":1,"first_name":"Ada","last_name":"Lovelace"}"#;
    for _ in 0..2 {
        assert_eq!(peer.ask("get person:1\r\n").await, value("person:1", ada));
    }
    let nobody = r#"{"first_name":"No","last_name":"Body"}"#;
    let king = r#"{"id":1,"first_name":"Ada","last_name":"King"}"#;
    assert_eq!(peer.ask(set("set", "person:1", king, "")).await, "STORED\r\n");
    assert_eq!(peer.ask("get person:1\r\n").await, value("person:1", king));
    assert_eq!(peer.ask(set("add", "person:1", ada, "")).await, "NOT_STORED\r\n");
    assert_eq!(peer.ask(set("replace", "person:99", nobody, "")).await, "NOT_STORED\r\n");
    assert_eq!(
        peer.ask("delete person:1\r\nget person:1\r\ndelete person:1\r\n").await,
        "DELETED\r\nEND\r\nNOT_FOUND\r\n"
    );
}

#[tokio::test]
async fn a_row_is_stored_only_over_the_version_that_was_read() {
    let mut sample = sample().await;
    let peer = &mut sample.peer;
    let read = peer.ask("gets product:1\r\n").await;
    let cas = read.lines().next().and_then(|line| line.rsplit_once(' ')).expect("a VALUE line").1;
    let cas = format!(" {cas}");
    let sold = r#"{"name":"Lamp","price":39.5,"stock":11}"#;
    assert_eq!(peer.ask(set("cas", "product:1", sold, &cas)).await, "STORED\r\n");
    assert_eq!(peer.ask(set("cas", "product:1", sold, &cas)).await, "EXISTS\r\n");
    assert_eq!(peer.ask(set("cas", "product:99", sold, &cas)).await, "NOT_FOUND\r\n");
    let stored = r#"{"id":1,"name":"Lamp","price":39.5,"stock":11}"#;
    assert_eq!(peer.ask("get product:1\r\n").await, value("product:1", stored));
}

#[tokio::test]
async fn a_value_that_does_not_fit_names_its_column_and_not_itself() {
    let mut sample = sample().await;
    let peer = &mut sample.peer;
    for (column, wrong) in [
        ("price", r#"{"name":"Lamp","price":"a-secret","stock":1}"#),
        ("stock", r#"{"name":"Lamp","price":1,"stock":1.5}"#),
        ("colour", r#"{"name":"Lamp","price":1,"colour":"a-secret"}"#),
        ("name", r#"{"name":null,"price":1}"#),
    ] {
        let answer = peer.ask(set("set", "product:1", wrong, "")).await;
        assert!(answer.starts_with("CLIENT_ERROR ") && answer.contains(column), "{answer}");
        assert!(!answer.contains("a-secret") && answer.len() < 420, "{answer}");
    }
    let answer = peer.ask(set("set", "product:1", "no JSON", "")).await;
    assert!(answer.starts_with("CLIENT_ERROR "), "{answer}");
    assert!(peer.ask("get product:1\r\n").await.contains(r#""price":39.5"#));
}

#[tokio::test]
async fn a_key_of_the_wrong_type_is_the_clients_error() {
    let mut sample = sample().await;
    let peer = &mut sample.peer;
    for key in ["person:abc", "person:1:2", "person:1.5", "person:1'%20OR%201=1"] {
        let answer = peer.ask(format!("get {key}\r\n")).await;
        assert!(answer.starts_with("CLIENT_ERROR "), "{key}: {answer}");
    }
    assert_eq!(peer.ask("get person:0001\r\n").await.matches("VALUE person:0001 0 ").count(), 1);
}

#[tokio::test]
async fn a_hundred_keys_come_in_one_answer() {
    let mut sample = sample().await;
    let peer = &mut sample.peer;
    let puts: String = (100..200)
        .map(|id| set("set", &format!("product:{id}"), r#"{"name":"Box","price":1.5}"#, ""))
        .collect();
    assert_eq!(peer.ask(puts).await, "STORED\r\n".repeat(100));
    peer.ask("flush_all\r\n").await;
    let keys: String = (100..201).map(|id| format!(" product:{id}")).collect();
    let answer = peer.ask(format!("get{keys}\r\n")).await;
    assert_eq!(answer.matches("VALUE ").count(), 100);
    let stats = peer.ask("stats\r\n").await;
    assert!(stats.contains("STAT resource.product.loads 1\r\n"), "{stats}");
}
