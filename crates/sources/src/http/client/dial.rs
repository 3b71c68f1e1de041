// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens connections to a service.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use throughline_core::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Failure;
use super::connection::Connection;
use crate::http::config::HttpConfig;
use crate::tls::{self, Tls, TlsMode};

/// How to open a connection.
pub(super) struct Dial(Option<(TlsConnector, ServerName<'static>)>);

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dial").field(&self.0.is_some()).finish()
    }
}

impl Dial {
    pub(super) fn new(config: &HttpConfig) -> Result<Self> {
        if !config.encrypted {
            return Ok(Self(None));
        }
        let tls = Tls { mode: TlsMode::Verify, ca_file: config.ca_file.clone() };
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks what rustls does")
            .with_root_certificates(tls.authorities()?)
            .with_no_client_auth();
        let name = ServerName::try_from(config.host.clone()).map_err(|_| {
            let detail = format!("`{}` is no name that a certificate could be for", config.host);
            Error::new(ErrorKind::Configuration, "read the settings of an HTTP source", detail)
        })?;
        Ok(Self(Some((TlsConnector::from(Arc::new(client)), name))))
    }

    pub(super) async fn connect(&self, config: &HttpConfig) -> std::result::Result<Connection, Failure> {
        let address = (config.host.as_str(), config.port);
        let stream = TcpStream::connect(address).await.map_err(|cause| unreachable(&cause))?;
        // Requests are written whole; to wait for more would only delay them.
        stream.set_nodelay(true).map_err(|cause| unreachable(&cause))?;
        let Some((connector, name)) = &self.0 else {
            return Connection::open(Box::new(stream)).await;
        };
        match connector.connect(name.clone(), stream).await {
            Ok(stream) => Connection::open(Box::new(stream)).await,
            Err(cause) => match cause.get_ref().and_then(|cause| cause.downcast_ref()) {
                Some(refused) => Err(Failure::unsent(ErrorKind::Configuration, tls::why(refused))),
                None => Err(Failure::unsent(
                    ErrorKind::Unavailable,
                    "it ended the connection at the TLS handshake",
                )),
            },
        }
    }
}

fn unreachable(cause: &std::io::Error) -> Failure {
    Failure::unsent(ErrorKind::Unavailable, format!("it cannot be reached: {}", cause.kind()))
}
