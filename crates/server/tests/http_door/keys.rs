// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys in paths.

use throughline::Key;
use throughline_server::http::key_segment;

use crate::house::House;

/// Paths of hostile and odd keys, each with the parts that it means.
const KEYS: &[(&str, &[&[u8]])] = &[
    ("1'%20OR%201=1", &[b"1' OR 1=1"]),
    ("1';DROP%20TABLE%20person;--", &[b"1';DROP TABLE person;--"]),
    ("a%2Fb", &[b"a/b"]),
    ("..%2F..%2Fetc%2Fpasswd", &[b"../../etc/passwd"]),
    ("..", &[b".."]),
    ("%2e%2e", &[b".."]),
    ("a%3Ab", &[b"a:b"]),
    ("a:b", &[b"a", b"b"]),
    ("a:", &[b"a", b""]),
    ("a%253Ab", &[b"a%3Ab"]),
    ("100%25", &[b"100%"]),
    ("M%C3%BCller", &["Müller".as_bytes()]),
    ("%FF%00", &[b"\xff\0"]),
    ("a+b", &[b"a+b"]),
    ("%0d%0aSet-Cookie%3A%20a", &[b"\r\nSet-Cookie: a"]),
    ("$%7Bjndi%3Aldap%7D", &[b"${jndi:ldap}"]),
];

#[tokio::test]
async fn a_path_segment_is_the_text_of_a_key_and_is_decoded_once() {
    for (segment, parts) in KEYS {
        let house = House::new();
        let path = format!("/v1/person/{segment}");
        let created = house.put(&path, "{}").await;
        assert_eq!(created.status.as_u16(), 201, "{segment}");
        let key = Key::from_parts(parts.iter().copied()).unwrap();
        assert_eq!(house.person.row(key.as_str()).as_deref(), Some("{}"), "{segment}");
        let location = created.header("location");
        assert_eq!(location, format!("/v1/person/{}", key_segment(&key)));
        assert_eq!(house.get(location).await.text(), "{}", "{segment}");
        assert_eq!(house.person.row("1").as_deref(), Some(crate::house::ADA));
    }
}

#[tokio::test]
async fn a_broken_escape_and_an_overlong_key_are_refused() {
    let house = House::new();
    for segment in ["%", "%4", "%zz", "a%", &"k".repeat(1_025), &"%C3%BC".repeat(513)] {
        house.get(&format!("/v1/person/{segment}")).await.problem(400, "invalid-key");
    }
}

#[tokio::test]
async fn a_slash_that_is_not_encoded_leads_elsewhere() {
    let house = House::new();
    for path in
        ["/v1/person/a/b", "/v1/person/", "/v1/person/1/", "/v1//1", "//v1/person/1", "/v1/person/../1"]
    {
        let answer = house.get(path).await;
        assert_eq!(answer.status.as_u16(), 404, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_resource_is_told_what_there_is() {
    let house = House::new();
    for path in ["/v1/nobody/1", "/v1/Person/1", "/v1/%2e%2e/1", "/v1/person%00/1", "/v1/'%20OR%201=1/1"] {
        let detail = house.get(path).await.problem(404, "unknown-resource");
        assert_eq!(detail, "there are: person, note, sight");
    }
    house.put("/v1/nobody/1", "{}").await.problem(404, "unknown-resource");
    house.ask("POST", "/v1/nobody").json("{}").send().await.problem(404, "unknown-resource");
    house.ask("POST", "/v1/nobody/1/_invalidate").send().await.problem(404, "unknown-resource");
    house.get("/admin/resources/nobody/mode").await.problem(404, "unknown-resource");
}
