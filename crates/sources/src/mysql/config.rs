// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to set for a MySQL or MariaDB server.

use throughline_core::Result;

use crate::sql::Consumer;
use crate::url::UrlForm;
use crate::{Password, Tls};

const FORM: UrlForm = UrlForm {
    operation: "read a MySQL URL",
    schemes: ["mysql", "mariadb"],
    port: MysqlConfig::PORT,
    options: false,
};

/// How to reach a MySQL or MariaDB server, and how much may be asked of it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlConfig {
    /// Host name or address.
    pub host: String,
    /// Port; the default is 3306.
    pub port: u16,
    /// Account.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// The database whose tables are served.
    pub database: String,
    /// How the way there is encrypted; the default is [`Tls::for_host`].
    pub tls: Tls,
    /// Which consumer of an outbox the writes of these connections reach anyway, because they are marked in its
    /// cache; `None` (the default) makes them news for everybody.
    pub consumer: Option<Consumer>,
    /// Connections for reads, at least 1; the default is 3. Few are enough, because waiting look-ups are joined.
    pub reader_count: usize,
    /// Connections for writes, at least 1; the default is 8. Each holds one transaction from prepare to commit.
    pub writer_count: usize,
    /// Milliseconds until an attempt to connect is given up; the default is 2,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds until a statement is given up; the default is 5,000.
    pub statement_timeout_ms: u64,
    /// Milliseconds that a prepared write waits for its commit; then it rolls back. The default is 5,000.
    pub prepared_life_ms: u64,
    /// Connections for transactions that applications begin, at least 1; the default is 8. They are opened when needed.
    pub transaction_count: usize,
    /// Milliseconds that such a transaction may be open; then it rolls back. The default is 30,000. Within it, it may be
    /// idle as long as a prepared write.
    pub transaction_life_ms: u64,
    /// Keys that waiting look-ups may bring into one query; the default is 128.
    pub batch_len_max: usize,
    /// Requests that may wait for a connection, reads and writes each; the default is 4,096. Beyond it a call
    /// ends with [`ErrorKind::Overloaded`].
    pub queue_len_max: usize,
}

impl MysqlConfig {
    /// The port that MySQL and MariaDB listen on unless told otherwise.
    pub const PORT: u16 = 3306;

    /// The settings for `database` on `host`, with every default.
    pub fn new(host: impl Into<String>, user: impl Into<String>, database: impl Into<String>) -> Self {
        let host = host.into();
        Self {
            tls: Tls::for_host(&host),
            host,
            port: Self::PORT,
            user: user.into(),
            password: Password::default(),
            database: database.into(),
            consumer: None,
            reader_count: 3,
            writer_count: 8,
            connect_timeout_ms: 2_000,
            statement_timeout_ms: 5_000,
            prepared_life_ms: 5_000,
            transaction_count: 8,
            transaction_life_ms: 30_000,
            batch_len_max: 128,
            queue_len_max: 4_096,
        }
    }

    /// Reads `mysql://user:password@host:port/database` (or `mariadb://…`). User, password and database are
    /// percent-decoded; password and port may be left out.
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::Configuration`] when it cannot be read that way. The text never shows any part of the URL.
    pub fn parse_url(url: &str) -> Result<Self> {
        let parts = FORM.parse(url)?;
        Ok(Self {
            port: parts.port,
            password: Password::new(parts.password),
            ..Self::new(parts.host, parts.user, parts.database)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{MysqlConfig, Password};
    use throughline_core::ErrorKind;

    #[test]
    fn every_part_of_a_url_is_read_and_decoded() {
        let config = MysqlConfig::parse_url("mysql://app:p%40ss%2Fw%3A@db.local:3307/my%20shop").unwrap();
        assert_eq!((config.host.as_str(), config.port, config.user.as_str()), ("db.local", 3307, "app"));
        assert_eq!(config.password, Password::new("p@ss/w:"));
        assert_eq!(config.database, "my shop");
    }

    #[test]
    fn port_and_password_may_be_left_out() {
        let config = MysqlConfig::parse_url("mariadb://app@[::1]/shop").unwrap();
        assert_eq!((config.host.as_str(), config.port), ("::1", 3306));
        assert_eq!(config.password.reveal(), None);
        assert_eq!(MysqlConfig::parse_url("mysql://app@[::1]:33/shop").unwrap().port, 33);
    }

    #[test]
    fn a_broken_url_is_refused_without_showing_the_password() {
        for url in [
            "postgres://app:geheim@host/shop",
            "mysql://app:geheim@host",
            "mysql://app:geheim@host/",
            "mysql://:geheim@host/shop",
            "mysql://app:geheim@host:none/shop",
            "mysql://app:geheim@[::1/shop",
            "mysql://app:geheim@host/shop?ssl=geheim",
            "mysql://app:ge/heim@host/shop",
            "mysql://geheim/shop",
            "mysql://app:geheim%ff@host/shop",
        ] {
            let error = MysqlConfig::parse_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(!format!("{error} {error:?}").contains("heim"), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        let config = MysqlConfig::parse_url("mysql://app:geheim@host/shop").unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
        assert!(format!("{config:?}").contains("Password(hidden)"));
    }
}
