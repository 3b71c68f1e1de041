// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table: what is sent, what memcached 1.6.18 answers, and where and why we differ.

use std::fmt;

/// What came back until the server had no more to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: Vec<u8>,
    /// Whether the server then closed the connection.
    pub(crate) closed: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.answer.escape_ascii(), if self.closed { " (closed)" } else { "" })
    }
}

pub(crate) struct Difference {
    pub(crate) ours: Outcome,
    pub(crate) why: &'static str,
}

pub(crate) struct Row {
    pub(crate) sent: Vec<u8>,
    pub(crate) theirs: Outcome,
    pub(crate) difference: Option<Difference>,
}

impl Row {
    pub(crate) fn ours(&self) -> &Outcome {
        self.difference.as_ref().map_or(&self.theirs, |difference| &difference.ours)
    }

    pub(crate) fn sent_text(&self) -> String {
        self.sent[..self.sent.len().min(100)].escape_ascii().to_string()
    }

    /// Ours answers otherwise, and says why.
    fn but(mut self, ours: &str, why: &'static str) -> Row {
        self.difference = Some(Difference { ours: open(ours), why });
        self
    }

    /// Ours closes after `ours`, and says why.
    fn but_closes(mut self, ours: &str, why: &'static str) -> Row {
        self.difference = Some(Difference { ours: closed(ours), why });
        self
    }
}

fn open(answer: &str) -> Outcome {
    Outcome { answer: answer.into(), closed: false }
}

fn closed(answer: &str) -> Outcome {
    Outcome { answer: answer.into(), closed: true }
}

/// Both answer so and wait for more.
fn row(sent: impl Into<Vec<u8>>, answer: &str) -> Row {
    Row { sent: sent.into(), theirs: open(answer), difference: None }
}

/// Both answer so and close.
fn closes(sent: impl Into<Vec<u8>>, answer: &str) -> Row {
    Row { sent: sent.into(), theirs: closed(answer), difference: None }
}

const ERROR: &str = "ERROR\r\n";
const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";
const BAD_CHUNK: &str = "CLIENT_ERROR bad data chunk\r\n";
const TOO_LARGE: &str = "SERVER_ERROR object too large for cache\r\n";
const BAD_TOKEN: &str = "CLIENT_ERROR bad token in command line format\r\n";
const DUPLICATE: &str = "CLIENT_ERROR duplicate flag\r\n";
const INVALID: &str = "CLIENT_ERROR invalid flag\r\n";
const INVALID_OR_DUPLICATE: &str = "CLIENT_ERROR invalid or duplicate flag\r\n";
const BAD_DELETE: &str = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
const BAD_EXPTIME: &str = "CLIENT_ERROR invalid exptime argument\r\n";
const BAD_DELTA: &str = "CLIENT_ERROR invalid numeric delta argument\r\n";

const CUT: &str = "memcached cuts numbers to 32 bits, so a length may come to mean another";
const DIGITS: &str = "a number is digits; what strtol takes besides is nobody's intention";
const NUL: &str = "memcached reads up to the NUL and acts on another key than was sent";
const ADMIN: &str = "we have no slabs, crawler or log to administer";
const PACKETS: &str = "memcached's answer depends on how the network cut the line; ours must not";

