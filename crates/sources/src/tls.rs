// SPDX-License-Identifier: MIT OR Apache-2.0
//! Encryption of the way to a database server.

use std::net::IpAddr;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, RootCertStore};
use throughline_core::{Error, ErrorKind, Result};

/// What is demanded of the way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Nothing: password and data travel in the clear.
    Off,
    /// That it is encrypted, whoever is at its other end.
    Require,
    /// That it is encrypted, and that the server shows a certificate for its host name by a known authority.
    Verify,
}

impl TlsMode {
    /// Every mode.
    pub const ALL: &[Self] = &[Self::Off, Self::Require, Self::Verify];

    /// The word for it in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Require => "require",
            Self::Verify => "verify",
        }
    }

    /// The mode of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.as_str() == word)
    }
}

impl std::fmt::Display for TlsMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the way to a server is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// What is demanded.
    pub mode: TlsMode,
    /// A file with the certificates (PEM) of the authorities that [`TlsMode::Verify`] relies on; without one it
    /// relies on those that browsers know.
    pub ca_file: Option<PathBuf>,
}

impl Tls {
    /// What is demanded where nothing is said: nothing on this machine, everything beyond it, because a password
    /// must not leave the machine in the clear unless somebody asks for that.
    pub fn for_host(host: &str) -> Self {
        let mode = if is_loopback(host) { TlsMode::Off } else { TlsMode::Verify };
        Self { mode, ca_file: None }
    }

    /// The authorities that [`TlsMode::Verify`] relies on.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a `ca_file` that holds none.
    pub(crate) fn authorities(&self) -> Result<RootCertStore> {
        let Some(file) = &self.ca_file else {
            return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        };
        let wrong = |why: &str| {
            let detail = format!("`{}` {why}", file.display());
            Error::new(ErrorKind::Configuration, "read the file of certificate authorities", detail)
        };
        let mut store = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(file).map_err(|_| wrong("cannot be read"))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|_| wrong("is not PEM"))?;
            store.add(certificate).map_err(|_| wrong("holds what is no authority's certificate"))?;
        }
        if store.is_empty() {
            return Err(wrong("holds no certificate"));
        }
        Ok(store)
    }

    /// What this costs on the way to `host`, in a sentence for people.
    pub(crate) fn note(&self, host: &str) -> Option<String> {
        let why = match self.mode {
            TlsMode::Off => {
                "is not encrypted: password and data can be read on it (tls = \"verify\" ends that)"
            }
            TlsMode::Require => {
                "is encrypted, but whoever stands in its middle is not noticed (tls = \"verify\" ends that)"
            }
            TlsMode::Verify => return None,
        };
        (!is_loopback(host)).then(|| format!("the way to `{host}` {why}"))
    }
}

pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Sees to it that rustls has a provider; a program that chose one keeps it.
pub(crate) fn provide() {
    // It fails when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What is wrong, in the words of a connection's error.
pub(crate) fn why(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            // The latter is an authority of the same name with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate is by an authority that is not known: name its certificate in `ca_file`"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host name: connect by a name that it holds"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: look at the clocks"
            }
            _ => "the server's certificate is not acceptable",
        },
        _ => "the TLS handshake failed",
    }
}

/// For a server that was asked for encryption and has none.
pub(crate) const WITHOUT: &str =
    "the server does not encrypt: set it up there, or write tls = \"off\" to send the password in the clear";

/// For a server that takes only encrypted connections.
pub(crate) const DEMANDED: &str =
    "it takes only encrypted connections: write tls = \"verify\" (or \"require\")";

#[cfg(test)]
mod tests {
    use super::{Tls, TlsMode};

    #[test]
    fn beyond_this_machine_everything_is_demanded_unless_said_otherwise() {
        for host in ["localhost", "127.0.0.1", "::1", "127.8.9.1"] {
            assert_eq!(Tls::for_host(host).mode, TlsMode::Off, "{host}");
        }
        for host in ["db.local", "10.0.0.1", "2001:db8::1", "localhost.example.org"] {
            assert_eq!(Tls::for_host(host).mode, TlsMode::Verify, "{host}");
            assert_eq!(Tls::for_host(host).note(host), None);
        }
    }

    #[test]
    fn what_was_asked_for_and_is_less_is_said() {
        let tls = |mode| Tls { mode, ca_file: None };
        assert!(tls(TlsMode::Off).note("db.local").is_some_and(|note| note.contains("not encrypted")));
        assert!(tls(TlsMode::Require).note("db.local").is_some_and(|note| note.contains("middle")));
        assert_eq!(tls(TlsMode::Off).note("127.0.0.1"), None);
    }

    #[test]
    fn words_are_read_and_written() {
        for mode in TlsMode::ALL {
            assert_eq!(TlsMode::parse(mode.as_str()), Some(*mode));
        }
        assert_eq!(TlsMode::parse("on"), None);
    }
}
