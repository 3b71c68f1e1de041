// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that cannot be made say why and what to do.

use throughline_core::ErrorKind;
use throughline_sources::sql::TableMapping;
use throughline_testkit::{Memcached, MemcachedOptions};

use crate::fixture::Database;
use crate::servers::connect::refused;

#[tokio::test]
async fn a_memcached_is_not_taken_for_a_mysql() {
    let memcached = Memcached::start(MemcachedOptions::default());
    let error = refused(|config| {
        config.port = memcached.address().port();
        config.connect_timeout_ms = 200;
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.detail().contains("is it a MySQL or MariaDB server?"), "{error}");
}

#[tokio::test]
async fn the_catalogue_says_what_can_be_served_and_why_not() {
    let schema = "
        create table good (id bigint unsigned auto_increment primary key, j json, c varchar(9) not null default 'x',
            g int as (length(c)) stored, unique key by_c (c));
        create table child (a int, b char(3), parent bigint unsigned, primary key (b, a),
            foreign key (parent) references good (id) on delete cascade);
        create trigger note after insert on child for each row update good set c = 'y' where id = new.parent;
        create table keyless (v int);
        create table isam (id int primary key) engine = myisam;
        create table part (v varchar(900), primary key (v(10)));
        create view seen as select id from good";
    let database = Database::new("connect_catalogue", schema).await;
    let tables = database.source.tables().await.unwrap();
    let table = |name: &str| tables.iter().find(|table| table.name == name).unwrap();
    let good = table("good");
    assert_eq!((good.unservable.as_deref(), good.has_other_unique), (None, true));
    assert_eq!(good.primary_key, [0]);
    assert!(good.columns[0].auto_increment && good.columns[3].generated && !good.columns[2].nullable);
    assert_eq!(format!("{:?}", good.columns[1].kind), "Json");
    assert_eq!(good.columns[2].default.as_deref(), Some("'x'"));
    let child = table("child");
    assert_eq!(child.primary_key, [1, 0]);
    assert_eq!(child.foreign_keys[0].parent, "good");
    assert!(child.triggers[0].body.contains("update good"));
    for (name, why) in [("keyless", "no primary key"), ("part", "first part"), ("seen", "view")] {
        assert!(table(name).unservable.as_deref().unwrap().contains(why), "{name}");
    }
    let isam = database.table("isam").await;
    assert!(isam.strict_obstacle().unwrap().contains("MyISAM"));
    assert_eq!(database.table("good").await.strict_obstacle(), None);
    let error = database.source.resource(&TableMapping::json("none")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}
