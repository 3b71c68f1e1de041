// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real folder, and a process that is killed while it writes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use throughline_core::{ErrorKind, Journal as _};
use throughline_journals::{LocalJournal, LocalJournalConfig};

use crate::bed::{numbers, record};

/// The folder of a child, which is this test program run again.
const CHILD: &str = "THROUGHLINE_TEST_JOURNAL";

fn config(folder: &Path) -> LocalJournalConfig {
    LocalJournalConfig { segment_bytes: 64 << 10, ..LocalJournalConfig::new(folder.join("journal")) }
}

/// In a child: appends for ever, and says each number when it was acknowledged. Otherwise nothing.
#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let opened = LocalJournal::open(&config(Path::new(&folder))).unwrap();
    for number in opened.pending.len() as u64.. {
        opened.journal.append(record(number)).await.unwrap();
        println!("\nacknowledged {number}");
    }
}

fn start(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "real::child", "--nocapture", "--test-threads=1"]).env(CHILD, folder);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Lets the child go on for `count` records and kills it; the last number that it said.
fn kill_after(mut child: Child, count: usize) -> u64 {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
    let mut last = said.nth(count).expect("it appends for ever");
    child.kill().unwrap();
    child.wait().unwrap();
    // What was on its way counts as well.
    last = said.last().unwrap_or(last);
    last
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for round in 0..5 {
        let last = kill_after(start(folder.path()), 40 * (round + 1));
        let opened = LocalJournal::open(&config(folder.path())).unwrap();
        let told = numbers(&opened);
        assert!(told.len() as u64 > last, "{} told, {last} acknowledged", told.len());
        assert_eq!(told, (0..told.len() as u64).collect::<Vec<_>>());
        assert!(told.len() > count);
        count = told.len();
    }
}

#[test]
fn a_second_process_is_refused_and_told_who_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("acknowledged")));
    let error = LocalJournal::open(&config(folder.path())).unwrap_err();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains(&format!("process {} has the folder", child.id())), "{error}");
    LocalJournal::open(&config(folder.path())).unwrap();
}

#[tokio::test]
async fn a_real_folder_keeps_records_and_removes_what_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let opened = LocalJournal::open(&config(folder.path())).unwrap();
    let mut positions = Vec::new();
    for number in 0..300 {
        positions.push(opened.journal.append(record(number)).await.unwrap());
    }
    opened.journal.confirm(&positions[..299]);
    drop(opened);
    let opened = LocalJournal::open(&config(folder.path())).unwrap();
    assert_eq!(numbers(&opened), [299]);
    assert!(opened.journal.stats().bytes <= 3 * (64 << 10));
}
