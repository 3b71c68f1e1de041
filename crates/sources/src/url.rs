// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the URL of a database server. Its errors never show any part of it, because a slip of the pen moves the
//! password to any place.

use percent_encoding::percent_decode_str;
use throughline_core::{Error, ErrorKind, Result};

/// What a backend's URLs look like.
pub(crate) struct UrlForm {
    /// What is being done, for errors.
    pub(crate) operation: &'static str,
    /// What they begin with, without `://`.
    pub(crate) schemes: [&'static str; 2],
    /// The port that is meant when none is given.
    pub(crate) port: u16,
    /// Whether options may follow behind a `?`.
    pub(crate) options: bool,
}

/// The parts of a URL, decoded.
pub(crate) struct UrlParts {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
    /// Names and values of the options, in their order.
    pub(crate) options: Vec<(String, String)>,
}

impl UrlForm {
    /// Reads `scheme://user:password@host:port/database`; password and port may be left out.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when it cannot be read that way.
    pub(crate) fn parse(&self, url: &str) -> Result<UrlParts> {
        let [first, second] = self.schemes;
        let scheme = url.split_once("://").filter(|(scheme, _)| [first, second].contains(scheme));
        let (_, rest) =
            scheme.ok_or_else(|| self.wrong(format!("it must begin with `{first}://` or `{second}://`")))?;
        let (authority, database) = rest
            .split_once('/')
            .ok_or_else(|| self.wrong(format!("the database is missing: {}", self.write())))?;
        let (database, options) = match database.split_once('?') {
            Some((database, options)) if self.options => (database, self.options(options)?),
            _ => (database, Vec::new()),
        };
        if database.contains(['/', '?', '#']) {
            return Err(self.wrong(
                "behind the database's name nothing may follow (`/`, `?` and `#` in a name or a password are \
                 written `%2F`, `%3F` and `%23`)",
            ));
        }
        let (account, address) = authority
            .rsplit_once('@')
            .ok_or_else(|| self.wrong(format!("the user is missing: {}", self.write())))?;
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        let (host, port) = self.host_and_port(address)?;
        let user = self.decoded(user, "user")?;
        let database = self.decoded(database, "database's name")?;
        if user.is_empty() || database.is_empty() || host.is_empty() {
            return Err(self.wrong("user, host and database must not be empty"));
        }
        let password = self.decoded(password, "password")?;
        Ok(UrlParts { host: host.to_owned(), port, user, password, database, options })
    }

    /// The error of a URL that cannot be read.
    pub(crate) fn wrong(&self, detail: impl Into<String>) -> Error {
        Error::new(ErrorKind::Configuration, self.operation, detail.into())
    }

    fn write(&self) -> String {
        format!("write `{}://user@host/database`", self.schemes[0])
    }

    /// `host`, `host:port`, `[address]` or `[address]:port`.
    pub(crate) fn host_and_port<'a>(&self, address: &'a str) -> Result<(&'a str, u16)> {
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest
                    .split_once(']')
                    .ok_or_else(|| self.wrong("the `]` behind the address is missing"))?;
                (host, rest.strip_prefix(':'))
            }
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        let Some(port) = port else {
            return Ok((host, self.port));
        };
        let port = port.parse().map_err(|_| self.wrong("the port is not a number from 0 to 65535"))?;
        Ok((host, port))
    }

    fn options(&self, text: &str) -> Result<Vec<(String, String)>> {
        let option = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((self.decoded(name, "option's name")?, self.decoded(value, "option")?))
        };
        text.split('&').filter(|part| !part.is_empty()).map(option).collect()
    }

    fn decoded(&self, text: &str, part: &str) -> Result<String> {
        percent_decode_str(text)
            .decode_utf8()
            .map(Into::into)
            .map_err(|_| self.wrong(format!("the {part} is not UTF-8 once decoded")))
    }
}
