// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon that only reads needs neither our tables nor a right on them.

use throughline::{Assembly, Throughline};
use tokio::time::Instant;

use crate::database::{Database, Kind, over_every_database};
use crate::running::until_owner;
use crate::{BEHIND, House, LIMIT, READ, get, kill, log, stop};

over_every_database! {
    without_our_tables_nothing_is_said_of_owners,
    an_account_that_may_not_look_is_told_once_and_serves,
    a_right_that_is_revoked_for_a_while_is_missed_for_a_while,
    a_table_of_an_earlier_version_is_read,
}

fn said_of_owners(daemon: &Throughline) -> usize {
    daemon.notices().iter().filter(|notice| notice.text.contains("tl_applied")).count()
}

async fn without_our_tables_nothing_is_said_of_owners(kind: Kind) {
    let house = House::new(kind, "owners_plain");
    let reader = house.open("one", ("payment", "payment", READ)).await.unwrap();
    assert_eq!((said_of_owners(&reader), get(&reader, "payment").await.is_ok()), (0, true));
    kill(reader).await;
}

/// The URL for a new account that may read the tables, and none of ours.
fn guest(kind: Kind, name: &str, account: &str) -> String {
    let database = Database::shared(kind);
    let (scheme, sql) = match kind {
        Kind::Mariadb => (
            "mysql",
            format!(
                "CREATE USER {account}@'%' IDENTIFIED BY 'pw'; GRANT SELECT ON {name}.payment TO {account}@'%'; \
                 GRANT SELECT ON {name}.refund TO {account}@'%'"
            ),
        ),
        Kind::Postgres => (
            "postgresql",
            format!(
                "CREATE ROLE {account} LOGIN PASSWORD 'pw'; GRANT SELECT ON payment, refund TO {account}"
            ),
        ),
    };
    database.execute_in(name, &sql);
    format!("{scheme}://{account}:pw@{}/{name}", database.address())
}

async fn an_account_that_may_not_look_is_told_once_and_serves(kind: Kind) {
    const NAME: &str = "owners_guest";
    let house = House::new(kind, NAME);
    house.install().await;
    let url = guest(kind, NAME, "owners_reader");
    let settings = house.settings(&url, "one", ("payment", "payment", READ));
    let reader = Assembly::new(settings).open().await.unwrap();
    assert_eq!(said_of_owners(&reader), 1, "{:?}", reader.notices());
    let notice = reader.notices().iter().find(|notice| notice.text.contains("tl_applied")).unwrap();
    assert!(notice.text.contains("GRANT SELECT") && !notice.is_fault, "{notice:?}");
    assert!(get(&reader, "payment").await.is_ok());
    kill(reader).await;
}

async fn a_right_that_is_revoked_for_a_while_is_missed_for_a_while(kind: Kind) {
    const NAME: &str = "owners_revoked";
    log::keep();
    let house = House::new(kind, NAME);
    house.install().await;
    let url = guest(kind, NAME, "revoked_reader");
    let change = |what: &str, to: &str| {
        let account = if matches!(kind, Kind::Mariadb) { "revoked_reader@'%'" } else { "revoked_reader" };
        Database::shared(kind).execute_in(NAME, &format!("{what} SELECT ON tl_applied {to} {account}"));
    };
    change("GRANT", "TO");
    let settings = house.settings(&url, "reader", ("paid", "payment", READ));
    let reader = Assembly::new(settings).open().await.unwrap();
    let owner = house.open("owner", ("payment", "payment", BEHIND)).await.unwrap();
    until_owner(&reader, "paid", true).await;
    change("REVOKE", "FROM");
    let database = match kind {
        Kind::Mariadb => "MariaDB, database owners_revoked",
        Kind::Postgres => "PostgreSQL, database owners_revoked",
    };
    let (told, begun) = (["may not read `tl_applied` any more", database], Instant::now());
    while log::count(&told) == 0 {
        assert!(begun.elapsed() < LIMIT, "nothing is said");
        tokio::task::yield_now().await;
    }
    stop(owner).await;
    assert!(get(&reader, "paid").await.is_err(), "nobody knows that it was given up");
    change("GRANT", "TO");
    until_owner(&reader, "paid", false).await;
    assert_eq!(log::count(&told), 1);
    kill(reader).await;
}

/// Anybody may make a table of that name in a schema of his own.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_another_schema_that_may_not_be_read_hides_no_owner() {
    const NAME: &str = "owners_schemas";
    let house = House::new(Kind::Postgres, NAME);
    house.install().await;
    let url = guest(Kind::Postgres, NAME, "schemas_reader");
    Database::shared(Kind::Postgres).execute_in(
        NAME,
        "GRANT SELECT ON tl_applied TO schemas_reader; CREATE SCHEMA another; \
         CREATE TABLE another.tl_applied (LIKE public.tl_applied); \
         INSERT INTO tl_applied (lane, owner_journal, owner_name, epoch, position, of_table) \
         VALUES ('payment/0', 'j', 'somebody', 1, 0, 'public.payment')",
    );
    let settings = house.settings(&url, "one", ("paid", "payment", READ));
    let refused = Assembly::new(settings).open().await.unwrap_err();
    assert!(refused.to_string().contains("`somebody` (journal j)"), "{refused}");
}

/// Lanes that an earlier program owns are known by the resource's name only.
async fn a_table_of_an_earlier_version_is_read(kind: Kind) {
    const NAME: &str = "owners_early";
    let house = House::new(kind, NAME);
    house.install().await;
    Database::shared(kind).execute_in(
        NAME,
        "ALTER TABLE tl_applied DROP COLUMN of_table; UPDATE tl_meta SET version = 2; \
         INSERT INTO tl_applied (lane, owner_journal, owner_name, epoch, position) \
         VALUES ('payment/0', 'j', 'an early one', 1, 0)",
    );
    for again in [false, true] {
        let refused = house.refused("one", ("payment", "payment", READ)).await;
        assert!(refused.to_string().contains("`an early one` (journal j)"), "{again}: {refused}");
        kill(house.open("one", ("paid", "payment", READ)).await.unwrap()).await;
        house.install().await;
    }
}
