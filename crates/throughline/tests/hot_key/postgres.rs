// SPDX-License-Identifier: MIT OR Apache-2.0
//! Over PostgreSQL and memcached, strict.

use throughline::config::Settings;
use throughline::{Assembly, Level};
use throughline_testkit::{Memcached, MemcachedOptions, Postgres, PostgresOptions};

use crate::counter::{
    RESOURCE, TABLE, a_bad_value_fails_alone, a_chain_of_compare_and_sets_holds,
    conditions_are_decided_one_after_the_other, counter, no_step_of_a_counter_is_lost,
    writes_that_meet_are_one_transaction,
};

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_of_one_row_are_few_transactions() {
    let server = Postgres::start(PostgresOptions::fast());
    let cache = Memcached::start(MemcachedOptions::default());
    let url = server.create_database("shop");
    server.execute_in("shop", TABLE);
    let text = format!(
        "[sources.shop]\nurl = \"{url}\"\n[caches.main]\nmemcached = {{ servers = [\"{}\"] }}\n{RESOURCE}",
        cache.address()
    );
    let settings = Settings::parse(&text, &|_| None).unwrap();
    throughline::install(&settings).await.unwrap();
    let program = Assembly::new(settings).open().await.unwrap();
    assert_eq!(counter(&program).space().policy().level, Level::Strict);
    writes_that_meet_are_one_transaction(&program).await;
    conditions_are_decided_one_after_the_other(&program).await;
    a_chain_of_compare_and_sets_holds(&program).await;
    a_bad_value_fails_alone(&program).await;
    no_step_of_a_counter_is_lost(&[&program]).await;
}
