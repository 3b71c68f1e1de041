// SPDX-License-Identifier: MIT OR Apache-2.0
//! A memcached of our own, stopped when dropped.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::table::{Outcome, Row};

/// Asked behind every row; no row asks for this key, so its answer ends the row's.
const LAST_REQUEST: &[u8] = b"mg the-end-of-the-row k\r\n";
const LAST_ANSWER: &[u8] = b"EN kthe-end-of-the-row\r\n";
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Refused connections take some 20 µs each, so this is about ten seconds as well.
const CONNECTS_MAX: usize = 500_000;

pub(crate) struct Memcached {
    process: Child,
    address: SocketAddr,
}

impl Memcached {
    pub(crate) fn start() -> Self {
        // The port is free when memcached is told of it; nobody else asks for it in between but by chance.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        drop(listener);
        let process = Command::new("memcached")
            .args(["-l", "127.0.0.1", "-U", "0", "-u", "nobody", "-m", "64", "-t", "1"])
            .args(["-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test needs memcached (Debian package memcached)");
        let mut memcached = Memcached { process, address };
        for _ in 0..CONNECTS_MAX {
            if TcpStream::connect(address).is_ok() {
                return memcached;
            }
            let ended = memcached.process.try_wait().expect("it is our child");
            assert!(ended.is_none(), "memcached ended by itself: {ended:?}");
            std::thread::yield_now();
        }
        panic!("memcached does not listen on {address}");
    }

    /// Sends a row on a connection of its own and returns all that comes back.
    pub(crate) fn ask(&self, row: &Row) -> Outcome {
        let mut stream = TcpStream::connect(self.address).expect("memcached listens");
        stream.set_read_timeout(Some(WAIT_MAX)).expect("the wait is not zero");
        stream.write_all(&row.sent).expect("memcached reads");
        // Behind a line without an end the last request would be part of that line.
        if !row.theirs.closed {
            stream.write_all(LAST_REQUEST).expect("memcached reads");
        }
        let mut answer = Vec::new();
        let mut buf = [0; 4096];
        while !answer.ends_with(LAST_ANSWER) {
            match stream.read(&mut buf) {
                Ok(0) => return Outcome { answer, closed: true },
                Ok(len) => answer.extend_from_slice(&buf[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Outcome { answer, closed: true };
                }
                Err(error) => {
                    answer.extend_from_slice(format!("<{}>", error.kind()).as_bytes());
                    break;
                }
            }
        }
        let answer = answer.strip_suffix(LAST_ANSWER).map(<[u8]>::to_vec).unwrap_or(answer);
        Outcome { answer, closed: false }
    }
}

impl Drop for Memcached {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
