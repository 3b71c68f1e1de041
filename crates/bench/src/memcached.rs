// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a benchmark asks memcached besides what it measures.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Sends `request` and reads the answers to its `count` meta gets, which must all be hits.
///
/// # Panics
/// When one is none.
pub fn ask(address: SocketAddr, request: &[u8], count: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 1 << 16]);
    let (mut place, mut whole) = (0, 0);
    while whole < count {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "memcached closed the connection");
        answer.extend_from_slice(&buffer[..read]);
        while let Some(end) = end_of_hit(&answer[place..]) {
            (place, whole) = (place + end, whole + 1);
        }
    }
    answer
}

/// Where the first answer ends, if it is whole.
fn end_of_hit(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let head = std::str::from_utf8(&bytes[..line]).unwrap();
    let len: usize = head.strip_prefix("VA ").expect("a hit").split(' ').next().unwrap().parse().unwrap();
    let end = line + 2 + len + 2;
    (bytes.len() >= end).then_some(end)
}

/// The keys of everything that is stored, `count` at least, as memcached's crawler lists them.
///
/// # Panics
/// When there are fewer.
pub fn stored_keys(address: SocketAddr, count: usize) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"lru_crawler metadump all\r\n").unwrap();
    let (mut text, mut buffer) = (Vec::new(), [0; 1 << 16]);
    while !text.ends_with(b"END\r\n") {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "memcached closed the connection");
        text.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8(text).unwrap();
    let keys = text.lines().filter_map(|line| line.strip_prefix("key=")?.split(' ').next());
    let keys: Vec<Vec<u8>> = keys.map(unescaped).collect();
    assert!(keys.len() >= count, "{} keys are stored", keys.len());
    keys
}

/// The crawler writes what is no letter or digit as in a URL.
fn unescaped(key: &str) -> Vec<u8> {
    let mut bytes = key.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            plain.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            plain.push(byte);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{end_of_hit, unescaped};

    #[test]
    fn an_answer_ends_behind_its_value() {
        assert_eq!(end_of_hit(b"VA 2 s2\r\n\r\n\r\nVA"), Some(13));
        assert_eq!(end_of_hit(b"VA 2 s2\r\n\r\n"), None);
    }

    #[test]
    fn a_listed_key_is_read_as_it_was_stored() {
        assert_eq!(unescaped("item%3A0.a%3A17"), b"item:0.a:17");
    }
}
