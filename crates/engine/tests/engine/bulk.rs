// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of reads of many keys.

use throughline_core::{ErrorKind, Key, Mode};
use throughline_engine::Read;

use crate::bed::{Bed, key, strict};

fn values(reads: Vec<throughline_core::Result<Read>>) -> Vec<Option<String>> {
    let text = |read: Read| read.record().map(|record| String::from_utf8(record.value.to_vec()).unwrap());
    reads.into_iter().map(|read| text(read.unwrap())).collect()
}

fn keys(texts: &[&str]) -> Vec<Key> {
    texts.iter().map(|text| key(text)).collect()
}

#[tokio::test(start_paused = true)]
async fn partial_hits_need_one_look_up_and_one_bulk_load() {
    let bed = Bed::new(strict());
    bed.get("2").await;
    let (loads, look_ups) = (bed.source.loads(), bed.cache.look_ups());
    let read = bed.space.get_many(&keys(&["3", "2", "9", "1", "3"])).await;
    let expected = [Some("three"), Some("two"), None, Some("one"), Some("three")];
    assert_eq!(values(read), expected.map(|value| value.map(str::to_owned)));
    assert_eq!(bed.source.loads() - loads, 1);
    assert_eq!(bed.cache.look_ups() - look_ups, 1);
    bed.space.get_many(&keys(&["1", "3", "9"])).await;
    assert_eq!(bed.source.loads() - loads, 1, "the bulk load filled");
}

#[tokio::test(start_paused = true)]
async fn one_bad_key_is_its_own_error() {
    let bed = Bed::new(strict());
    let read = bed.space.get_many(&keys(&["1", ""])).await;
    assert!(read[0].is_ok());
    assert_eq!(read[1].as_ref().unwrap_err().kind(), ErrorKind::InvalidKey);
}

#[tokio::test(start_paused = true)]
async fn without_the_cache_it_is_one_bulk_load() {
    let bed = Bed::new(strict());
    bed.cache.set_down(true);
    assert_eq!(values(bed.space.get_many(&keys(&["1", "2"])).await).len(), 2);
    bed.cache.set_down(false);
    bed.space.set_mode(Mode::Source).await.unwrap();
    assert_eq!(values(bed.space.get_many(&keys(&["1", "2"])).await)[1].as_deref(), Some("two"));
    assert_eq!(bed.source.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn too_many_keys_are_refused_and_load_nothing() {
    let bed = Bed::new(strict());
    let many: Vec<Key> = (0..1_001).map(|number| key(&number.to_string())).collect();
    let read = bed.space.get_many(&many).await;
    assert_eq!(read.len(), 1_001);
    assert!(
        read.iter().all(|read| { read.as_ref().is_err_and(|error| error.kind() == ErrorKind::TooLarge) })
    );
    assert_eq!(bed.source.loads(), 0);
}
