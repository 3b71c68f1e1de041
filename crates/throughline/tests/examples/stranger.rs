// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another program's connection to the database, which gets in the way of ours at a chosen moment.

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use throughline_testkit::Mariadb;
use tokio::runtime::Runtime;

use crate::program::until;

/// A connection that holds what a writer needs. Let go by [`Stranger::let_go`], or when it is dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    connection: Conn,
    runtime: Runtime,
    let_go: &'static str,
}

impl Stranger {
    /// Holds the row `id` of `table`: the next statement that writes it waits.
    pub(crate) fn hold_row(database_url: &str, table: &str, id: i64) -> Self {
        let row = format!("SELECT * FROM {table} WHERE id = {id} FOR UPDATE");
        Self::hold(database_url, &["START TRANSACTION", &row], "ROLLBACK")
    }

    /// Holds every commit: statements run, and the next COMMIT waits.
    pub(crate) fn hold_commits(database_url: &str) -> Self {
        let stages =
            ["START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"].map(|stage| format!("BACKUP STAGE {stage}"));
        Self::hold(database_url, &stages.each_ref().map(String::as_str), "BACKUP STAGE END")
    }

    fn hold(database_url: &str, statements: &[&str], let_go: &'static str) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let connection = runtime.block_on(async {
            let mut connection = Conn::from_url(database_url).await.expect("the database answers");
            for statement in statements {
                connection.query_drop(*statement).await.expect("a statement that MariaDB knows");
            }
            connection
        });
        Self { connection, runtime, let_go }
    }

    /// Lets whoever waits go on.
    pub(crate) fn let_go(mut self) {
        self.runtime.block_on(self.connection.query_drop(self.let_go)).expect("the database answers");
    }
}

/// Returns when a statement waits for a row.
pub(crate) fn until_row_is_waited_for(mariadb: &Mariadb) {
    let waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    until("a statement waits for the row", || mariadb.execute(waiting).trim() != "0");
}

/// Returns when a COMMIT waits.
pub(crate) fn until_commit_is_waited_for(mariadb: &Mariadb) {
    let waiting = "SELECT COUNT(*) FROM information_schema.processlist \
                   WHERE state LIKE 'Waiting for backup%' AND info LIKE 'COMMIT%'";
    until("a COMMIT waits", || mariadb.execute(waiting).trim() != "0");
}
