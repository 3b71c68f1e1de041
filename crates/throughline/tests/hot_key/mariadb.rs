// SPDX-License-Identifier: MIT OR Apache-2.0
//! Over MariaDB and memcached, strict.

use throughline::config::Settings;
use throughline::{Assembly, Level, Throughline};
use throughline_testkit::{Mariadb, MariadbOptions, Memcached, MemcachedOptions};

use crate::counter::{
    RESOURCE, TABLE, a_bad_value_fails_alone, a_chain_of_compare_and_sets_holds,
    conditions_are_decided_one_after_the_other, counter, no_step_of_a_counter_is_lost,
    writes_that_meet_are_one_transaction,
};

fn count(program: &Throughline, role: &str, name: &str) -> u64 {
    let gauges = program.gauges();
    gauges.iter().find(|gauge| gauge.role == role && gauge.name == name).expect("the gauge").number
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_of_one_row_are_few_transactions() {
    let server = Mariadb::start(MariadbOptions::fast());
    let cache = Memcached::start(MemcachedOptions::default());
    let url = server.create_database("shop");
    server.execute(&format!("use shop; {TABLE}"));
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"] }}\n{RESOURCE}",
        cache.address()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    throughline::install(&settings).await.unwrap();
    let one = Assembly::new(settings.clone()).open().await.unwrap();
    let two = Assembly::new(settings).open().await.unwrap();
    assert_eq!(counter(&one).space().policy().level, Level::Strict);

    let statements = count(&one, "source", "write_statements");
    writes_that_meet_are_one_transaction(&one).await;
    // The holder: begin, read, roll back. The first: UPDATE, SELECT, COMMIT. The others: 15 times UPDATE, SELECT, and one COMMIT.
    assert_eq!(count(&one, "source", "write_statements") - statements, 3 + 3 + (2 * 15 + 1));
    conditions_are_decided_one_after_the_other(&one).await;
    a_chain_of_compare_and_sets_holds(&one).await;
    a_bad_value_fails_alone(&one).await;
    no_step_of_a_counter_is_lost(&[&one, &two]).await;
}