/// Every row uses keys of its own, since all share one memcached.
pub(crate) fn rows() -> Vec<Row> {
    [
        command_lines(),
        long_lines(),
        gets(),
        stores(),
        data_blocks(),
        other_commands(),
        meta_lines(),
        meta_gets(),
        meta_sets(),
        meta_others(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn command_lines() -> Vec<Row> {
    vec![
        row("\r\n", ERROR),
        row("\n", ERROR),
        row("   \r\n", ERROR),
        row("x\r\n", ERROR),
        row("nonsense\r\n", ERROR),
        row("GET k\r\n", ERROR),
        row("get\tk\r\n", ERROR),
        row("\tget k\r\n", ERROR),
        row("  get   c1  \r\n", "END\r\n"),
        row("get c2\n", "END\r\n"),
        row("version\n", "VERSION 1.6.18\r\n"),
        row("version and more\r\n", "VERSION 1.6.18\r\n"),
        row("version\r\r\n", ERROR),
        closes("quit\r\n", ""),
        closes("quit now\r\n", ""),
        closes("GET / HTTP/1.1\r\n", ""),
        closes("POST /x HTTP/1.1\r\nHost: a\r\n", ""),
        row("get / HTTP/1.1\r\n", "END\r\n"),
        row("delete / HTTP/1.1\r\n", BAD_DELETE),
        row("gopher / HTTP/1.1\r\n", ERROR),
        row("mx HTTP/1.1\r\n", ERROR),
        row("shutdown\r\n", "ERROR: shutdown not enabled\r\n"),
        row("shutdown graceful\r\n", "ERROR: shutdown not enabled\r\n"),
        row("bget c3\r\n", "END\r\n").but(ERROR, "an undocumented name for get, gone since before 1.4"),
        row("slabs automove 1\r\n", "OK\r\n").but(ERROR, ADMIN),
        row("lru tune 10 25 0.1 2.0\r\n", "OK\r\n").but(ERROR, ADMIN),
        row("lru_crawler tocrawl 0\r\n", "OK\r\n").but(ERROR, ADMIN),
        row("cache_memlimit 64\r\n", "OK\r\n").but(ERROR, ADMIN),
        row("get c4\0d\r\n", "END\r\n").but(BAD_FORMAT, NUL),
        row("set c5\0 0 0 1\r\nversion\r\n", "ERROR\r\nVERSION 1.6.18\r\n")
            .but("CLIENT_ERROR bad command line format\r\nVERSION 1.6.18\r\n", NUL),
        row("\0get c6\r\n", ERROR).but(BAD_FORMAT, NUL),
        row(b"get \x80\r\n", "END\r\n"),
    ]
}

fn long_lines() -> Vec<Row> {
    let keys = vec!["k".repeat(100); 30].join(" ");
    // Long keys, since memcached works hard for each: 1,065,300 bytes of them.
    let many = format!("{} ", "k".repeat(200)).repeat(5300);
    let spaces = " ".repeat(101);
    let mut binary_quit = [0_u8; 24];
    binary_quit[..2].copy_from_slice(b"\x80\x07");
    let mut binary_answer = Outcome { answer: vec![0; 24], closed: true };
    binary_answer.answer[..2].copy_from_slice(b"\x81\x07");
    vec![
        closes("x".repeat(2049), ""),
        closes(format!("set {}", "x".repeat(2045)), ""),
        closes(format!("mg {}", "x".repeat(2046)), ""),
        closes(format!("{spaces}get {}", "k ".repeat(1000)), ""),
        row(format!("{}\r\n", "x".repeat(2047)), ERROR),
        row(format!("{}\r\n", "x".repeat(3000)), ERROR).but_closes("", PACKETS),
        row(format!("get {keys}\r\n"), "END\r\n"),
        row(format!("gets {keys}\r\n"), "END\r\n"),
        row(format!("gat 0 {keys}\r\n"), "END\r\n"),
        row(format!(" get {keys}\r\n"), "END\r\n"),
        closes(format!("gat 0 {keys}"), "").but("", "a list of keys may be long under any name"),
        row(format!("get {many}\r\n"), "END\r\n")
            .but_closes("CLIENT_ERROR line too long\r\n", "what we keep has a bound, here of 1 MiB"),
        Row { sent: binary_quit.to_vec(), theirs: binary_answer, difference: None }
            .but_closes("", "we do not speak the binary protocol, which memcached itself calls deprecated"),
        closes("\u{0}".repeat(2049), ""),
    ]
}

fn gets() -> Vec<Row> {
    let long = "k".repeat(251);
    vec![
        row("get\r\n", ERROR),
        row("get \r\n", ERROR),
        row("gets\r\n", ERROR),
        row("gat\r\n", ERROR),
        row("gat 0\r\n", "END\r\n"),
        row("gat x k\r\n", BAD_EXPTIME),
        row("gat x\r\n", BAD_EXPTIME),
        row("gat 99999999999999999999 k\r\n", BAD_EXPTIME),
        row(format!("get {}\r\n", "k".repeat(250)), "END\r\n"),
        row(format!("get {long}\r\n"), BAD_FORMAT),
        row(format!("get a {long}\r\n"), BAD_FORMAT),
        row(format!("gets {long} a\r\n"), BAD_FORMAT),
        row(format!("gat 0 {long}\r\n"), BAD_FORMAT),
        row(
            "set g1 7 0 1\r\na\r\nset g2 8 0 0\r\n\r\nget g2 nothing g1 g1\r\n",
            "STORED\r\nSTORED\r\nVALUE g2 8 0\r\n\r\nVALUE g1 7 1\r\na\r\nVALUE g1 7 1\r\na\r\nEND\r\n",
        ),
        row("set g3 4294967295 0 1\r\na\r\ngat 0 g3\r\n", "STORED\r\nVALUE g3 4294967295 1\r\na\r\nEND\r\n"),
        row("set g\t4 0 0 1\r\na\r\nget g\t4\r\n", "STORED\r\nVALUE g\t4 0 1\r\na\r\nEND\r\n"),
        row("set g5 0 0 4\r\n\0\r\n\n\r\nget g5\r\n", "STORED\r\nVALUE g5 0 4\r\n\0\r\n\n\r\nEND\r\n"),
    ]
}

fn stores() -> Vec<Row> {
    let long = "k".repeat(251);
    vec![
        row("set\r\n", ERROR),
        row("set k\r\n", ERROR),
        row("set k 0 0\r\n", ERROR),
        row("set k 0 0 1 noreply x\r\n", ERROR),
        row("cas k 0 0 1\r\n", ERROR),
        row("cas k 0 0 1 1 noreply x\r\n", ERROR),
        row("set k x 0 1\r\n", BAD_FORMAT),
        row("set k 0 x 1\r\n", BAD_FORMAT),
        row("set k 0 0 x\r\n", BAD_FORMAT),
        row("set k 0 0 -1\r\n", BAD_FORMAT),
        row("set k 0 0 1x\r\n", BAD_FORMAT),
        row("set k -1 0 1\r\n", BAD_FORMAT),
        row("set k 0 0 2147483646\r\n", BAD_FORMAT),
        row("set k 0 0 99999999999999999999\r\n", BAD_FORMAT),
        row("set k 0 0 x noreply\r\n", ""),
        row("set k 0 0 noreply\r\n", ""),
        row("cas k 0 0 1 x\r\n", BAD_FORMAT),
        row("cas k 0 0 1 -1\r\n", BAD_FORMAT),
        row(format!("set {long} 0 0 1\r\n"), BAD_FORMAT),
        row(format!("set {long} 0 0 1 noreply\r\n"), ""),
        row(format!("set {long} 0 0 1\r\na\r\n"), "CLIENT_ERROR bad command line format\r\nERROR\r\n"),
        row("set s1 0 0 1 whatever\r\na\r\n", "STORED\r\n"),
        row("set s2 0 0 1 noreply\r\na\r\n", ""),
        row("set s3 0 0 1\na\r\n", "STORED\r\n"),
        row("set s4 0 0 01\r\na\r\n", "STORED\r\n"),
        row(
            "set s5 0 -1 1\r\na\r\nadd s6 0 0 1\r\na\r\nadd s6 0 0 1\r\nb\r\n",
            "STORED\r\nSTORED\r\nNOT_STORED\r\n",
        ),
        row("replace s7 0 0 1\r\na\r\nappend s7 0 0 1\r\na\r\n", "NOT_STORED\r\nNOT_STORED\r\n"),
        row("prepend s7 0 0 1\r\na\r\n", "NOT_STORED\r\n"),
        row(
            "set s8 5 0 1\r\nb\r\nappend s8 0 0 1\r\nc\r\nprepend s8 0 0 1\r\na\r\nreplace s9 0 0 1 noreply\r\na\r\n",
            "STORED\r\nSTORED\r\nSTORED\r\n",
        ),
        row("cas s10 0 0 1 1\r\na\r\nset s10 0 0 1\r\na\r\n", "NOT_FOUND\r\nSTORED\r\n"),
        row("set s11 0 0 1\r\na\r\ncas s11 0 0 1 999999999999\r\nb\r\n", "STORED\r\nEXISTS\r\n"),
        row("set s12 0 0 1\r\na\r\ncas s12 0 0 1 999999999999 noreply\r\nb\r\n", "STORED\r\n"),
        row("set s13 4294967296 0 1\r\na\r\n", "STORED\r\n")
            .but("CLIENT_ERROR bad command line format\r\nERROR\r\n", CUT),
        row("set s14 0 0 4294967297\r\na\r\n", "STORED\r\n")
            .but("CLIENT_ERROR bad command line format\r\nERROR\r\n", CUT),
        row("set s15 +0 0 1\r\na\r\n", "STORED\r\n")
            .but("CLIENT_ERROR bad command line format\r\nERROR\r\n", DIGITS),
        row("set s16 0 0 1\t\r\na\r\n", "STORED\r\n")
            .but("CLIENT_ERROR bad command line format\r\nERROR\r\n", DIGITS),
        row("set s17 -0 0 1\r\na\r\n", "STORED\r\n")
            .but("CLIENT_ERROR bad command line format\r\nERROR\r\n", DIGITS),
    ]
}

fn data_blocks() -> Vec<Row> {
    let large = "x".repeat(2 * 1024 * 1024);
    let nearly = "x".repeat(1024 * 1024 - 1024);
    let len = large.len();
    vec![
        row("set d1 0 0 3\r\nabcde", BAD_CHUNK),
        row("set d2 0 0 3\r\nabcdef\r\n", "CLIENT_ERROR bad data chunk\r\nERROR\r\n"),
        row("set d3 0 0 3\r\na\r\nbc", BAD_CHUNK),
        row("set d4 0 0 1\r\na\n\n", BAD_CHUNK),
        row("set d5 0 0 3 noreply\r\nabcde", ""),
        row("set d6 0 0 3 noreply\r\nabcdef\r\n", ERROR),
        row(
            "set d7 0 0 2\r\nab\r\nset d7 0 0 3\r\nabcdeget d7\r\n",
            "STORED\r\nCLIENT_ERROR bad data chunk\r\nVALUE d7 0 2\r\nab\r\nEND\r\n",
        ),
        row("ms d8 3\r\nabcde", BAD_CHUNK),
        row("ms d9 3 q\r\nabcde", BAD_CHUNK),
        row(
            format!("set d10 0 0 {len}\r\n{large}\r\nget d10\r\n"),
            "SERVER_ERROR object too large for cache\r\nEND\r\n",
        ),
        row(format!("set d11 0 0 {len} noreply\r\n{large}\r\nget d11\r\n"), "END\r\n"),
        row(format!("set d12 0 0 {len}\r\n{large}xx"), TOO_LARGE),
        row(format!("ms d13 {len} q\r\n{large}\r\n"), TOO_LARGE),
        row(format!("cas d14 0 0 {len} 1\r\n{large}\r\n"), TOO_LARGE),
        row(format!("set d15 0 0 {}\r\n{nearly}\r\n", nearly.len()), "STORED\r\n"),
    ]
}

fn other_commands() -> Vec<Row> {
    let long = "k".repeat(251);
    vec![
        row("delete\r\n", ERROR),
        row("delete k\r\n", "NOT_FOUND\r\n"),
        row("delete k 0\r\n", "NOT_FOUND\r\n"),
        row("delete k 0 noreply\r\n", ""),
        row("delete k noreply\r\n", ""),
        row("delete k 1\r\n", BAD_DELETE),
        row("delete k x\r\n", BAD_DELETE),
        row("delete k 0 x\r\n", BAD_DELETE),
        row("delete k 1 noreply\r\n", ""),
        row("delete k 0 noreply x\r\n", ERROR),
        row(format!("delete {long}\r\n"), BAD_FORMAT),
        row(format!("delete {long} noreply\r\n"), ""),
        row("set o1 0 0 1\r\na\r\ndelete o1\r\n", "STORED\r\nDELETED\r\n"),
        row("incr\r\n", ERROR),
        row("incr k\r\n", ERROR),
        row("incr k 1 noreply x\r\n", ERROR),
        row("incr k x\r\n", BAD_DELTA),
        row("incr k -1\r\n", BAD_DELTA),
        row("decr k 18446744073709551616\r\n", BAD_DELTA),
        row("decr k x noreply\r\n", ""),
        row("incr k 1\r\n", "NOT_FOUND\r\n"),
        row("incr k 1 x\r\n", "NOT_FOUND\r\n"),
        row(format!("incr {long} 1\r\n"), BAD_FORMAT),
        row(
            "set o2 0 0 1\r\n7\r\nincr o2 5\r\ndecr o2 2\r\ndecr o2 99\r\nincr o2 1 noreply\r\n",
            "STORED\r\n12\r\n10\r\n0\r\n",
        ),
        row("set o3 0 0 20\r\n18446744073709551615\r\nincr o3 2\r\n", "STORED\r\n1\r\n"),
        row(
            "set o4 0 0 1\r\nx\r\nincr o4 5\r\n",
            "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        row("touch\r\n", ERROR),
        row("touch k\r\n", ERROR),
        row("touch k x\r\n", BAD_EXPTIME),
        row("touch k x noreply\r\n", ""),
        row("touch k 10\r\n", "NOT_FOUND\r\n"),
        row("touch k 10 x\r\n", "NOT_FOUND\r\n"),
        row("touch k 1 2 3\r\n", ERROR),
        row(format!("touch {long} 0\r\n"), BAD_FORMAT),
        row("set o5 0 0 1\r\na\r\ntouch o5 100\r\ntouch o5 100 noreply\r\n", "STORED\r\nTOUCHED\r\n"),
        row("flush_all x\r\n", BAD_EXPTIME),
        row("flush_all x noreply\r\n", ""),
        row("flush_all noreply x\r\n", BAD_EXPTIME),
        row("flush_all 1 2 3\r\n", ERROR),
        row("flush_all 1000000 x\r\n", "OK\r\n"),
        row("flush_all 1000000 noreply\r\n", ""),
        row("verbosity\r\n", ERROR),
        row("verbosity x\r\n", BAD_FORMAT),
        row("verbosity noreply\r\n", ""),
        row("verbosity 0\r\n", "OK\r\n"),
        row("verbosity 0 noreply\r\n", ""),
        row("verbosity 0 1 2\r\n", ERROR),
        row("stats nonsense\r\n", ERROR),
    ]
}

fn meta_lines() -> Vec<Row> {
    let long = "k".repeat(251);
    let flags = "s t f h k u O1 T10 R10 F1 C1 D1 J1 I P L MS".to_owned();
    vec![
        row("mg\r\n", ERROR),
        row("ms\r\n", ERROR),
        row("md\r\n", ERROR),
        row("ma\r\n", ERROR),
        row("me\r\n", BAD_FORMAT),
        row("mn\r\n", "MN\r\n"),
        row("mn x\r\n", "MN\r\n"),
        row("mx k\r\n", ERROR),
        row("mgx k\r\n", ERROR),
        row(format!("mg {long} v\r\n"), BAD_FORMAT),
        row(format!("ms {long} 1\r\n"), BAD_FORMAT),
        row(format!("md {long}\r\n"), BAD_FORMAT),
        row(format!("ma {long}\r\n"), BAD_FORMAT),
        row(format!("me {long}\r\n"), BAD_FORMAT),
        row("mg k v v\r\n", DUPLICATE),
        row("mg k O1 O2\r\n", DUPLICATE),
        row("mg k y\r\n", INVALID),
        row("mg k S1\r\n", INVALID),
        row(b"mg k \xc3\r\n", DUPLICATE),
        row(b"mg k \x7f\r\n", DUPLICATE),
        row("mg k Tx\r\n", BAD_TOKEN),
        row("mg k T\r\n", BAD_TOKEN),
        row("mg k N1.5\r\n", BAD_TOKEN),
        row("mg k R-\r\n", BAD_TOKEN),
        row("mg k C-1\r\n", BAD_TOKEN),
        row("mg k Fx\r\n", BAD_FORMAT),
        row("mg k M\r\n", "CLIENT_ERROR incorrect length for M token\r\n"),
        row("mg k MSS\r\n", "CLIENT_ERROR incorrect length for M token\r\n"),
        row("mg k Jx\r\n", "CLIENT_ERROR invalid numeric initial value\r\n"),
        row("mg k Dx\r\n", "CLIENT_ERROR invalid numeric delta value\r\n"),
        row("mg k Tx Dx\r\n", "CLIENT_ERROR invalid numeric delta value\r\n"),
        row("mg k Dx Fx\r\n", "CLIENT_ERROR invalid numeric delta value\r\n"),
        row("mg k Tx v v\r\n", DUPLICATE),
        row("mg k Tx y\r\n", INVALID),
        row(format!("mg m1 {flags}\r\n"), "EN km1 O1\r\n"),
        row(format!("mg m1 {flags} q\r\n"), "CLIENT_ERROR options flags are too long\r\n"),
        row(format!("md m1 {flags} q\r\n"), "CLIENT_ERROR options flags too long\r\n"),
        row(format!("ma m1 {flags} q\r\n"), "CLIENT_ERROR options flags too long\r\n"),
        row(format!("ms m1 1 {flags}\r\n"), "CLIENT_ERROR options flags too long\r\n"),
        row("mg k b\r\n", "CLIENT_ERROR error decoding key\r\n"),
        row("mg k\0 v\r\n", "EN\r\n").but(BAD_FORMAT, NUL),
        row("mg Zm9v!AGJhcg== b k\r\n", "EN kZm9vAGJhcg== b\r\n").but(
            "CLIENT_ERROR error decoding key\r\n",
            "memcached skips what is no base64, so that one key has many spellings",
        ),
    ]
}

fn meta_gets() -> Vec<Row> {
    let opaque = "x".repeat(31);
    vec![
        row("mg k\r\n", "EN\r\n"),
        row("mg k v q\r\n", ""),
        row("mg k v k O7\r\n", "EN kk O7\r\n"),
        row(format!("mg k O{opaque} k\r\n"), &format!("EN O{opaque} kk\r\n")),
        row(format!("mg k O{opaque}x\r\n"), "CLIENT_ERROR opaque token too long\r\n"),
        row("mg k O v\r\n", "EN O\r\n"),
        row(
            "set mg1 5 0 2\r\nab\r\nmg mg1\r\nmg mg1 v\r\nmg mg1 s v f k t O1\r\n",
            "STORED\r\nHD\r\nVA 2\r\nab\r\nVA 2 s2 f5 kmg1 t-1 O1\r\nab\r\n",
        ),
        row(
            "set mg2 0 0 2\r\nab\r\nmg mg2 vfoo f q\r\nmg mg2 h l q\r\n",
            "STORED\r\nVA 2 f0\r\nab\r\nHD h1 l0\r\n",
        )
        .but("STORED\r\nVA 2 f0\r\nab\r\nHD h0 l0\r\n", "the model of this test does not count uses"),
        row("set mg3 0 0 1\r\na\r\nmg mg3 T90 t\r\nmg mg3 t T30\r\n", "STORED\r\nHD t90\r\nHD t90\r\n"),
        row("mg mg4 N30 v t\r\nmg mg4 v t N30\r\n", "VA 0 t30 W\r\n\r\nVA 0 t30 Z\r\n\r\n"),
        row("mg mg5 s t N30\r\n", "HD s0 t-1 W\r\n"),
        row("ms mg6 1 T20\r\na\r\nmg mg6 R30\r\nmg mg6 R30\r\n", "HD\r\nHD W\r\nHD Z\r\n"),
        row("mg mg7 F9 C9 Pp Ll I u v\r\n", "EN\r\n"),
        row(
            "ms Zm9vAGJhcg== 2 b\r\nv1\r\nmg Zm9vAGJhcg== b v k O1\r\n",
            "HD\r\nVA 2 kZm9vAGJhcg== b O1\r\nv1\r\n",
        ),
        row("mg bmljaHRz b k\r\n", "EN kbmljaHRz b\r\n"),
        row("ms bWcxMA== 1 b\r\na\r\nget mg10\r\n", "HD\r\nVALUE mg10 0 1\r\na\r\nEND\r\n"),
        row(
            "mg nope v q O1\r\nset mg11 0 0 1\r\na\r\nmg mg11 v q O2\r\nmn\r\n",
            "STORED\r\nVA 1 O2\r\na\r\nMN\r\n",
        ),
    ]
}

fn meta_sets() -> Vec<Row> {
    let opaque = "x".repeat(32);
    vec![
        row("ms k\r\n", BAD_FORMAT),
        row("ms k x\r\n", BAD_FORMAT),
        row("ms k -1\r\n", BAD_FORMAT),
        row("ms k 2147483646\r\n", BAD_FORMAT),
        row("ms k S1 T0\r\n", BAD_FORMAT),
        row("ms k 1 y\r\na\r\n", INVALID),
        row("ms k 1 T1 T1\r\na\r\n", DUPLICATE),
        row("ms k 1 Tx q\r\na\r\n", BAD_TOKEN),
        row("ms k 1 Fx\r\na\r\n", BAD_FORMAT),
        row("ms k 1 MX\r\na\r\n", "CLIENT_ERROR invalid mode for ms M token\r\n"),
        row("ms k 1 MSS\r\na\r\n", "CLIENT_ERROR incorrect length for M token\r\n"),
        row(format!("ms k 1 O{opaque}\r\na\r\n"), "CLIENT_ERROR opaque token too long\r\n"),
        row(format!("ms k 1 MX O{opaque}\r\na\r\n"), "CLIENT_ERROR invalid mode for ms M token\r\n"),
        row("ms k 1 b\r\na\r\n", "CLIENT_ERROR error decoding key\r\n"),
        row("ms ms1 1\r\na\r\nms ms1 1 q\r\nb\r\nms ms1 1 O1 k\r\nc\r\n", "HD\r\nHD O1 kms1\r\n"),
        row("ms ms2 1 C1 c O1\r\na\r\nms ms2 1 MR c\r\na\r\n", "NF c0 O1\r\nNS c0\r\n"),
        row(
            "ms ms3 1 ME F7\r\na\r\nms ms3 1 ME c q\r\nb\r\nmg ms3 f v\r\n",
            "HD\r\nNS c0\r\nVA 1 f7\r\na\r\n",
        ),
        row("ms ms4 1 \r\na\r\nms ms4 1 C999999999 c\r\nb\r\n", "HD\r\nEX c0\r\n"),
        row(
            "ms ms5 1\r\nb\r\nms ms5 1 MA\r\nc\r\nms ms5 1 MP\r\na\r\nmg ms5 v\r\n",
            "HD\r\nHD\r\nHD\r\nVA 3\r\nabc\r\n",
        ),
        row("ms ms6 1 MS T-1 F4294967295\r\na\r\n", "HD\r\n"),
        row("ms ms7 1 F4294967296\r\na\r\n", "HD\r\n").but(BAD_FORMAT, CUT),
        row("ms ms8 4294967297\r\na\r\n", "HD\r\n")
            .but("CLIENT_ERROR bad command line format\r\nERROR\r\n", CUT),
    ]
}

fn meta_others() -> Vec<Row> {
    let opaque = "x".repeat(32);
    vec![
        row("md k\r\n", "NF\r\n"),
        row("md k q O1 k\r\n", "NF O1 kk\r\n"),
        row("md k v v\r\n", INVALID_OR_DUPLICATE),
        row("md k I x\r\n", INVALID_OR_DUPLICATE),
        row("md k Cx\r\n", INVALID_OR_DUPLICATE),
        row("md k b\r\n", INVALID_OR_DUPLICATE),
        row(format!("md k O{opaque}\r\n"), "CLIENT_ERROR opaque token too long\r\n"),
        row("ms md1 1\r\na\r\nmd md1 C999999999 O2\r\nmd md1 q\r\nmg md1 v\r\n", "HD\r\nEX O2\r\nEN\r\n"),
        row("ma k\r\n", "NF\r\n"),
        row("ma k q O1 k c t\r\n", "NF O1 kk\r\n"),
        row("ma k Dx\r\n", INVALID_OR_DUPLICATE),
        row("ma k MX\r\n", "CLIENT_ERROR invalid mode for ma M token\r\n"),
        row(format!("ma k O{opaque}\r\n"), "CLIENT_ERROR opaque token too long\r\n"),
        row(
            "ma ma1 N0 J13 v t O1\r\nma ma1 v\r\nma ma1 MD D4 v k\r\nma ma1 M+ D2\r\nma ma1 M- v\r\nma ma1 q\r\n",
            "VA 2 t-1 O1\r\n13\r\nVA 2\r\n14\r\nVA 2 kma1\r\n10\r\nHD\r\nVA 2\r\n11\r\n",
        ),
        row(
            "ms ma2 1\r\nx\r\nma ma2\r\n",
            "HD\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
        ),
        row("me k\r\n", "EN\r\n"),
        row("me k x k O1\r\n", "EN\r\n"),
        row("me k b\r\n", BAD_FORMAT),
    ]
}
