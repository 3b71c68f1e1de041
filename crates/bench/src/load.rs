// SPDX-License-Identifier: MIT OR Apache-2.0
//! A load generator for servers that answer requests of known size: one thread, many connections, epoll.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;

/// A closed loop: every connection sends its next request when the answer to the last one has arrived whole.
#[derive(Debug)]
pub struct Load {
    /// Where the server listens.
    pub address: SocketAddr,
    /// How many connections.
    pub connections: usize,
    /// How many operations a request holds.
    pub depth: usize,
    /// Requests, sent in turn, each with the size of its answer.
    pub requests: Vec<(Vec<u8>, usize)>,
    /// How long.
    pub time: Duration,
}

/// What a load achieved.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Operations per second.
    pub rate: f64,
    /// Median time of a request, in microseconds.
    pub median_us: f64,
}

struct Connection {
    stream: TcpStream,
    next: usize,
    missing: usize,
    sent: Instant,
}

impl Load {
    /// Runs the load.
    ///
    /// # Panics
    /// When the server refuses a connection or answers less than it must.
    pub fn run(&self) -> Outcome {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut connections: Vec<Connection> =
            (0..self.connections).map(|place| self.connect(place)).collect();
        for (place, connection) in connections.iter().enumerate() {
            let data = epoll::EventData::new_u64(place as u64);
            epoll::add(&poll, connection.stream.as_fd(), data, epoll::EventFlags::IN).unwrap();
        }
        let (began, mut done, mut times) = (Instant::now(), 0, Vec::with_capacity(1 << 20));
        connections.iter_mut().for_each(|connection| self.send(connection));
        let mut events = Vec::with_capacity(self.connections);
        let mut buffer = vec![0; 1 << 18];
        while began.elapsed() < self.time {
            events.clear();
            epoll::wait(&poll, spare_capacity(&mut events), None).unwrap();
            for event in &events {
                let connection = &mut connections[event.data.u64() as usize];
                let count = connection.stream.read(&mut buffer).unwrap();
                assert!(count > 0, "the server closed the connection");
                assert!(count <= connection.missing, "the server answered more than it was asked");
                connection.missing -= count;
                if connection.missing == 0 {
                    done += self.depth;
                    times.push(connection.sent.elapsed().as_nanos() as u64);
                    self.send(connection);
                }
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        times.sort_unstable();
        Outcome { rate: done as f64 / seconds, median_us: times[times.len() / 2] as f64 / 1_000.0 }
    }

    fn connect(&self, place: usize) -> Connection {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream, next: place * 7, missing: 0, sent: Instant::now() }
    }

    fn send(&self, connection: &mut Connection) {
        let (request, answer) = &self.requests[connection.next % self.requests.len()];
        connection.next += 1;
        connection.missing = *answer;
        connection.sent = Instant::now();
        connection.stream.write_all(request).unwrap();
    }
}
