// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damaged files: a torn tail is cut off, anything else is refused and named.

use throughline_core::ErrorKind;

use crate::bed::{append_all, numbers, open};
use throughline_testkit::Disk;

/// A disk with 30 records in several segments, written one by one.
async fn filled() -> Disk {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    for number in 0..30 {
        append_all(&opened.journal, number..=number).await.remove(0).unwrap();
    }
    drop(opened);
    assert!(disk.names().len() > 2);
    disk
}

fn refused(disk: &Disk, name: &str) {
    let error = open(disk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.to_string();
    assert!(text.contains(name) && text.contains("restore it from a copy"), "{text}");
}

/// Where the bytes of the file end that are not zero.
fn end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_of_the_last_record_costs_that_record_alone() {
    let disk = Disk::new();
    let opened = open(&disk).unwrap();
    append_all(&opened.journal, 1..=1).await.remove(0).unwrap();
    let name = disk.names().remove(0);
    let start = end(&disk.bytes(&name)).next_multiple_of(8);
    append_all(&opened.journal, 2..=2).await.remove(0).unwrap();
    drop(opened);
    let whole = disk.bytes(&name);
    for cut in start..end(&whole) {
        let disk = Disk::new();
        drop(open(&disk).unwrap());
        disk.damage(&name, |bytes| {
            bytes.clone_from(&whole);
            bytes[cut..].fill(0);
        });
        let opened = open(&disk).unwrap();
        assert_eq!(numbers(&opened), [1], "cut at {cut}");
        assert_eq!(opened.cut_bytes > 0, cut > start, "cut at {cut}");
        append_all(&opened.journal, 3..=3).await.remove(0).unwrap();
        drop(opened);
        assert_eq!(numbers(&open(&disk).unwrap()), [1, 3], "cut at {cut}");
    }
}

#[tokio::test]
async fn damage_in_the_middle_of_the_last_segment_is_refused() {
    let disk = filled().await;
    let name = disk.names().pop().unwrap();
    disk.damage(&name, |bytes| bytes[60] ^= 1);
    refused(&disk, &name);
}

#[tokio::test]
async fn damage_in_an_earlier_segment_is_refused_even_at_its_end() {
    let disk = filled().await;
    let name = disk.names().remove(0);
    disk.damage(&name, |bytes| {
        let end = end(bytes);
        bytes[end - 1] ^= 1;
    });
    refused(&disk, &name);
}

#[tokio::test]
async fn an_end_that_became_zeros_in_an_earlier_segment_is_refused() {
    let disk = filled().await;
    let names = disk.names();
    disk.damage(&names[0], |bytes| bytes[40..].fill(0));
    refused(&disk, &names[1]);
}

#[tokio::test]
async fn a_segment_that_is_missing_is_refused() {
    let disk = filled().await;
    let name = disk.names().remove(1);
    disk.remove_file(&name);
    refused(&disk, &name);
}

#[tokio::test]
async fn a_damaged_header_is_refused() {
    let disk = filled().await;
    for name in [disk.names().remove(0), disk.names().pop().unwrap()] {
        disk.damage(&name, |bytes| bytes[20] ^= 1);
        refused(&disk, &name);
        disk.damage(&name, |bytes| bytes[20] ^= 1);
    }
    assert_eq!(numbers(&open(&disk).unwrap()).len(), 30);
}

#[tokio::test]
async fn a_format_of_a_newer_program_is_refused_and_left_alone() {
    let disk = filled().await;
    let name = disk.names().remove(0);
    // Format 2 with the checksum that belongs to it.
    disk.damage(&name, |bytes| {
        bytes[8] = 2;
        let crc = crc32c(&bytes[..32]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
    });
    let before = disk.bytes(&name);
    let error = open(&disk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("has format 2"), "{error}");
    assert_eq!(disk.bytes(&name), before);
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
