// SPDX-License-Identifier: MIT OR Apache-2.0
//! Those promises of the sources' contract that HTTP can keep. What it cannot: locks that a load probes, several
//! records in one transaction, and the record read back before the commit. What the promises say of columns is for
//! tables; how the bank decides conditions is tested in `writes`.

use std::sync::Arc;

use throughline_bank::{Bank, BankOptions};
use throughline_sources::http::HttpConfig;
use throughline_testkit::contract::source::{SourceSubject, SourceTable};

use crate::fixture::{open, resource};

async fn subject() -> SourceSubject {
    let bank = Bank::start(BankOptions::quick()).await.unwrap();
    let source = open(HttpConfig::parse_url(&bank.url()).unwrap());
    let table = |path| {
        let resource = resource(&source, path);
        SourceTable { loader: Arc::clone(&resource) as _, writer: resource }
    };
    let (person, note) = (table("/persons/{id}"), table("/notes/{name}"));
    let load_statements = Box::new(move || source.stats().read_requests);
    SourceSubject { person, note, load_statements, keep: Box::new(bank) }
}

throughline_testkit::source_contract! {
    @tests (subject())
    loads::an_absent_key_is_found_absent,
    loads::sent_is_tripped_by_a_load_and_by_nothing_before,
    loads::a_hostile_key_is_just_a_key,
    fills::a_quiet_key_is_fillable_present_or_absent,
    fills::without_a_lease_nothing_is_fillable,
    writes::a_delete_removes_the_row,
}
