// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the databases' SQL differs.

/// Whose SQL a statement is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// MySQL from 8.0.1.
    Mysql,
    /// MariaDB from 10.3.
    Mariadb,
}

impl Dialect {
    /// Writes `name` as an identifier. The name must come from the catalogue; quoting makes it safe anyway.
    ///
    /// SQLite gets backquotes too: it reads an unknown name in double quotes as a string, so that a column
    /// which was renamed meanwhile would silently be a constant.
    pub fn push_name(self, name: &str, text: &mut String) {
        let quote = match self {
            Self::Sqlite | Self::Mysql | Self::Mariadb => '`',
        };
        text.push(quote);
        for char in name.chars() {
            if char == quote {
                text.push(quote);
            }
            text.push(char);
        }
        text.push(quote);
    }

    /// The words that set a column to its default in an UPDATE: the keyword where there is one.
    pub(super) fn default_words(self, default: Option<&str>) -> String {
        match self {
            Self::Sqlite => default.map_or_else(|| "NULL".into(), |expression| format!("({expression})")),
            Self::Mysql | Self::Mariadb => "DEFAULT".into(),
        }
    }

    /// The words behind a table's name that keep a look-up by key from scanning. Of a small table, or for many
    /// keys, MySQL reads every row, and a probe would lock and be refused by rows that nobody asked for.
    pub(super) fn key_index_words(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Mysql | Self::Mariadb => " FORCE INDEX (PRIMARY)",
        }
    }

    /// What stands for the value of a key's column of `kind`. MySQL compares a decimal with a text as floating
    /// point, so that one long number would mean several rows; the cast keeps 35 digits before the point and 30
    /// behind it.
    pub(super) fn key_mark(self, kind: &super::Kind) -> &'static str {
        match (self, kind) {
            (Self::Mysql | Self::Mariadb, super::Kind::Decimal) => "CAST(? AS DECIMAL(65,30))",
            _ => "?",
        }
    }

    /// The words after a SELECT that lock the rows for a writer.
    pub(super) fn lock_words(self, lock: super::Lock) -> &'static str {
        match (self, lock) {
            (_, super::Lock::None) | (Self::Sqlite, _) => "",
            (Self::Mysql, super::Lock::Probe) => " FOR SHARE NOWAIT",
            (Self::Mariadb, super::Lock::Probe) => " LOCK IN SHARE MODE NOWAIT",
            (_, super::Lock::Write) => " FOR UPDATE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect;

    #[test]
    fn a_quote_in_a_name_stays_in_the_name() {
        let mut text = String::new();
        Dialect::Sqlite.push_name("a`; DROP TABLE b; --", &mut text);
        assert_eq!(text, "`a``; DROP TABLE b; --`");
    }
}
