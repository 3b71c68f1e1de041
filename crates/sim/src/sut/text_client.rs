// SPDX-License-Identifier: MIT OR Apache-2.0
//! A minimal client of memcached's text protocol, one command at a time, for the checker's own use.
//!
//! It is deliberately not Throughline's client: the checker must not share the errors of what it checks.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// How often, and how long apart, a server is asked again whose crawler is busy.
const BUSY_TRIES_MAX: usize = 200;
const BUSY_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// A longer line or value is no answer to anything that this client asks.
const LEN_MAX: u64 = 1 << 21;

/// A connection that is made when it is needed. Whenever a command is not answered whole (an error, or its
/// future is dropped), the connection is closed, so that no later command reads the late answer.
#[derive(Debug)]
pub struct TextClient {
    address: SocketAddr,
    stream: Option<BufStream<TcpStream>>,
}

/// A value with its flags.
#[derive(Debug, PartialEq, Eq)]
pub struct Value {
    /// The client flags.
    pub flags: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl TextClient {
    /// A client of the server at `address`; does not connect yet.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Connects when there is no connection. As long as this fails, nothing has been sent.
    ///
    /// # Errors
    /// When the server does not accept.
    pub async fn connect(&mut self) -> io::Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(BufStream::new(stream));
        }
        Ok(())
    }

    /// `get`: the value, or `None` when there is none.
    ///
    /// # Errors
    /// When the connection breaks or the answer is none to this question, an error line included.
    pub async fn get(&mut self, key: &str) -> io::Result<Option<Value>> {
        let mut stream = self.send(format!("get {key}\r\n").as_bytes()).await?;
        let line = line(&mut stream).await?;
        let value = if line == "END" {
            None
        } else {
            let value = value(&mut stream, key, &line).await?;
            if self::line(&mut stream).await? != "END" {
                return Err(unexpected("more than one value"));
            }
            Some(value)
        };
        self.stream = Some(stream);
        Ok(value)
    }

    /// `set` or `add` with a life of `ttl_s` seconds (0: for ever): the answer's line.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn store(&mut self, verb: &str, key: &str, bytes: &[u8], ttl_s: u32) -> io::Result<String> {
        let head = format!("{verb} {key} 0 {ttl_s} {}\r\n", bytes.len());
        self.ask(&[head.as_bytes(), bytes, b"\r\n"].concat()).await
    }

    /// `delete`: the answer's line.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn delete(&mut self, key: &str) -> io::Result<String> {
        self.ask(format!("delete {key}\r\n").as_bytes()).await
    }

    /// `flush_all`: the answer's line.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn flush_all(&mut self) -> io::Result<String> {
        self.ask(b"flush_all\r\n").await
    }

    /// Stores many values that nobody will read, without an answer each; returns when all are stored.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn store_unread(&mut self, values: &[(String, usize)]) -> io::Result<()> {
        let mut request = Vec::new();
        for (key, len) in values {
            request.extend_from_slice(format!("set {key} 0 60 {len} noreply\r\n").as_bytes());
            request.resize(request.len() + len, b'j');
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"mn\r\n");
        let mut stream = self.send(&request).await?;
        // An error for want of memory is answered even to `noreply`.
        while line(&mut stream).await? != "MN" {}
        self.stream = Some(stream);
        Ok(())
    }

    /// The keys of all items whose key does not begin with `except`, marks and leases included.
    ///
    /// # Errors
    /// When the connection breaks, or the server's crawler is busy for ten seconds.
    pub async fn keys(&mut self, except: &str) -> io::Result<Vec<String>> {
        for _ in 0..BUSY_TRIES_MAX {
            if let Some(keys) = self.try_keys(except).await? {
                return Ok(keys);
            }
            tokio::time::sleep(BUSY_PAUSE).await;
        }
        Err(io::Error::other("the server's crawler stays busy"))
    }

    /// `None` while the server's own crawler, which tidies its slabs, is at work.
    async fn try_keys(&mut self, except: &str) -> io::Result<Option<Vec<String>>> {
        let mut stream = self.send(b"lru_crawler metadump all\r\n").await?;
        let mut keys = Vec::new();
        loop {
            let line = line(&mut stream).await?;
            if line == "END" {
                break;
            }
            if line.starts_with("BUSY ") {
                self.stream = Some(stream);
                return Ok(None);
            }
            let key = line.strip_prefix("key=").and_then(|rest| rest.split(' ').next());
            let encoded = key.ok_or_else(|| unexpected(&line))?;
            let key = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
            if !key.starts_with(except) {
                keys.push(key.into_owned());
            }
        }
        self.stream = Some(stream);
        Ok(Some(keys))
    }

    /// The number called `name` in `stats`.
    ///
    /// # Errors
    /// When the connection breaks or there is no such number.
    pub async fn stat(&mut self, name: &str) -> io::Result<u64> {
        let mut stream = self.send(b"stats\r\n").await?;
        let mut found = None;
        loop {
            let line = line(&mut stream).await?;
            if line == "END" {
                break;
            }
            let stat = line.strip_prefix("STAT ").and_then(|rest| rest.strip_prefix(name));
            found = stat.and_then(|value| value.strip_prefix(' ')?.parse().ok()).or(found);
        }
        self.stream = Some(stream);
        found.ok_or_else(|| unexpected("no such number in stats"))
    }

    async fn ask(&mut self, request: &[u8]) -> io::Result<String> {
        let mut stream = self.send(request).await?;
        let answer = line(&mut stream).await?;
        self.stream = Some(stream);
        Ok(answer)
    }

    /// Sends the request and hands the connection over: it comes back only with the whole answer.
    async fn send(&mut self, request: &[u8]) -> io::Result<BufStream<TcpStream>> {
        self.connect().await?;
        let mut stream = self.stream.take().expect("connected above");
        stream.write_all(request).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

async fn line(stream: &mut BufStream<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(LEN_MAX).read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\n") {
        // The lines of a dump end without the carriage return.
        Some(text) => Ok(String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads the value that `line` announces.
async fn value(stream: &mut BufStream<TcpStream>, key: &str, line: &str) -> io::Result<Value> {
    let mut fields = line.split(' ');
    let (word, answered) = (fields.next(), fields.next());
    let mut number = || fields.next().and_then(|field| field.parse::<u64>().ok());
    match (word, answered, number(), number()) {
        (Some("VALUE"), Some(answered), Some(flags), Some(len)) if answered == key && len < LEN_MAX => {
            let mut bytes = vec![0; len as usize + 2];
            stream.read_exact(&mut bytes).await?;
            if !bytes.ends_with(b"\r\n") {
                return Err(unexpected("a value without its end"));
            }
            bytes.truncate(len as usize);
            Ok(Value { flags: flags as u32, bytes })
        }
        _ => Err(unexpected(line)),
    }
}

fn unexpected(answer: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer: {answer}"))
}
