// SPDX-License-Identifier: MIT OR Apache-2.0

use throughline_core::ErrorKind;

use super::{MemcachedProbe, MemcachedServer, Result, Settings};

const GOOD: &str = "VERSION 1.6.18\r\nSTAT pid 1\r\nEND\r\n\
    STAT cas_enabled yes\r\nSTAT item_size_max 1048576\r\nSTAT memory_file (null)\r\nEND\r\n";

fn asked(answers: &str) -> Result<Option<MemcachedProbe>> {
    let name = throughline_core::NodeName::new("a").unwrap();
    let server = MemcachedServer { name, address: "there:1".to_owned() };
    match Settings::read(answers.as_bytes(), &server)? {
        Some((settings, _)) => settings.admit(&server).map(Some),
        None => Ok(None),
    }
}

fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    let error = asked(&GOOD.replace(from, to)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    error.detail().to_owned()
}

#[test]
fn a_usual_server_is_admitted_with_its_limits() {
    let probe = asked(GOOD).unwrap().unwrap();
    assert_eq!(probe.version(), "1.6.18");
    assert_eq!(probe.item_len_max(), 1_048_576);
    assert_eq!(probe.value_len_max(), 1_047_552);
}

#[test]
fn answers_may_come_in_any_pieces() {
    for len in 0..GOOD.len() {
        assert_eq!(asked(&GOOD[..len]).unwrap(), None, "after {len} bytes");
    }
}

#[test]
fn each_reason_to_refuse_names_its_remedy() {
    assert!(refusal("1.6.18", "1.6.17").contains("1.6.18 or newer"));
    assert!(refusal("1.6.18", "1.5.6").contains("too old"));
    assert!(refusal("1.6.18", "unknown").contains("not understood"));
    assert!(refusal("cas_enabled yes", "cas_enabled no").contains("without -C"));
    assert!(refusal("(null)", "/dev/shm/contents").contains("without -e"));
    assert!(refusal("STAT pid 1", "STAT extstore_limit_maxbytes 1").contains("without ext_path"));
    assert!(refusal("item_size_max", "item_size").contains("how large"));
}

#[test]
fn newer_versions_and_their_suffixes_are_understood() {
    for version in ["1.6.18-beta2", "1.6.45", "1.10.0", "2.0.0"] {
        let probe = asked(&GOOD.replace("1.6.18", version)).unwrap().unwrap();
        assert_eq!(probe.version(), version);
    }
}
