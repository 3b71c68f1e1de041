// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of the configuration.

use super::{CacheKind, Distribution, L1Settings, MemcachedCredentials, Settings, SourceKind, TableChoice};
use crate::config::ConfigError;
use throughline_core::{Access, Level};

const WHOLE: &str = r#"
[listen]
http = "127.0.0.1:0"
memcached = "none"

[sources.shop]
url = "mysql://throughline:${SHOP_PASSWORD}@127.0.0.1:3306/shop"

[caches.main]
memcached = { servers = [{ name = "a", address = "127.0.0.1:11211" }] }

[resources.person]
source = "shop"
cache = "main"
write = "write-through"
access = "write"
level = "strict"
ttl = "5m"
"#;

fn environment(name: &str) -> Option<String> {
    (name == "SHOP_PASSWORD").then(|| "hunter2".to_owned())
}

fn mistake(text: &str) -> ConfigError {
    Settings::parse(text, &environment).expect_err("a mistake")
}

#[test]
fn a_whole_file_becomes_settings_and_shows_no_secret() {
    let settings = Settings::parse(WHOLE, &environment).expect("settings");
    let person = &settings.resources[0];
    assert_eq!((person.table.as_str(), person.cache, person.level), ("person", Some(0), Some(Level::Strict)));
    assert_eq!((person.access, person.ttl.entry_ms), (Access::Write, 300_000));
    let CacheKind::Memcached(memcached) = &settings.caches[0].kind else { panic!("not memcached") };
    assert_eq!(memcached.servers[0].name.as_str(), "a");
    assert_eq!(memcached.distribution, Distribution::Rendezvous);
    assert!(settings.listen.memcached.is_none() && settings.plain_bytes.is_none());
    assert!(
        matches!(&settings.sources[0].kind, SourceKind::Mysql { url, .. } if url.reveal().contains("hunter2"))
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn an_unknown_field_is_refused_at_its_place() {
    let text = WHOLE.replace("ttl = ", "tll = ");
    let mistake = mistake(&text);
    assert_eq!(&text[mistake.span.clone().expect("a place")], "tll");
    assert!(mistake.message.contains("unknown field `tll`"), "{}", mistake.message);
    assert_eq!(mistake.line(&text), Some(18));
}

#[test]
fn a_name_that_leads_nowhere_is_underlined_and_the_closest_is_proposed() {
    let text = WHOLE.replace("source = \"shop\"", "source = \"shpo\"");
    let mistake = mistake(&text);
    assert_eq!(&text[mistake.span.clone().expect("a place")], "\"shpo\"");
    assert_eq!(mistake.help.as_deref(), Some("did you mean `shop`?"));
}

#[test]
fn mistakes_name_what_would_be_right() {
    for (right, wrong, help) in [
        ("level = \"strict\"", "level = \"strickt\"", "\"strict\", \"bounded\""),
        ("write = \"write-through\"", "read = \"refresh-ahead\"", "not in this version"),
        ("ttl = \"5m\"", "ttl = \"1s\"", "from 2s to"),
        ("ttl = \"5m\"", "ttl = \"soon\"", "not a time"),
        ("ttl = \"5m\"", "on_control_lost = \"never\"", "bounded(30s)"),
        ("ttl = \"5m\"", "on_control_lost = \"bounded(2h)\"", "from 1s to 1h"),
        ("level = \"strict\"", "level = \"bounded\"\non_control_lost = \"bounded(30s)\"", "in any case"),
        ("${SHOP_PASSWORD}", "${NOT_SET}", "`NOT_SET` is not set"),
        ("http = \"127.0.0.1:0\"", "http = \"0.0.0.0:8311\"", "needs a token"),
        ("memcached = \"none\"", "memcached = \"0.0.0.0:11311\"", "stays on loopback"),
        ("mysql://", "oracle://", "mysql://user@host"),
        ("127.0.0.1:11211", "127.0.0.1", "not a server's address"),
        ("[caches.main]", "tls = \"on\"\n[caches.main]", "\"off\", \"require\", \"verify\""),
        ("[caches.main]", "tls = \"off\"\nca_file = \"ca.pem\"\n[caches.main]", "tls = \"verify\" only"),
        ("cache = \"main\"", "cache = \"main\"\nvalue_column = \"a\"", "format = \"raw\""),
    ] {
        let text = WHOLE.replace(right, wrong);
        assert_ne!(text, WHOLE);
        let mistake = mistake(&text);
        assert!(mistake.to_string().contains(help), "{wrong}: {mistake}");
        assert!(mistake.span.is_some(), "{wrong}: {mistake}");
        assert!(!mistake.to_string().contains("hunter2"));
    }
}

#[test]
fn a_url_alone_serves_every_table_for_reading() {
    let settings = Settings::of_url("sqlite:shop.db", Access::Read).expect("settings");
    assert_eq!(settings.sources[0].tables, TableChoice::All { except: Vec::new() });
    assert_eq!(settings.sources[0].access, Access::Read);
    assert!(Settings::of_url("http://localhost/shop", Access::Read).is_err());
    let settings =
        Settings::of_url("postgresql://me:hunter2@localhost/shop", Access::Read).expect("settings");
    assert!(matches!(&settings.sources[0].kind, SourceKind::Postgres { .. }));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn an_empty_file_is_told_what_to_add() {
    assert!(mistake("").to_string().contains("[sources.NAME]"));
}

/// The mistake in `memcached = { … }`, and the words that it underlines.
fn memcached_mistake(memcached: &str) -> (ConfigError, String) {
    let servers = "servers = [{ name = \"a\", address = \"127.0.0.1:11211\" }]";
    assert!(WHOLE.contains(servers));
    let text = WHOLE.replace(servers, memcached);
    let mistake = mistake(&text);
    let underlined = text[mistake.span.clone().expect("a place")].to_owned();
    (mistake, underlined)
}

#[test]
fn servers_are_told_apart_and_each_mistake_is_at_its_place() {
    for (memcached, underlined, words) in [
        ("servers = []", "[]", "1 to 1024 servers"),
        (r#"servers = ["a:1", "b"]"#, "\"b\"", "not a server's address"),
        (r#"servers = ["a:1", ":2"]"#, "\":2\"", "not a server's address"),
        (r#"servers = ["a:1", "a:1"]"#, "\"a:1\"", "two servers have the name `a:1`"),
        (
            r#"servers = ["a:1", { name = "a:1", address = "b:1" }]"#,
            r#"{ name = "a:1", address = "b:1" }"#,
            "two servers have the name",
        ),
        (
            r#"servers = ["a:1", { name = "b", address = "a:1" }]"#,
            r#"{ name = "b", address = "a:1" }"#,
            "two servers have the address `a:1`",
        ),
        (
            r#"servers = [{ name = "a b", address = "a:1" }]"#,
            r#"{ name = "a b", address = "a:1" }"#,
            "a server's name",
        ),
        (r#"servers = ["a:1"], distribution = "ketema""#, "\"ketema\"", "there is no distribution `ketema`"),
    ] {
        let (mistake, at) = memcached_mistake(memcached);
        assert_eq!(at, underlined, "{mistake}");
        assert!(mistake.message.contains(words), "{mistake}");
        assert!(mistake.help.is_some(), "{mistake}");
    }
    let (mistake, _) = memcached_mistake(r#"servers = ["a:1"], distribution = "ketema""#);
    assert_eq!(mistake.help.as_deref(), Some("did you mean `ketama`?"));
}

#[test]
fn several_servers_and_their_distribution_are_taken() {
    let servers = "servers = [{ name = \"a\", address = \"127.0.0.1:11211\" }]";
    let several =
        r#"servers = ["10.0.0.1:11211", { name = "b", address = "[::1]:11211" }], distribution = "ketama""#;
    let settings = Settings::parse(&WHOLE.replace(servers, several), &environment).expect("settings");
    let CacheKind::Memcached(memcached) = &settings.caches[0].kind else { panic!("not memcached") };
    let named = memcached.servers.iter().map(|server| (server.name.as_str(), server.address.as_str()));
    assert!(named.eq([("10.0.0.1:11211", "10.0.0.1:11211"), ("b", "[::1]:11211")]));
    assert_eq!(memcached.distribution, Distribution::Ketama);
}

#[test]
fn l1_is_a_word_or_a_table() {
    let l1 = |written: &str| {
        let text = WHOLE.replace("[caches.main]", &format!("[caches.main]\nl1 = {written}"));
        let settings = Settings::parse(&text, &environment)?;
        let CacheKind::Memcached(memcached) = &settings.caches[0].kind else { panic!("not memcached") };
        Ok::<_, ConfigError>(memcached.l1)
    };
    let capacity_bytes = 64 << 20;
    assert_eq!(l1("\"off\""), Ok(L1Settings::Off));
    assert_eq!(l1("\"validate\""), Ok(L1Settings::Validate { capacity_bytes }));
    assert_eq!(l1("{ ttl = \"1s\" }"), Ok(L1Settings::ForTtl { ttl_ms: 1_000, capacity_bytes }));
    let small = L1Settings::Validate { capacity_bytes: 2 << 20 };
    assert_eq!(l1("{ capacity = \"2 MiB\" }"), Ok(small));
    for (written, words) in [
        ("\"on\"", "`on` is none of the choices"),
        ("{ ttl = \"1ms\" }", "10ms to 1h"),
        ("{ capacity = \"1 KiB\" }", "at least 1 MiB"),
        ("{ tll = \"1s\" }", "`l1` takes"),
    ] {
        let mistake = l1(written).expect_err("a mistake");
        assert!(mistake.message.contains(words), "{written}: {mistake}");
        assert!(mistake.span.is_some(), "{mistake}");
    }
    let memory = "[caches.main]\nl1 = \"validate\"\nmemory = { }\n[plain]\n";
    assert!(mistake(memory).message.contains("has no l1"));
}

#[test]
fn a_memcached_password_is_taken_from_the_environment_and_never_shown() {
    let servers = "servers = [{ name = \"a\", address = \"127.0.0.1:11211\" }]";
    let with = |more: &str| WHOLE.replace(servers, &format!("{servers}, {more}"));
    let text = with("username = \"us\", password = \"${SHOP_PASSWORD}\"");
    let settings = Settings::parse(&text, &environment).expect("settings");
    let CacheKind::Memcached(memcached) = &settings.caches[0].kind else { panic!("not memcached") };
    assert_eq!(memcached.credentials, MemcachedCredentials::new("us", "hunter2"));
    assert!(!format!("{settings:?}").contains("hunter2"));
    for (more, underlined, words) in [
        ("username = \"us\"", "\"us\"", "needs its password"),
        ("password = \"p\"", "\"p\"", "needs its user name"),
        ("username = \"u s\", password = \"p\"", "\"u s\"", "holds a blank"),
        ("username = \"us\", password = \"${NOT_SET}\"", "\"${NOT_SET}\"", "`NOT_SET` is not set"),
        ("password = \"p\", password_file = \"/p\"", "\"/p\"", "exclude each other"),
        (
            "tls = { ca_file = \"/nowhere.pem\" }",
            "{ ca_file = \"/nowhere.pem\" }",
            "`/nowhere.pem` cannot be used",
        ),
        (
            "tls = { ca_file = \"/nowhere.pem\", key_file = \"k\" }",
            "{ ca_file = \"/nowhere.pem\", key_file = \"k\" }",
            "set together",
        ),
        ("tls = { ca = \"/nowhere.pem\" }", "ca", "unknown field `ca`"),
    ] {
        let text = with(more);
        let mistake = mistake(&text);
        assert_eq!(&text[mistake.span.clone().expect("a place")], underlined, "{mistake}");
        assert!(mistake.message.contains(words), "{mistake}");
    }
}
