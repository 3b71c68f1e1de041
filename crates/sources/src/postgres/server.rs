// SPDX-License-Identifier: MIT OR Apache-2.0
//! What server this is, what lies before it, and what that costs.

use throughline_core::{Error, ErrorKind, Result};
use tokio_postgres::Client;

/// The oldest version whose catalogue knows generated columns and collations that fold.
const VERSION_MIN: i32 = 120_000;

/// What a connection tells of its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The server's words about itself.
    pub(super) version: String,
    /// `150018` is 15.18.
    pub(super) version_number: i32,
    /// The server process that served this connection now.
    pub(super) process: i32,
    /// Whether it is a replica.
    pub(super) is_replica: bool,
    /// The settings on which "nothing acknowledged is lost" rests.
    pub(super) synchronous_commit: String,
    pub(super) fsync: String,
    pub(super) full_page_writes: String,
}

impl Facts {
    pub(super) async fn read(client: &Client) -> std::result::Result<Self, tokio_postgres::Error> {
        const SQL: &str = "SELECT pg_catalog.version(), pg_catalog.current_setting('server_version_num')::int4, \
            pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), \
            pg_catalog.current_setting('synchronous_commit'), pg_catalog.current_setting('fsync'), \
            pg_catalog.current_setting('full_page_writes')";
        let row = client.query_typed_one(SQL, &[]).await?;
        Ok(Self {
            version: row.try_get(0)?,
            version_number: row.try_get(1)?,
            process: row.try_get(2)?,
            is_replica: row.try_get(3)?,
            synchronous_commit: row.try_get(4)?,
            fsync: row.try_get(5)?,
            full_page_writes: row.try_get(6)?,
        })
    }

    /// What costs promises, in sentences for people.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_replica {
            notes.push(
                "the server is a replica: writes will be refused, and reads may be older than the primary"
                    .to_owned(),
            );
        }
        if self.synchronous_commit == "off" {
            notes.push(
                "synchronous_commit is off: the server acknowledges commits before they are on its disk, and a crash \
                 loses the last of them"
                    .to_owned(),
            );
        }
        for (name, value) in [("fsync", &self.fsync), ("full_page_writes", &self.full_page_writes)] {
            if value == "off" {
                notes.push(format!("{name} is off: after a power cut the database may be damaged"));
            }
        }
        notes
    }
}

/// Refuses what only speaks PostgreSQL's protocol, and what is too old.
///
/// # Errors
/// [`ErrorKind::Configuration`].
pub(super) fn refuse_strangers(facts: &Facts) -> Result<()> {
    for name in ["CockroachDB", "Redshift", "Materialize", "RisingWave", "QuestDB", "CrateDB"] {
        if facts.version.contains(name) {
            return Err(refused(format!("{name} has no advisory locks, on which fills rely")));
        }
    }
    if facts.version_number < VERSION_MIN {
        return Err(refused("PostgreSQL 12 or newer is needed"));
    }
    Ok(())
}

/// Refuses a pooler that gives one server process to several connections in turn: our connections' settings,
/// prepared statements and time-outs would be those of others.
///
/// # Errors
/// [`ErrorKind::Configuration`] when two connections that are open at once were served by one process.
pub(super) fn refuse_pooler(first: &Facts, second: &Facts) -> Result<()> {
    if first.process != second.process {
        return Ok(());
    }
    Err(refused(
        "a pooler in transaction or statement mode answers: two connections share a server process; connect to the \
         server itself, or to the pooler in session mode",
    ))
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, "connect to PostgreSQL", why.into())
}

#[cfg(test)]
mod tests {
    use super::{Facts, refuse_pooler, refuse_strangers};

    fn facts() -> Facts {
        Facts {
            version: "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64".to_owned(),
            version_number: 150_018,
            process: 7,
            is_replica: false,
            synchronous_commit: "on".to_owned(),
            fsync: "on".to_owned(),
            full_page_writes: "on".to_owned(),
        }
    }

    #[test]
    fn what_only_speaks_the_protocol_or_is_too_old_is_refused() {
        refuse_strangers(&facts()).unwrap();
        for strange in [
            Facts { version: "CockroachDB CCL v23.1".to_owned(), ..facts() },
            Facts { version_number: 110_022, ..facts() },
        ] {
            refuse_strangers(&strange).unwrap_err();
        }
    }

    #[test]
    fn two_connections_with_one_process_are_a_poolers() {
        refuse_pooler(&facts(), &Facts { process: 8, ..facts() }).unwrap();
        let error = refuse_pooler(&facts(), &facts()).unwrap_err();
        assert!(error.detail().contains("session mode"), "{error}");
    }

    #[test]
    fn what_costs_promises_is_said() {
        assert_eq!(facts().notes(), [""; 0]);
        let weak = Facts {
            is_replica: true,
            synchronous_commit: "off".to_owned(),
            fsync: "off".to_owned(),
            full_page_writes: "off".to_owned(),
            ..facts()
        };
        for (note, part) in
            weak.notes().iter().zip(["replica", "synchronous_commit", "fsync", "full_page_writes"])
        {
            assert!(note.contains(part), "{note}");
        }
    }
}
