// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control tables on a real PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use throughline_core::{ControlStore as _, ErrorKind};
use throughline_sources::DatabaseControl;
use throughline_sources::postgres::{Password, PostgresConfig, PostgresSource, install, install_script};
use throughline_sources::sql::{CONTROL_VERSION, ControlTables, Installed};
use throughline_testkit::contract::control::ControlSubject;
use throughline_testkit::{Postgres, PostgresOptions, TestTasks};

use crate::fixture::{config_of, server};

throughline_testkit::control_contract!(subject());

/// A new database and its settings.
fn database() -> (String, PostgresConfig) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("control_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let url = server().create_database(&name);
    (name, config_of(&url))
}

async fn open(config: &PostgresConfig) -> ControlTables<Arc<DatabaseControl>> {
    let source = PostgresSource::connect(config.clone(), Arc::new(TestTasks)).await.unwrap();
    source.control().await.unwrap()
}

async fn ready(config: &PostgresConfig) -> Arc<DatabaseControl> {
    match open(config).await {
        ControlTables::Ready(control) => control,
        other => panic!("{other:?}"),
    }
}

async fn subject() -> ControlSubject {
    let (_, config) = database();
    install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    ControlSubject { store: ready(&config).await, another: ready(&config).await, keep: Box::new(()) }
}

#[tokio::test]
async fn installing_twice_changes_nothing_the_second_time() {
    let (name, config) = database();
    let first = install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    assert_eq!(first, Installed { before: 0, version: CONTROL_VERSION });
    server().execute_in(&name, "UPDATE tl_config SET lease_ms = 700");
    let second = install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    assert_eq!(second, Installed { before: CONTROL_VERSION, version: CONTROL_VERSION });
    let view = ready(&config).await.view().await.unwrap();
    assert_eq!(view.lease_ms, 700);
    let (cluster, timeline) = view.lineage.as_str().split_once(':').unwrap();
    assert!(cluster.parse::<u64>().is_ok() && timeline == "00000001", "{:?}", view.lineage);
}

#[tokio::test]
async fn an_installation_that_broke_off_is_completed() {
    let (name, config) = database();
    install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    server().execute_in(&name, "DROP TABLE tl_node; UPDATE tl_meta SET version = 0");
    assert_eq!(install(config.clone(), Arc::new(TestTasks)).await.unwrap().before, 0);
    ready(&config).await.view().await.unwrap();
}

#[tokio::test]
async fn programs_that_install_at_once_make_one_set() {
    let (name, config) = database();
    for installed in join_all((0..4).map(|_| install(config.clone(), Arc::new(TestTasks)))).await {
        installed.unwrap();
    }
    assert_eq!(server().execute_in(&name, "SELECT count(*) FROM tl_config").trim(), "1");
}

/// Accounts whose search paths differ agree on the same rows, wherever these were made.
#[tokio::test]
async fn there_is_one_set_of_tables_whatever_an_accounts_search_path_is() {
    let (name, config) = database();
    server().execute_in(
        &name,
        &format!(
            "CREATE SCHEMA house; CREATE SCHEMA other; ALTER DATABASE \"{name}\" SET search_path = house, public"
        ),
    );
    install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    server().execute_in(&name, "UPDATE house.tl_config SET lease_ms = 700");
    server().execute_in(&name, &format!("ALTER DATABASE \"{name}\" SET search_path = other, public"));
    assert_eq!(install(config.clone(), Arc::new(TestTasks)).await.unwrap().before, CONTROL_VERSION);
    assert_eq!(ready(&config).await.view().await.unwrap().lease_ms, 700);
    server().execute_in(&name, "CREATE TABLE other.tl_meta AS TABLE house.tl_meta");
    let ControlTables::Unusable { why, .. } = open(&config).await else { panic!("there are two sets") };
    assert!(why.contains("several schemas: house, other"), "{why}");
    let error = install(config, Arc::new(TestTasks)).await.unwrap_err();
    assert!(error.detail().contains("house, other"), "{error}");
}

