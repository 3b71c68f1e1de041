// SPDX-License-Identifier: MIT OR Apache-2.0
//! Thousands of idle connections. A process of its own, because it counts the process's memory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use throughline::{MonotonicClock, Throughline, TrackedTasks};
use throughline_caches::{PlainMemory, PlainMemoryConfig};
use throughline_server::memcached::{MemcachedDoor, serve_memcached};
use throughline_server::{Listener, Shutdown};

const CONNECTIONS: usize = 5_000;
/// A connection's task and its registration with the poller take about 1 KiB; a buffer alone would take 16.
const BYTES_EACH_MAX: usize = 4 * 1024;

#[test]
fn five_thousand_idle_connections_cost_little_and_leave_room_for_work() {
    allow_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let shutdown = Shutdown::new(Duration::from_secs(10));
    let listener = runtime
        .block_on(Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), Listener::CONNECTIONS_MAX))
        .expect("a free port");
    let address = listener.address();
    let plain = PlainMemory::new(&PlainMemoryConfig::default(), Arc::new(MonotonicClock));
    let tasks = TrackedTasks::new(runtime.handle().clone());
    let throughline = Throughline::new(Vec::new(), Some(Arc::new(plain)), Vec::new, tasks, Vec::new());
    let serving =
        runtime.spawn(serve_memcached(listener, throughline, MemcachedDoor::default(), shutdown.clone()));

    // The first ones make the pools and tables that all share.
    let warm: Vec<TcpStream> = (0..64).map(|_| knock(address)).collect();
    let before = resident_bytes();
    let idle: Vec<TcpStream> = (0..CONNECTIONS).map(|_| knock(address)).collect();
    let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
    assert!(each <= BYTES_EACH_MAX, "{each} bytes for each idle connection");

    for mut stream in idle.iter().step_by(500) {
        assert_eq!(ask(&mut stream, "set k 0 0 1\r\nx\r\n"), "STORED\r\n");
        assert_eq!(ask(&mut stream, "mg k\r\n"), "HD\r\n");
    }
    shutdown.begin();
    runtime.block_on(serving).expect("the door closes without a panic");
    drop((warm, idle));
}

/// Connects, and asks once, so that the connection has had buffers.
fn knock(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the door listens");
    assert_eq!(ask(&mut &stream, "mn\r\n"), "MN\r\n");
    stream
}

fn ask(stream: &mut &TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("the connection lives");
    let mut line = String::new();
    BufReader::new(*stream).read_line(&mut line).expect("an answer");
    line
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * rustix::param::page_size()
}

/// Both ends of every connection are files of this process.
fn allow_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .expect("up to the hard limit is allowed");
    let wanted = 2 * CONNECTIONS as u64 + 500;
    assert!(maximum.is_none_or(|maximum| maximum >= wanted), "this test needs {wanted} open files");
}
