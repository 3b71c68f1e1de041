// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server says about itself, and whether it will do.
//!
//! Asked on every connect, because another server may have taken the address meanwhile.

use std::io;
use std::time::Duration;

use throughline_core::{Error, Nonce, Result, Rng};
use throughline_wire::memcached::command::{self, Stats};
use throughline_wire::memcached::response::{Parsed, Response, parse};
use throughline_wire::memcached::{Limits, Status, parse_u64};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::answer::Answer;
use super::config::{MemcachedConfig, MemcachedCredentials, MemcachedServer};
use super::stream::Stream;
use super::{map, nonce};

/// The oldest version that returns the opaque of a miss too (its release notes), without which an answer
/// cannot be told from another's; also the oldest that this was tried with. Nothing newer is needed.
const VERSION_MIN: [u32; 3] = [1, 6, 18];
/// What an item needs beside its value, on the safe side: header, key, chunk.
const ITEM_HEAD_LEN_MAX: usize = 1_024;
/// All settings of any version are well below.
const ANSWER_LEN_MAX: usize = 64 * 1024;

/// A server that was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemcachedProbe {
    version: String,
    item_len_max: usize,
}

impl MemcachedProbe {
    /// The server's version, as it says it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The largest item that it takes, in bytes (`-I`).
    pub fn item_len_max(&self) -> usize {
        self.item_len_max
    }

    /// The largest value that we send, in bytes: a larger one would not only be refused, the server would
    /// drop whatever the key holds.
    pub fn value_len_max(&self) -> usize {
        self.item_len_max.saturating_sub(ITEM_HEAD_LEN_MAX)
    }
}

/// Asks a server that was just connected to.
pub(super) async fn ask(
    stream: &mut Stream,
    server: &MemcachedServer,
    config: &MemcachedConfig,
    rng: &Rng,
) -> Result<(MemcachedProbe, Nonce)> {
    let mut talk = Talk { stream, server, received: Vec::with_capacity(4_096) };
    let limit = Duration::from_millis(config.connect_timeout_ms);
    match tokio::time::timeout(limit, talk.admission(config, rng)).await {
        Ok(admitted) => admitted,
        Err(_) if talk.received.is_empty() => {
            let what = format!(
                "it accepts connections but did not answer within {} ms; is it memcached, and is it running?",
                config.connect_timeout_ms
            );
            Err(map::unavailable(server, &what))
        }
        Err(_) => Err(not_memcached(server, &talk.received)),
    }
}

/// Questions and answers before a connection is used.
struct Talk<'a> {
    stream: &'a mut Stream,
    server: &'a MemcachedServer,
    received: Vec<u8>,
}

impl Talk<'_> {
    async fn admission(&mut self, config: &MemcachedConfig, rng: &Rng) -> Result<(MemcachedProbe, Nonce)> {
        let mut questions = Vec::new();
        if let Some(credentials) = &config.credentials {
            self.authenticate(credentials).await?;
        }
        command::version(&mut questions);
        command::stats(&mut questions, Stats::General);
        command::stats(&mut questions, Stats::Settings);
        nonce::ask(&mut questions);
        self.send(&questions).await?;
        let probe = self.receive(Settings::read).await?.admit(self.server)?;
        let mut answer = self.receive(numbered).await?;
        if nonce::is_missing(&answer) {
            questions.clear();
            nonce::make(&mut questions, rng);
            self.send(&questions).await?;
            // Whether it was stored does not matter, only what is there now.
            self.receive(numbered).await?;
            answer = self.receive(numbered).await?;
        }
        match nonce::shown(&answer) {
            Some(nonce) => Ok((probe, nonce)),
            None => {
                Err(map::unavailable(self.server, "it does not keep the number that tells it from others"))
            }
        }
    }

    /// Shows user name and password to a server that wants them. One that does not would keep them as a value, for
    /// everybody to read.
    async fn authenticate(&mut self, credentials: &MemcachedCredentials) -> Result<()> {
        let mut question = Vec::new();
        command::version(&mut question);
        self.send(&question).await?;
        if self.receive(wants_credentials).await? {
            question.clear();
            command::authenticate(&mut question, credentials.username(), credentials.password());
            self.send(&question).await?;
            if !self.receive(takes_credentials).await? {
                return Err(map::wrong_credentials(self.server));
            }
        }
        Ok(())
    }

    async fn send(&mut self, questions: &[u8]) -> Result<()> {
        let failed = |cause| map::io(self.server, "the connection broke", cause);
        self.stream.write_all(questions).await.map_err(failed)?;
        self.stream.flush().await.map_err(failed)
    }

    /// Reads on until `read` has what it wants, which is then taken away.
    async fn receive<T>(&mut self, read: Read<T>) -> Result<T> {
        let server = self.server;
        loop {
            if let Some((answer, consumed)) = read(&self.received, server)? {
                self.received.drain(..consumed);
                return Ok(answer);
            }
            if self.received.len() > ANSWER_LEN_MAX {
                return Err(not_memcached(server, &self.received));
            }
            let failed = |cause| map::io(server, "the connection broke", cause);
            let read_len = match self.stream.read_buf(&mut self.received).await {
                // It was in the middle of ending the connection.
                Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset => 0,
                read_len => read_len.map_err(failed)?,
            };
            match read_len {
                0 if self.received.is_empty() => {
                    let what = "it closes connections without a word; is it memcached, does it allow this host, or does it want TLS?";
                    return Err(map::unavailable(server, what));
                }
                0 => return Err(not_memcached(server, &self.received)),
                _ => {}
            }
        }
    }
}

/// Reads an answer and says how long it is; `None` while it is not complete.
type Read<T> = fn(&[u8], &MemcachedServer) -> Result<Option<(T, usize)>>;

