// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control tables on a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use throughline_core::{ControlStore as _, ErrorKind};
use throughline_sources::DatabaseControl;
use throughline_sources::mysql::{MysqlConfig, MysqlSource, install, install_script};
use throughline_sources::sql::{CONTROL_VERSION, ControlTables, Installed};
use throughline_testkit::TestTasks;
use throughline_testkit::contract::control::ControlSubject;

use crate::fixture::server;

throughline_testkit::control_contract!(subject());

/// A new database and its settings.
fn database() -> (String, MysqlConfig) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("control_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let url = server().create_database(&name);
    (name, MysqlConfig::parse_url(&url).unwrap())
}

async fn open(config: &MysqlConfig) -> ControlTables<Arc<DatabaseControl>> {
    let source = MysqlSource::connect(config.clone(), &TestTasks).await.unwrap();
    source.control(&TestTasks).await.unwrap()
}

async fn ready(config: &MysqlConfig) -> Arc<DatabaseControl> {
    match open(config).await {
        ControlTables::Ready(control) => control,
        other => panic!("{other:?}"),
    }
}

async fn subject() -> ControlSubject {
    let (_, config) = database();
    install(config.clone()).await.unwrap();
    ControlSubject { store: ready(&config).await, another: ready(&config).await, keep: Box::new(()) }
}

#[tokio::test]
async fn installing_twice_changes_nothing_the_second_time() {
    let (name, config) = database();
    let first = install(config.clone()).await.unwrap();
    assert_eq!(first, Installed { before: 0, version: CONTROL_VERSION });
    server().execute(&format!("use {name}; UPDATE tl_config SET lease_ms = 700"));
    let second = install(config.clone()).await.unwrap();
    assert_eq!(second, Installed { before: CONTROL_VERSION, version: CONTROL_VERSION });
    assert_eq!(ready(&config).await.view().await.unwrap().lease_ms, 700);
}

#[tokio::test]
async fn an_installation_that_broke_off_is_completed() {
    let (name, config) = database();
    install(config.clone()).await.unwrap();
    server().execute(&format!("use {name}; DROP TABLE tl_node; UPDATE tl_meta SET version = 0"));
    assert_eq!(install(config.clone()).await.unwrap().before, 0);
    ready(&config).await.view().await.unwrap();
}

#[tokio::test]
async fn tables_that_are_missing_or_newer_are_not_used_and_the_remedy_is_told() {
    let (name, config) = database();
    let ControlTables::Unusable { why, remedy } = open(&config).await else { panic!("there are none") };
    assert!(why.contains("no control tables") && remedy.contains("throughline init"), "{why}: {remedy}");
    install(config.clone()).await.unwrap();
    server().execute(&format!("use {name}; UPDATE tl_meta SET version = 99"));
    let ControlTables::Unusable { why, .. } = open(&config).await else { panic!("it is newer") };
    assert!(why.contains("version 99"), "{why}");
    let error = install(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn an_account_that_lacks_a_right_is_told_which_to_grant() {
    let (name, mut config) = database();
    config.user = format!("{name}_reader");
    config.password = throughline_sources::mysql::Password::new("secret-of-a-test");
    server().execute(&format!(
        "CREATE USER '{0}'@'%' IDENTIFIED BY 'secret-of-a-test'; GRANT SELECT ON {name}.* TO '{0}'@'%'",
        config.user
    ));
    let error = install(config.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.detail().contains("GRANT CREATE, ALTER"), "{error}");
    // An administrator runs the script, whose last lines are what the daemons' account needs.
    let script = install_script(&config);
    let (grants, tables): (Vec<_>, Vec<_>) = script.iter().partition(|sql| sql.starts_with("GRANT"));
    server()
        .execute(&format!("use {name}; {}", tables.iter().map(|sql| format!("{sql};")).collect::<String>()));
    let ControlTables::Unusable { why, remedy } = open(&config).await else { panic!("no right to write") };
    assert!(
        why.contains("may not use") && remedy.contains("GRANT SELECT, INSERT, UPDATE"),
        "{why}: {remedy}"
    );
    server()
        .execute(&format!("use {name}; {}", grants.iter().map(|sql| format!("{sql};")).collect::<String>()));
    ready(&config).await.view().await.unwrap();
}

#[tokio::test]
async fn waiting_views_are_one_statement() {
    let (_, config) = database();
    install(config.clone()).await.unwrap();
    let source = MysqlSource::connect(config, &TestTasks).await.unwrap();
    let ControlTables::Ready(control) = source.control(&TestTasks).await.unwrap() else {
        panic!("installed")
    };
    let before = source.stats().control_statements;
    let views = join_all((0..100).map(|_| control.view())).await;
    assert!(views.iter().all(Result::is_ok));
    let sent = source.stats().control_statements - before;
    assert!(sent <= 4, "{sent} statements for 100 views");
}

#[tokio::test]
async fn a_replica_is_no_control_store() {
    let replica = throughline_testkit::Mariadb::start(throughline_testkit::MariadbOptions::fast());
    let config = MysqlConfig::parse_url(&replica.url()).unwrap();
    install(config.clone()).await.unwrap();
    let control = ready(&config).await;
    control.view().await.unwrap();
    replica.execute("SET GLOBAL read_only = 1");
    let error = control.view().await.unwrap_err();
    assert!(error.detail().contains("connect to the primary"), "{error}");
}
