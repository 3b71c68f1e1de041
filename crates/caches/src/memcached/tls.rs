// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS to a server.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use throughline_core::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const OPERATION: &str = "set up TLS to memcached";

/// The files that TLS to a server needs, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemcachedTlsFiles {
    /// The authorities that may have signed the server's certificate. No others are trusted: a cache server's
    /// certificate is seldom signed by a public one.
    pub ca_file: PathBuf,
    /// Our own certificate chain and its key, for a server that wants to see one.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must be for. Default: the host of its address.
    pub server_name: Option<String>,
}

/// How TLS to a server is spoken. The certificate is always verified.
#[derive(Clone)]
pub struct MemcachedTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for MemcachedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl MemcachedTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`]: a file cannot be read, holds none of what it should, or does not fit the
    /// others. No text shows what a file holds.
    pub fn read(files: &MemcachedTlsFiles) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca_file)? {
            roots.add(certificate).map_err(|cause| unusable(&files.ca_file, &cause))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the suites of both versions")
            .with_root_certificates(roots);
        let config = match &files.own {
            None => builder.with_no_client_auth(),
            Some((certificate_file, key_file)) => {
                let key =
                    PrivateKeyDer::from_pem_file(key_file).map_err(|cause| unusable(key_file, &cause))?;
                builder
                    .with_client_auth_cert(certificates(certificate_file)?, key)
                    .map_err(|cause| unusable(certificate_file, &cause))?
            }
        };
        let server_name = files.server_name.as_deref().map(parsed_name).transpose()?;
        Ok(Self { config: Arc::new(config), server_name })
    }

    pub(super) async fn begin(&self, address: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => {
                parsed_name(host(address)).map_err(|error| io::Error::other(error.detail().to_owned()))?
            }
        };
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }
}

/// The host of `host:port`; of `[::1]:port` what is between the brackets.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn parsed_name(name: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| mistake(format!("`{name}` is no name that a certificate can be for")))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(file)
        .and_then(|certificates| certificates.collect::<std::result::Result<Vec<_>, _>>())
        .map_err(|cause| unusable(file, &cause))?;
    if found.is_empty() {
        return Err(mistake(format!("`{}` holds no certificate", file.display())));
    }
    Ok(found)
}

fn unusable(file: &Path, cause: &dyn fmt::Display) -> Error {
    mistake(format!("`{}` cannot be used: {cause}", file.display()))
}

fn mistake(what: String) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION, what)
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, MemcachedTls, MemcachedTlsFiles, host};

    #[test]
    fn the_host_is_what_precedes_the_port() {
        assert_eq!(host("cache.example:11211"), "cache.example");
        assert_eq!(host("[::1]:11211"), "::1");
    }

    #[test]
    fn files_that_hold_nothing_of_use_are_named() {
        let this_file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for (file, words) in [(this_file, "holds no certificate"), ("/nowhere.pem", "cannot be used")] {
            let files = MemcachedTlsFiles { ca_file: file.into(), ..MemcachedTlsFiles::default() };
            let error = MemcachedTls::read(&files).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.detail().contains(file) && error.detail().contains(words), "{error}");
        }
    }
}