/// Whether the answer to an innocent question says that a user name and a password come first.
fn wants_credentials(received: &[u8], server: &MemcachedServer) -> Result<Option<(bool, usize)>> {
    match parse(received, &Limits::default()) {
        Parsed::Response { response: Response::ClientError(b"unauthenticated"), consumed } => {
            Ok(Some((true, consumed)))
        }
        Parsed::Response { response: Response::Version(_), consumed } => Ok(Some((false, consumed))),
        Parsed::Incomplete { .. } => Ok(None),
        _ => Err(not_memcached(server, received)),
    }
}

/// Whether the server took user name and password.
fn takes_credentials(received: &[u8], server: &MemcachedServer) -> Result<Option<(bool, usize)>> {
    match parse(received, &Limits::default()) {
        Parsed::Response { response: Response::Status(Status::Stored), consumed } => {
            Ok(Some((true, consumed)))
        }
        Parsed::Response { response: Response::ClientError(_), consumed } => Ok(Some((false, consumed))),
        Parsed::Incomplete { .. } => Ok(None),
        _ => Err(not_memcached(server, received)),
    }
}

/// An answer to a question with a number.
fn numbered(received: &[u8], server: &MemcachedServer) -> Result<Option<(Answer, usize)>> {
    match parse(received, &Limits::default()) {
        Parsed::Response { response, consumed } => match Answer::read(&response, nonce::OPAQUE) {
            Ok(answer) => Ok(Some((answer, consumed))),
            Err(_) => Err(not_memcached(server, received)),
        },
        Parsed::Incomplete { .. } => Ok(None),
        Parsed::Malformed { .. } => Err(not_memcached(server, received)),
    }
}

/// What the answers said.
#[derive(Debug, Default)]
struct Settings {
    version: Option<String>,
    item_len_max: Option<u64>,
    has_cas: bool,
    /// `-e`: contents survive a restart.
    has_memory_file: bool,
    /// `-o ext_path`: contents on flash. No setting shows it, but only then are there its counters.
    has_ext_path: bool,
}

impl Settings {
    fn read(mut received: &[u8], server: &MemcachedServer) -> Result<Option<(Self, usize)>> {
        let whole = received;
        let mut settings = Self::default();
        let mut ends = 0;
        loop {
            let (response, consumed) = match parse(received, &Limits::default()) {
                Parsed::Response { response, consumed } => (response, consumed),
                Parsed::Incomplete { .. } => return Ok(None),
                Parsed::Malformed { .. } => return Err(not_memcached(server, whole)),
            };
            match response {
                Response::Version(version) => settings.version = Some(text(version)),
                Response::Stat { name, value } => settings.take(name, value),
                Response::Status(Status::End) if ends == 0 => ends = 1,
                Response::Status(Status::End) if settings.version.is_some() => {
                    return Ok(Some((settings, whole.len() - received.len() + consumed)));
                }
                Response::ClientError(b"unauthenticated") => return Err(map::denied(server)),
                _ => return Err(not_memcached(server, whole)),
            }
            received = &received[consumed..];
        }
    }

    fn take(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"item_size_max" => self.item_len_max = parse_u64(value),
            b"cas_enabled" => self.has_cas = value == b"yes",
            b"memory_file" => self.has_memory_file = value != b"(null)",
            b"extstore_limit_maxbytes" => self.has_ext_path = true,
            _ => {}
        }
    }

    fn admit(self, server: &MemcachedServer) -> Result<MemcachedProbe> {
        let version = self.version.unwrap_or_default();
        let refuse = |what: &str| Err(map::inadmissible(server, &format!("memcached {version} {what}")));
        match parsed(&version) {
            None => {
                return refuse("has a version that is not understood; memcached 1.6.18 or newer is needed");
            }
            Some(found) if found < VERSION_MIN => return refuse("is too old; 1.6.18 or newer is needed"),
            Some(_) => {}
        }
        if !self.has_cas {
            return refuse("runs without cas numbers, which leases are made of; start it without -C");
        }
        if self.has_memory_file {
            return refuse(
                "keeps its contents through a restart, which brings old values back; start it without -e",
            );
        }
        if self.has_ext_path {
            return refuse("keeps values on disk, where marks can be lost; start it without ext_path");
        }
        match self.item_len_max.and_then(|len| usize::try_from(len).ok()) {
            Some(item_len_max) => Ok(MemcachedProbe { version, item_len_max }),
            None => refuse("does not say how large an item may be (`stats settings`)"),
        }
    }
}

fn parsed(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('.');
    let mut number = || {
        let part = parts.next()?;
        let digits = part.find(|char: char| !char.is_ascii_digit()).unwrap_or(part.len());
        part[..digits].parse().ok()
    };
    Some([number()?, number()?, number()?])
}

fn not_memcached(server: &MemcachedServer, received: &[u8]) -> Error {
    let what = format!("{} answers there, not memcached (usually port 11211)", likely(received));
    map::inadmissible(server, &what)
}

/// A guess at who answered, from the first bytes.
fn likely(received: &[u8]) -> &'static str {
    let has = |word: &[u8]| received.windows(word.len()).any(|window| window == word);
    if received.starts_with(b"HTTP/") || received.starts_with(b"<") {
        "an HTTP server"
    } else if has(b"MariaDB") || has(b"mysql_") || has(b"_password") || has(b"allowed to connect to this M") {
        "a MySQL or MariaDB server"
    } else if received.starts_with(b"-ERR") {
        "a Redis server"
    } else if received.starts_with(b"SSH-") {
        "an SSH server"
    } else if received.starts_with(b"ERROR") || received.starts_with(b"VERSION ") {
        "something that speaks only a part of memcached's protocol"
    } else {
        "something else"
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
