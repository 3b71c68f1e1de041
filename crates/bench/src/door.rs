// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hits of 100-byte rows through a memcached door: the table, the requests, and the load that sends them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::Load;

/// How many rows there are.
pub const DOOR_KEYS: usize = 1_000;
/// How many connections the load has.
pub const DOOR_CONNECTIONS: usize = 32;

/// How a request asks for several keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gets {
    /// One `get` for each.
    Single,
    /// One `get` for all.
    Joined,
}

/// The value of a key: a row as JSON, 100 bytes.
fn door_value(key: usize) -> String {
    let value = format!("{{\"id\":{},\"body\":\"{key:->79}\"}}", key + 1_000);
    assert_eq!(value.len(), 100);
    value
}

/// The name of a key at the door.
fn door_name(key: usize) -> String {
    format!("item:{}", key + 1_000)
}

/// Makes the table of these rows in a new SQLite file.
///
/// # Panics
/// When it cannot be made.
pub fn make_door_table(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT; BEGIN")
        .unwrap();
    for key in 0..DOOR_KEYS {
        let row = rusqlite::params![(key + 1_000) as i64, format!("{key:->79}")];
        connection.execute("INSERT INTO item VALUES (?1, ?2)", row).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
}

/// A request for keys.
pub fn door_get(keys: &[usize]) -> Vec<u8> {
    let names: Vec<String> = keys.iter().map(|key| door_name(*key)).collect();
    format!("get {}\r\n", names.join(" ")).into_bytes()
}

/// Stores the value of a key at another door, and waits until it is.
///
/// # Panics
/// When it is not stored.
pub fn door_set(address: SocketAddr, key: usize) {
    let value = door_value(key);
    let request = format!("set {} 0 0 {}\r\n{value}\r\n", door_name(key), value.len());
    assert_eq!(ask_once(address, request.as_bytes()), b"STORED\r\n");
}

/// Sends one request over a connection of its own; its answer, if it comes in one piece.
///
/// # Panics
/// When nobody listens there.
pub fn ask_once(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = vec![0; 4_096];
    let count = stream.read(&mut answer).unwrap();
    answer.truncate(count);
    answer
}

/// A load of hits, `depth` keys at a time.
pub fn door_load(address: SocketAddr, depth: usize, gets: Gets, time: Duration) -> Load {
    // "VALUE item:1000 0 100\r\n" value "\r\n", and "END\r\n" behind each get.
    let hit = "VALUE item:1000 0 100\r\n".len() + 102;
    let requests = (0..DOOR_KEYS).map(|first| {
        let keys: Vec<usize> = (0..depth).map(|place| (first + place * 31) % DOOR_KEYS).collect();
        match gets {
            Gets::Joined => (door_get(&keys), depth * hit + 5),
            Gets::Single => (keys.iter().flat_map(|key| door_get(&[*key])).collect(), depth * (hit + 5)),
        }
    });
    Load { address, connections: DOOR_CONNECTIONS, depth, requests: requests.collect(), time }
}
