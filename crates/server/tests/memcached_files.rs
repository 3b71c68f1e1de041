// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running out of file descriptors. A process of its own, because the limit is the process's.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use throughline::{MonotonicClock, Throughline, TrackedTasks};
use throughline_caches::{PlainMemory, PlainMemoryConfig};
use throughline_server::memcached::{MemcachedDoor, serve_memcached};
use throughline_server::{Listener, Shutdown};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

const PEERS: usize = 12;
/// How many connections the door can have.
const FREE: u64 = 3;

#[tokio::test]
async fn without_file_descriptors_the_door_waits_until_some_are_free() {
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), 1_000).await.expect("a free port");
    let address = listener.address();
    let counts = listener.counts().clone();
    let plain = PlainMemory::new(&PlainMemoryConfig::default(), Arc::new(MonotonicClock));
    let tasks = TrackedTasks::new(Handle::current());
    let throughline = Throughline::new(Vec::new(), Some(Arc::new(plain)), Vec::new, tasks, Vec::new());
    let mut serving = JoinSet::new();
    let shutdown = Shutdown::new(Duration::from_secs(1));
    serving.spawn(serve_memcached(listener, throughline, MemcachedDoor::default(), shutdown));

    // The peers have their descriptors before the limit falls, so that only the door is short of them.
    let sockets: Vec<_> = (0..PEERS).map(|_| TcpSocket::new_v4().expect("a socket")).collect();
    let highest = sockets.iter().map(|socket| socket.as_raw_fd() as u64).max().expect("there are some");
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(highest + 1 + FREE), maximum })
        .expect("less is allowed");

    let mut peers = JoinSet::new();
    for socket in sockets {
        // Each is answered before it makes room for the next, however long the door has kept it waiting.
        peers.spawn(ask_and_leave(socket, address));
    }
    let all = async {
        while let Some(asked) = peers.join_next().await {
            asked.expect("it was answered")
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("every peer was let in at last");
    assert_eq!((counts.accepted(), counts.refused()), (PEERS as u64, 0));
    assert!(counts.errors() > 0, "there were enough descriptors, so nothing was shown");
}

async fn ask_and_leave(socket: TcpSocket, address: SocketAddr) {
    let mut stream: TcpStream = socket.connect(address).await.expect("the kernel lets it wait");
    stream.write_all(b"mn\r\n").await.expect("the connection lives");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"MN\r\n");
}
