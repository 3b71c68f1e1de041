// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server says about itself, and whether it will do.
//!
//! Asked on every connect, because another server may have taken the address meanwhile.

use std::time::Duration;

use throughline_core::{Error, Result};
use throughline_wire::memcached::command::{self, Stats};
use throughline_wire::memcached::response::{Parsed, Response, parse};
use throughline_wire::memcached::{Limits, Status, parse_u64};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::config::MemcachedConfig;
use super::map;

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
pub(super) async fn ask(stream: &mut TcpStream, config: &MemcachedConfig) -> Result<MemcachedProbe> {
    let mut received = Vec::with_capacity(4_096);
    let limit = Duration::from_millis(config.connect_timeout_ms);
    let spoken = tokio::time::timeout(limit, speak(stream, config, &mut received)).await;
    match spoken {
        Ok(settings) => settings?.admit(config),
        Err(_) if received.is_empty() => {
            let what = format!(
                "it accepts connections but did not answer within {} ms; is it memcached, and is it running?",
                config.connect_timeout_ms
            );
            Err(map::unavailable(config, &what))
        }
        Err(_) => Err(not_memcached(config, &received)),
    }
}

/// Sends the questions and reads on until the last answer.
async fn speak(stream: &mut TcpStream, config: &MemcachedConfig, received: &mut Vec<u8>) -> Result<Settings> {
    let mut questions = Vec::new();
    command::version(&mut questions);
    command::stats(&mut questions, Stats::General);
    command::stats(&mut questions, Stats::Settings);
    let failed = |cause| map::io(config, "the connection broke", cause);
    stream.write_all(&questions).await.map_err(failed)?;
    loop {
        if let Some(settings) = Settings::read(received, config)? {
            return Ok(settings);
        }
        if received.len() > ANSWER_LEN_MAX {
            return Err(not_memcached(config, received));
        }
        match stream.read_buf(received).await.map_err(failed)? {
            0 if received.is_empty() => {
                let what =
                    "it closes connections without a word; is it memcached, and does it allow this host?";
                return Err(map::unavailable(config, what));
            }
            0 => return Err(not_memcached(config, received)),
            _ => {}
        }
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
    /// Reads the answers; `None` while they are not complete.
    fn read(mut received: &[u8], config: &MemcachedConfig) -> Result<Option<Self>> {
        let whole = received;
        let mut settings = Self::default();
        let mut ends = 0;
        loop {
            let (response, consumed) = match parse(received, &Limits::default()) {
                Parsed::Response { response, consumed } => (response, consumed),
                Parsed::Incomplete { .. } => return Ok(None),
                Parsed::Malformed { .. } => return Err(not_memcached(config, whole)),
            };
            match response {
                Response::Version(version) => settings.version = Some(text(version)),
                Response::Stat { name, value } => settings.take(name, value),
                Response::Status(Status::End) if ends == 0 => ends = 1,
                Response::Status(Status::End) if settings.version.is_some() => return Ok(Some(settings)),
                Response::ClientError(b"unauthenticated") => return Err(map::denied(config)),
                _ => return Err(not_memcached(config, whole)),
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

    fn admit(self, config: &MemcachedConfig) -> Result<MemcachedProbe> {
        let version = self.version.unwrap_or_default();
        let refuse = |what: &str| Err(map::inadmissible(config, &format!("memcached {version} {what}")));
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

fn not_memcached(config: &MemcachedConfig, received: &[u8]) -> Error {
    let what = format!("{} answers there, not memcached (usually port 11211)", likely(received));
    map::inadmissible(config, &what)
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
