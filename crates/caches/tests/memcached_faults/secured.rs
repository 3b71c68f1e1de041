// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS and passwords, with real servers.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use throughline_caches::{
    MemcachedCache, MemcachedConfig, MemcachedCredentials, MemcachedTls, MemcachedTlsFiles,
};
use throughline_core::{Cache, ErrorKind, Lookup};
use throughline_testkit::{Memcached, Scratch};

use crate::house::{cache_on, counted, entry, eventually, hit, patient, put, raw, read, slot, started};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    // Without a name of its own its certificates would look as if they had signed themselves.
    params.distinguished_name.push(DnType::CommonName, "the tests' authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

fn write(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    let path = scratch.path().join(name);
    std::fs::write(&path, text).expect("the folder is ours");
    path
}

/// A certificate for `name` and its key, as files.
fn certified(scratch: &Scratch, authority: &Authority, name: &str, label: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    (
        write(scratch, &format!("{label}.pem"), &certificate.pem()),
        write(scratch, &format!("{label}.key"), &key.serialize_pem()),
    )
}

/// A server that speaks TLS under a certificate for `name`.
fn tls_server(scratch: &Scratch, authority: &Authority, name: &str, more: &str) -> Memcached {
    let (certificate, key) = certified(scratch, authority, name, "server");
    let options = format!("ssl_chain_cert={},ssl_key={}{more}", certificate.display(), key.display());
    started(&["-Z", "-o", &options])
}

fn trusting(ca_file: &Path) -> MemcachedTlsFiles {
    MemcachedTlsFiles { ca_file: ca_file.to_owned(), ..MemcachedTlsFiles::default() }
}

fn cache(server: &Memcached, files: &MemcachedTlsFiles) -> MemcachedCache {
    let tls = MemcachedTls::read(files).expect("the files were just written");
    cache_on(MemcachedConfig { tls: Some(tls), ..patient(server.address()) })
}

#[tokio::test]
async fn entries_travel_within_tls() {
    let (scratch, authority) = (Scratch::new(), authority());
    let server = tls_server(&scratch, &authority, "127.0.0.1", "");
    let ca_file = write(&scratch, "ca.pem", &authority.pem());
    let cache = cache(&server, &trusting(&ca_file));
    cache.probe().await.expect("the server speaks TLS");
    let large = "v".repeat(500_000);
    put(&cache, &slot("a"), &large).await;
    assert_eq!(hit(&cache, &slot("a")).await.into_entry(), entry(large));
    let slots: Vec<_> = (0..500).map(|number| slot(&number.to_string())).collect();
    let marks = cache.mark(&slots).await;
    assert!(marks.iter().all(Result::is_ok));
    server.restart();
    eventually("it is back", async || cache.peek(&slot("a")).await.ok()).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let (scratch, authority) = (Scratch::new(), authority());
    let server = tls_server(&scratch, &authority, "127.0.0.1", "");
    let other = write(&scratch, "other.pem", &self::authority().pem());
    let error = cache(&server, &trusting(&other)).probe().await.expect_err("another authority");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.detail().contains("no TLS connection"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_that_name_is_asked_for() {
    let (scratch, authority) = (Scratch::new(), authority());
    let server = tls_server(&scratch, &authority, "cache.example", "");
    let files = trusting(&write(&scratch, "ca.pem", &authority.pem()));
    let error = cache(&server, &files).probe().await.expect_err("another name");
    assert!(error.detail().contains("no TLS connection"), "{error}");
    let named = MemcachedTlsFiles { server_name: Some("cache.example".to_owned()), ..files };
    cache(&server, &named).probe().await.expect("the name that was asked for");
}

#[tokio::test]
async fn a_server_that_wants_our_certificate_is_shown_it() {
    let (scratch, authority) = (Scratch::new(), authority());
    let ca_file = write(&scratch, "ca.pem", &authority.pem());
    let more = format!(",ssl_verify_mode=2,ssl_ca_cert={}", ca_file.display());
    let server = tls_server(&scratch, &authority, "127.0.0.1", &more);
    let files = trusting(&ca_file);
    cache(&server, &files).probe().await.expect_err("it wants a certificate");
    let own = Some(certified(&scratch, &authority, "client", "client"));
    cache(&server, &MemcachedTlsFiles { own, ..files }).probe().await.expect("it was shown one");
}

#[tokio::test]
async fn tls_with_a_server_that_speaks_none_is_told() {
    let scratch = Scratch::new();
    let ca_file = write(&scratch, "ca.pem", &authority().pem());
    let server = started(&[]);
    let error = cache(&server, &trusting(&ca_file)).probe().await.expect_err("it speaks none");
    assert!(error.detail().contains("no TLS connection"), "{error}");
    let guarded = tls_server(&scratch, &authority(), "127.0.0.1", "");
    let error = cache_on(patient(guarded.address())).probe().await.expect_err("it speaks nothing else");
    assert!(error.detail().contains("TLS"), "{error}");
}

/// A server that knows one user.
fn guarded(scratch: &Scratch) -> Memcached {
    let file = write(scratch, "users", "throughline:correct-horse\n");
    started(&["-Y", &file.display().to_string()])
}

fn with_password(server: &Memcached, password: &str) -> MemcachedCache {
    let credentials = MemcachedCredentials::new("throughline", password);
    cache_on(MemcachedConfig { credentials, ..patient(server.address()) })
}

#[tokio::test]
async fn a_password_opens_every_connection() {
    let scratch = Scratch::new();
    let server = guarded(&scratch);
    let cache = with_password(&server, "correct-horse");
    cache.probe().await.expect("the password is right");
    for number in 0..20 {
        put(&cache, &slot(&number.to_string()), "v").await;
    }
    server.restart();
    let connects = async || (read(&cache.stats(throughline_core::NodeId(0)).connects) >= 4).then_some(());
    eventually("both connections are back", connects).await;
    assert!(matches!(cache.get(&slot("1")).await, Ok(Lookup::Leased(_))));
}

#[tokio::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let scratch = Scratch::new();
    let server = guarded(&scratch);
    let cache = with_password(&server, "wrong-staple");
    let error = cache.probe().await.expect_err("the password is wrong");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.detail().contains("refused the user name and password"), "{error}");
    let called = cache.get(&slot("a")).await.expect_err("the password is wrong");
    assert_eq!(called.kind(), ErrorKind::Unavailable);
    for shown in [format!("{error:?}"), format!("{called:?}"), format!("{cache:?}")] {
        assert!(!shown.contains("staple"), "{shown}");
    }
    let without = cache_on(patient(server.address())).probe().await.expect_err("no password");
    assert_eq!(without.kind(), ErrorKind::Denied);
    assert!(without.detail().contains("set `username` and `password`"), "{without}");
}

#[tokio::test]
async fn a_server_that_wants_no_password_never_gets_it() {
    let server = started(&[]);
    let cache = with_password(&server, "correct-horse");
    cache.probe().await.expect("it wants none");
    assert_eq!(raw(server.address(), "mg auth v\r\n"), b"EN\r\n");
    // The number that tells it from others is all that it keeps.
    assert_eq!(counted(server.address(), "curr_items"), 1);
}
