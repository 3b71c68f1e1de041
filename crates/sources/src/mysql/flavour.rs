// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which server this is, and what follows from it.

use throughline_core::{Error, ErrorKind, Result};

use crate::sql::Dialect;

/// MySQL or MariaDB, with its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flavour {
    is_mariadb: bool,
    version: (u16, u16, u16),
}

impl Flavour {
    /// Reads what `SELECT VERSION()` says.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a server that cannot decline to wait for a lock (MySQL before 8.0.1,
    /// MariaDB before 10.3), or that only speaks MySQL's protocol.
    pub(super) fn read(text: &str) -> Result<Self> {
        if text.contains("TiDB") {
            return Err(refused("TiDB has no shared row locks, on which fills rely"));
        }
        let is_mariadb = text.contains("MariaDB");
        // MariaDB puts this in front for the sake of old replicas.
        let text = if is_mariadb { text.strip_prefix("5.5.5-").unwrap_or(text) } else { text };
        let mut numbers =
            text.split(|char: char| !char.is_ascii_digit()).map_while(|number| number.parse().ok());
        let mut next = || numbers.next().ok_or_else(|| refused("it does not tell its version"));
        let version = (next()?, next()?, next().unwrap_or(0));
        if is_mariadb && version < (10, 3, 0) {
            return Err(refused("MariaDB 10.3 or newer is needed"));
        }
        if !is_mariadb && version < (8, 0, 1) {
            return Err(refused("MySQL 8.0.1 or newer is needed"));
        }
        Ok(Self { is_mariadb, version })
    }

    /// Whether it is MariaDB.
    pub(super) fn is_mariadb(self) -> bool {
        self.is_mariadb
    }

    /// Whose SQL it takes.
    pub(super) fn dialect(self) -> Dialect {
        if self.is_mariadb { Dialect::Mariadb } else { Dialect::Mysql }
    }

    /// Whether INSERT tells the row that it made.
    pub(super) fn insert_returns(self) -> bool {
        self.is_mariadb && self.version >= (10, 5, 0)
    }

    /// Whether DELETE tells the row that it removed.
    pub(super) fn delete_returns(self) -> bool {
        self.is_mariadb
    }

    /// Whether a look-up with a lock can leave out what others have locked.
    pub(super) fn skips_locked(self) -> bool {
        !self.is_mariadb || self.version >= (10, 6, 0)
    }

    /// The statement that a connection begins with.
    ///
    /// * Strict mode, so that a value which does not fit is refused instead of bent; but zero dates are let
    ///   through, because a row that holds one must survive being read and written.
    /// * READ COMMITTED: a read sees the newest commit, and a look-up of an absent key locks no gap.
    /// * UTC, so that a TIMESTAMP has one text.
    pub(super) fn session(self, statement_timeout_ms: u64, idle_timeout_ms: u64, autocommit: bool) -> String {
        let seconds = statement_timeout_ms as f64 / 1_000.0;
        let idle = idle_timeout_ms.div_ceil(1_000).max(1);
        let limits = if self.is_mariadb {
            // An IN list of 1,000 or more would become a join, which locks what it scans.
            format!(
                "max_statement_time = {seconds}, idle_transaction_timeout = {idle}, \
                 in_predicate_conversion_threshold = 0"
            )
        } else {
            format!("max_execution_time = {statement_timeout_ms}")
        };
        format!(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,\
             NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', innodb_lock_wait_timeout = 1, \
             sql_safe_updates = 0, wait_timeout = 86400, {limits}, \
             autocommit = {}",
            u8::from(autocommit)
        )
    }
}

fn refused(why: &'static str) -> Error {
    Error::new(ErrorKind::Configuration, "connect to MySQL", why)
}

#[cfg(test)]
mod tests {
    use super::Flavour;
    use crate::sql::Dialect;
    use throughline_core::ErrorKind;

    #[test]
    fn servers_are_told_apart_by_what_they_say() {
        let maria = Flavour::read("10.11.19-MariaDB-0+deb12u1").unwrap();
        assert!(maria.is_mariadb() && maria.insert_returns() && maria.delete_returns());
        let old = Flavour::read("5.5.5-10.3.0-MariaDB-log").unwrap();
        assert!(old.is_mariadb() && !old.insert_returns());
        let mysql = Flavour::read("8.0.36-0ubuntu0.22.04.1").unwrap();
        assert!(!mysql.is_mariadb() && !mysql.delete_returns());
        assert_eq!(mysql.dialect(), Dialect::Mysql);
    }

    #[test]
    fn a_server_that_cannot_decline_to_wait_is_refused() {
        for text in ["5.7.44", "8.0.0-dmr", "10.2.44-MariaDB", "8.0.11-TiDB-v7.5.0", "what"] {
            assert_eq!(Flavour::read(text).unwrap_err().kind(), ErrorKind::Configuration);
        }
    }
}
