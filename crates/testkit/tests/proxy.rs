// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every way in which the proxy breaks a connection, against a real memcached.

#![allow(clippy::unwrap_used, reason = "a test's helpers panic with it")]

use std::io::{ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use throughline_testkit::{Memcached, MemcachedOptions, Proxy, Way};

/// Longer than any answer on loopback takes.
const PATIENCE: Duration = Duration::from_millis(300);

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What the server says to `mn`, the shortest question.
fn ask(stream: &mut TcpStream) -> Result<[u8; 4]> {
    stream.write_all(b"mn\r\n")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).map(|()| answer)
}

fn is_late(answer: Result<[u8; 4]>) -> bool {
    answer.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn is_broken(answer: Result<[u8; 4]>) -> bool {
    answer.is_err_and(|error| !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn started() -> (Memcached, Proxy) {
    let server = Memcached::start(MemcachedOptions::default());
    let proxy = Proxy::start(server.address());
    (server, proxy)
}

#[test]
fn an_open_way_passes_both_directions_and_a_silent_one_passes_late() {
    let (_server, proxy) = started();
    let mut stream = connect(&proxy);
    assert_eq!(&ask(&mut stream).unwrap(), b"MN\r\n");
    proxy.set(Way::Silent);
    assert!(is_late(ask(&mut stream)));
    proxy.heal();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"MN\r\n");
}

#[test]
fn a_half_open_way_carries_requests_out_and_brings_no_answer() {
    let (server, proxy) = started();
    let mut stream = connect(&proxy);
    ask(&mut stream).unwrap();
    proxy.set(Way::HalfOpen);
    stream.write_all(b"ms k 1 T100\r\nv\r\n").unwrap();
    assert!(is_late(ask(&mut stream)));
    let direct = Proxy::start(server.address());
    let mut direct = connect(&direct);
    direct.write_all(b"mg k v\r\n").unwrap();
    let mut answer = [0; 9];
    direct.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"VA 1\r\nv\r\n");
}

#[test]
fn a_cut_way_resets_connections_and_makes_no_new_one() {
    let (_server, proxy) = started();
    let mut stream = connect(&proxy);
    ask(&mut stream).unwrap();
    proxy.set(Way::Cut);
    assert!(is_broken(ask(&mut stream)));
    assert!(TcpStream::connect(proxy.address()).and_then(|mut stream| ask(&mut stream)).is_err());
    proxy.heal();
    assert_eq!(&ask(&mut connect(&proxy)).unwrap(), b"MN\r\n");
}

#[test]
fn a_reset_strikes_present_connections_only() {
    let (_server, proxy) = started();
    let mut stream = connect(&proxy);
    ask(&mut stream).unwrap();
    proxy.reset();
    assert!(is_broken(ask(&mut stream)));
    assert_eq!(&ask(&mut connect(&proxy)).unwrap(), b"MN\r\n");
}

#[test]
fn a_slow_way_takes_its_time_both_ways() {
    let (_server, proxy) = started();
    let mut stream = connect(&proxy);
    ask(&mut stream).unwrap();
    proxy.set(Way::Slow(PATIENCE * 2 / 3));
    assert!(is_late(ask(&mut stream)));
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"MN\r\n");
}

#[test]
fn a_trap_springs_once_before_or_after_its_text_has_arrived() {
    let (server, proxy) = started();
    let seen = |key: &str| {
        let direct = Proxy::start(server.address());
        let mut stream = connect(&direct);
        stream.write_all(format!("mg {key} v\r\n").as_bytes()).unwrap();
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).unwrap();
        &answer == b"VA"
    };
    for (key, passes) in [("before", false), ("after", true)] {
        let mut stream = connect(&proxy);
        ask(&mut stream).unwrap();
        if passes {
            proxy.cut_after(key.as_bytes())
        } else {
            proxy.cut_before(key.as_bytes())
        }
        stream.write_all(format!("ms {key} 1 T100\r\nv\r\n").as_bytes()).unwrap();
        assert!(is_broken(stream.read_exact(&mut [0; 4]).map(|()| [0; 4])));
        assert!(!proxy.is_armed());
        assert_eq!(seen(key), passes, "{key}");
        assert_eq!(&ask(&mut connect(&proxy)).unwrap(), b"MN\r\n");
    }
}
