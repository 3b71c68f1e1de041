// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to set for a PostgreSQL server.

use throughline_core::Result;

use crate::sql::Consumer;
use crate::url::UrlForm;
use crate::{Password, Tls, TlsMode};

const FORM: UrlForm = UrlForm {
    operation: "read a PostgreSQL URL",
    schemes: ["postgres", "postgresql"],
    port: PostgresConfig::PORT,
    options: true,
};

/// How to reach a PostgreSQL server, and how much may be asked of it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresConfig {
    /// Host name or address.
    pub host: String,
    /// Port; the default is 5432.
    pub port: u16,
    /// Account.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// The database whose tables are served.
    pub database: String,
    /// Which consumer of an outbox the writes of these connections reach anyway, because they are marked in its
    /// cache; `None` (the default) makes them news for everybody.
    pub consumer: Option<Consumer>,
    /// How the way there is encrypted; the default is [`Tls::for_host`].
    pub tls: Tls,
    /// Connections for reads, at least 1; the default is 3. Few are enough, because waiting look-ups are joined
    /// and several queries are under way on each.
    pub reader_count: usize,
    /// Connections for writes, at least 1; the default is 8. Each holds one transaction from prepare to commit.
    pub writer_count: usize,
    /// Milliseconds until an attempt to connect is given up; the default is 2,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds until a statement is given up; the default is 5,000.
    pub statement_timeout_ms: u64,
    /// Milliseconds that a write waits for a lock; the default is 1,500. The server looks for deadlocks after
    /// 1,000 (`deadlock_timeout`), which shall come first, because a deadlock can be begun anew.
    pub lock_timeout_ms: u64,
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
    /// ends with [`throughline_core::ErrorKind::Overloaded`].
    pub queue_len_max: usize,
}

impl PostgresConfig {
    /// The port that PostgreSQL listens on unless told otherwise.
    pub const PORT: u16 = 5432;

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
            lock_timeout_ms: 1_500,
            prepared_life_ms: 5_000,
            transaction_count: 8,
            transaction_life_ms: 30_000,
            batch_len_max: 128,
            queue_len_max: 4_096,
        }
    }

    /// Reads `postgres://user:password@host:port/database` (or `postgresql://…`). User, password and database
    /// are percent-decoded; password and port may be left out. Behind a `?` may stand `sslmode` (`disable`, `require`
    /// or `verify-full`) and `sslrootcert` (a file with the authorities' certificates).
    ///
    /// # Errors
    /// [`throughline_core::ErrorKind::Configuration`] when it cannot be read that way. The text never shows any
    /// part of the URL.
    pub fn parse_url(url: &str) -> Result<Self> {
        let parts = FORM.parse(url)?;
        let mut config = Self {
            port: parts.port,
            password: Password::new(parts.password),
            ..Self::new(parts.host, parts.user, parts.database)
        };
        for (name, value) in parts.options {
            match name.as_str() {
                "sslmode" => config.tls.mode = tls_mode(&value)?,
                "sslrootcert" => config.tls.ca_file = Some(value.into()),
                _ => return Err(FORM.wrong("behind `?` only `sslmode` and `sslrootcert` are taken")),
            }
        }
        Ok(config)
    }
}

/// The mode of libpq's word. Those that give in when the server does not encrypt are not taken, because whoever
/// stands in the way decides then; nor is the one that accepts any host name.
fn tls_mode(word: &str) -> Result<TlsMode> {
    match word {
        "disable" => Ok(TlsMode::Off),
        "require" => Ok(TlsMode::Require),
        "verify-full" => Ok(TlsMode::Verify),
        _ => Err(FORM.wrong("`sslmode` takes `disable`, `require` or `verify-full`")),
    }
}

#[cfg(test)]
mod tests {
    use super::PostgresConfig;
    use crate::{Password, TlsMode};
    use throughline_core::ErrorKind;

    #[test]
    fn every_part_of_a_url_is_read_and_decoded() {
        let url = "postgresql://app:p%40ss%2Fw%3A@db.local:5433/my%20shop";
        let config = PostgresConfig::parse_url(url).unwrap();
        assert_eq!((config.host.as_str(), config.port, config.user.as_str()), ("db.local", 5433, "app"));
        assert_eq!(config.password, Password::new("p@ss/w:"));
        assert_eq!(config.database, "my shop");
    }

    #[test]
    fn port_and_password_may_be_left_out() {
        let config = PostgresConfig::parse_url("postgres://app@[::1]/shop").unwrap();
        assert_eq!((config.host.as_str(), config.port), ("::1", 5432));
    }

    #[test]
    fn a_broken_url_is_refused_without_showing_the_password() {
        for url in [
            "mysql://app:geheim@host/shop",
            "postgres://app:geheim@host",
            "postgres://app:geheim@host/",
            "postgres://:geheim@host/shop",
            "postgres://app:geheim@host:none/shop",
            "postgres://app:geheim@[::1/shop",
            "postgres://app:geheim@host/shop?geheim",
            "postgres://app:ge/heim@host/shop",
            "postgres://geheim/shop",
            "postgres://app@host/shop?sslmode=geheim",
            "postgres://app@host/shop?geheim=require",
        ] {
            let error = PostgresConfig::parse_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(!format!("{error} {error:?}").contains("heim"), "{error}");
        }
    }

    #[test]
    fn the_modes_of_libpq_that_keep_their_word_are_taken() {
        let tls = |options: &str| {
            let config =
                PostgresConfig::parse_url(&format!("postgres://app@db.local/shop{options}")).unwrap();
            (config.tls.mode, config.tls.ca_file)
        };
        assert_eq!(tls(""), (TlsMode::Verify, None));
        assert_eq!(tls("?sslmode=disable"), (TlsMode::Off, None));
        assert_eq!(tls("?sslmode=require"), (TlsMode::Require, None));
        assert_eq!(
            tls("?sslmode=verify-full&sslrootcert=%2Fca.pem"),
            (TlsMode::Verify, Some("/ca.pem".into()))
        );
        for weak in ["prefer", "allow", "verify-ca"] {
            PostgresConfig::parse_url(&format!("postgres://app@db.local/shop?sslmode={weak}")).unwrap_err();
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        let config = PostgresConfig::parse_url("postgres://app:geheim@host/shop").unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
