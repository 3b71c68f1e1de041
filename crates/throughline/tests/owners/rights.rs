// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon that only reads needs neither our tables nor a right on them.

use throughline::{Assembly, Throughline};

use crate::database::{Database, Kind, over_every_database};
use crate::{House, READ, get, kill};

over_every_database! {
    without_our_tables_nothing_is_said_of_owners,
    an_account_that_may_not_look_is_told_once_and_serves,
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

async fn an_account_that_may_not_look_is_told_once_and_serves(kind: Kind) {
    const NAME: &str = "owners_guest";
    let house = House::new(kind, NAME);
    house.install().await;
    let database = Database::shared(kind);
    let (scheme, account) = match kind {
        Kind::Mariadb => (
            "mysql",
            "CREATE USER 'owners_reader'@'%' IDENTIFIED BY 'pw'; \
             GRANT SELECT ON owners_guest.payment TO 'owners_reader'@'%'; \
             GRANT SELECT ON owners_guest.refund TO 'owners_reader'@'%'",
        ),
        Kind::Postgres => (
            "postgresql",
            "CREATE ROLE owners_reader LOGIN PASSWORD 'pw'; GRANT SELECT ON payment, refund TO owners_reader",
        ),
    };
    database.execute_in(NAME, account);
    let url = format!("{scheme}://owners_reader:pw@{}/{NAME}", database.address());
    let settings = house.settings(&url, "one", ("payment", "payment", READ));
    let reader = Assembly::new(settings).open().await.unwrap();
    assert_eq!(said_of_owners(&reader), 1, "{:?}", reader.notices());
    let notice = reader.notices().iter().find(|notice| notice.text.contains("tl_applied")).unwrap();
    assert!(notice.text.contains("GRANT SELECT") && !notice.is_fault, "{notice:?}");
    assert!(get(&reader, "payment").await.is_ok());
    kill(reader).await;
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