#[tokio::test]
async fn tables_that_are_missing_or_newer_are_not_used_and_the_remedy_is_told() {
    let (name, config) = database();
    let ControlTables::Unusable { why, remedy } = open(&config).await else { panic!("there are none") };
    assert!(why.contains("no control tables") && remedy.contains("throughline init"), "{why}: {remedy}");
    install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    server().execute_in(&name, "UPDATE tl_meta SET version = 99");
    let ControlTables::Unusable { why, .. } = open(&config).await else { panic!("it is newer") };
    assert!(why.contains("version 99"), "{why}");
    let error = install(config, Arc::new(TestTasks)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn an_account_that_lacks_a_right_is_told_which_to_grant() {
    let (name, mut config) = database();
    let user = format!("{name}_reader");
    server().execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'secret-of-a-test'"));
    config.user.clone_from(&user);
    config.password = Password::new("secret-of-a-test");
    let error = install(config.clone(), Arc::new(TestTasks)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.detail().contains("GRANT CREATE ON SCHEMA public"), "{error}");
    // An administrator runs the script, whose last lines are what the daemons' account needs.
    let script = install_script(&config);
    let (grants, tables): (Vec<_>, Vec<_>) = script.iter().partition(|sql| sql.starts_with("GRANT"));
    let run = |statements: &[&String]| {
        let statements: String = statements.iter().map(|sql| format!("{sql};")).collect();
        server().execute_in(&name, &statements);
    };
    run(&tables);
    let ControlTables::Unusable { why, remedy } = open(&config).await else { panic!("no right to read") };
    assert!(
        why.contains("may not use") && remedy.contains("GRANT SELECT, INSERT, UPDATE"),
        "{why}: {remedy}"
    );
    run(&grants);
    ready(&config).await.view().await.unwrap();
}

#[tokio::test]
async fn waiting_views_are_one_statement() {
    let (_, config) = database();
    install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    let source = PostgresSource::connect(config, Arc::new(TestTasks)).await.unwrap();
    let ControlTables::Ready(control) = source.control().await.unwrap() else { panic!("installed") };
    let before = source.stats().control_statements;
    let views = join_all((0..100).map(|_| control.view())).await;
    assert!(views.iter().all(Result::is_ok));
    let sent = source.stats().control_statements - before;
    assert!(sent <= 4, "{sent} statements for 100 views");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_no_control_store() {
    let (name, config) = database();
    install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    server().execute(&format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on"));
    let ControlTables::Unusable { why, remedy } = open(&config).await else { panic!("it is read-only") };
    assert!(why.contains("read-only") && remedy.contains("primary"), "{why}: {remedy}");
}

#[tokio::test]
async fn a_restart_goes_on_with_the_history_and_a_promotion_begins_another() {
    let server = Postgres::start(PostgresOptions::fast());
    let config = config_of(&server.url());
    install(config.clone(), Arc::new(TestTasks)).await.unwrap();
    let control = ready(&config).await;
    let primary = control.view().await.unwrap().lineage;
    server.restart();
    assert_eq!(control.view().await.unwrap().lineage, primary, "a crash forgets nothing");
    std::fs::write(server.data().join("standby.signal"), "").unwrap();
    server.restart();
    let ControlTables::Unusable { why, .. } = open(&config).await else { panic!("it is a standby") };
    assert!(why.contains("replica"), "{why}");
    let error = control.view().await.unwrap_err();
    assert!(error.detail().contains("connect to the primary"), "{error}");
    server.execute("SELECT pg_promote()");
    let promoted = control.view().await.unwrap().lineage;
    assert_ne!(promoted, primary);
    assert_eq!(promoted.as_str().split_once(':').unwrap().0, primary.as_str().split_once(':').unwrap().0);
}
