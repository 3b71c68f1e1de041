// SPDX-License-Identifier: MIT OR Apache-2.0
//! A memcached of our own, stopped when dropped.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::table::{Outcome, Row};

const SENTINEL: &[u8] = b"MN\r\n";
const WAIT_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Memcached {
    process: Child,
    address: SocketAddr,
}

impl Memcached {
    pub(crate) fn start() -> Self {
        // The port is free when memcached is told of it; nobody else asks for it in between but by chance.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let process = Command::new("memcached")
            .args([
                "-l",
                "127.0.0.1",
                "-U",
                "0",
                "-u",
                "nobody",
                "-m",
                "64",
                "-t",
                "1",
                "-p",
                &port.to_string(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test needs memcached (Debian package memcached)");
        let memcached = Memcached { process, address: (Ipv4Addr::LOCALHOST, port).into() };
        let started = Instant::now();
        while TcpStream::connect(memcached.address).is_err() {
            assert!(started.elapsed() < WAIT_MAX, "memcached does not listen");
            std::thread::yield_now();
        }
        memcached
    }

    /// Sends a row on a connection of its own and returns all that comes back.
    pub(crate) fn ask(&self, row: &Row) -> Outcome {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        stream.write_all(&row.sent).unwrap();
        // A sentinel behind a line without an end would complete that line.
        if !row.theirs.closed {
            stream.write_all(b"mn\r\n").unwrap();
        }
        let mut answer = Vec::new();
        let mut buf = [0; 4096];
        while !answer.ends_with(SENTINEL) {
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
        let answer = answer.strip_suffix(SENTINEL).map(<[u8]>::to_vec).unwrap_or(answer);
        Outcome { answer, closed: false }
    }
}

impl Drop for Memcached {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
