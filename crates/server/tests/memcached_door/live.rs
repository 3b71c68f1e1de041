// SPDX-License-Identifier: MIT OR Apache-2.0
//! One scripted session on the plain space, held beside a real memcached, byte for byte.

use throughline_testkit::{Memcached, MemcachedOptions};

use crate::bench::{Door, Peer};

/// Each line is sent and answered before the next. `\n` stands for the protocol's line end.
const SCRIPT: &str = "\
get nothing
set a 5 0 3\\nabc
get a
gets a
get a nothing a
set a 0 0 0\\n
get a
set a 4294967295 100 5\\nhello
add a 0 0 1\\nx
add b 0 0 1\\nx
replace b 7 0 2\\nyy
replace c 0 0 1\\nz
append b 1 1 2\\nzz
prepend b 1 1 2\\nww
append c 0 0 1\\nx
prepend c 0 0 1\\nx
gets a b c
cas b 0 0 1 999999\\nx
cas c 0 0 1 1\\nx
set n 3 0 2\\n10
incr n 5
decr n 6
get n
decr n 100
get n
incr n 18446744073709551615
incr n 2
set n 0 0 2\\nxx
incr n 1
set n 0 0 3\\n7 x
incr n 1
get n
set n 0 0 0\\n
incr n 1
incr c 1
decr c 1 noreply
touch a 50
touch c 50
gat 100 a b c
gats 0 b
gat 0
mg a s t f v k O1
mg a t T30
mg a t
mg b v q
mg c v
mg c v q k O2
ms a 2 T0 F9\\nhi
mg a v f t
ms a 2 ME\\nno
ms c 2 MR\\nno
ms c 2 MA\\nno
ms a 2 MA\\n++
ms a 2 MP O8 k\\n--
mg a v
ms a 1 C999999\\nx
ms c 1 C999999\\nx
ms a 1 C999999 MA\\nx
ms b 1 q\\n9
ma b
ma b D5 v
ma b MD D4 v k O3
ma b D5 q
ma b C999999
ma c
ma c q
ma c N0 J40 v t
ma c T60 v t
ma c N0 J40 t v T0
md a C999999
md a O5 k
md a
md b q
md b q
delete c
delete c
set a 0 -1 1\\nx
get a
set a 0 0 1\\nx
touch a -1
get a
set a 0 0 1\\nx
gat -1 a
get a
set a 0 0 1 noreply\\nx
delete a noreply
get a
set a 0 0 1\\nx
flush_all
get a
flush_all 0
flush_all noreply
flush_all -5
verbosity 0
mn
me nothing
stats nonsense
set a:b:c 0 0 1\\nx
get a:b:c
set a 0 0 1\\nxy
nonsense
mg Zm9v b v k
ms Zm9v 1 b\\nx
get foo
mg foo v
mg Zm9v b v k f
get  a   foo\u{20}
incr foo 1
set z 0 0 5\\n00012
incr z 1
get z
decr z 3
get z
set z 0 0 3\\n 42
incr z 1
get z
";

/// Cas numbers differ between any two servers; everything else must not.
fn without_cas(request: &str, answer: &str) -> String {
    if !request.starts_with("gets") && !request.starts_with("gats") {
        return answer.to_owned();
    }
    let cut = |line: &str| match line.starts_with("VALUE ").then(|| line.rsplit_once(' ')).flatten() {
        Some((front, _)) => format!("{front} CAS"),
        None => line.to_owned(),
    };
    answer.split("\r\n").map(cut).collect::<Vec<_>>().join("\r\n")
}

#[tokio::test]
async fn the_plain_space_answers_as_memcached_does() {
    let memcached = Memcached::start(MemcachedOptions::default());
    let door = Door::open().await;
    let mut ours = door.knock().await;
    let mut theirs = Peer::connect(memcached.address()).await;
    let mut differences = Vec::new();
    for line in SCRIPT.lines() {
        let request = format!("{}\r\n", line.replace("\\n", "\r\n"));
        let (ours, theirs) = (ours.ask(&request).await, theirs.ask(&request).await);
        let (ours, theirs) = (without_cas(line, &ours), without_cas(line, &theirs));
        if ours != theirs {
            differences.push(format!("{line}\n  theirs {theirs:?}\n  ours   {ours:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
