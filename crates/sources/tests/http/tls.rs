// SPDX-License-Identifier: MIT OR Apache-2.0
//! The encrypted way: whom it trusts, and whom it refuses.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use throughline_bank::{Bank, BankOptions};
use throughline_core::{Error, ErrorKind};
use throughline_sources::http::HttpConfig;
use throughline_testkit::{Authority, Certificate};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::fixture::{load, open, resource};

/// Puts TLS in front of a bank; the port.
async fn encrypt(bank: &Bank, certificate: &Certificate) -> u16 {
    let chain = CertificateDer::pem_file_iter(&certificate.certificate).unwrap();
    let chain: Vec<_> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, bank) = (listener.local_addr().unwrap().port(), bank.address());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut behind = TcpStream::connect(bank).await.unwrap();
                // It ends with either side.
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    port
}

async fn read(port: u16, ca_file: Option<PathBuf>) -> Result<(), Error> {
    let config = HttpConfig::parse_url(&format!("https://localhost:{port}")).unwrap();
    let source = open(HttpConfig { ca_file, ..config });
    let resource = resource(&source, "/payments/{id}");
    for _ in 0..3 {
        assert!(load(&resource, "1").await?.record.is_some());
    }
    assert_eq!(source.stats().connections_opened, 1);
    Ok(())
}

#[tokio::test]
async fn only_a_certificate_for_the_host_by_a_known_authority_is_trusted() {
    let bank = Bank::start(BankOptions::quick()).await.unwrap();
    bank.save("/payments/1", "{}");
    let (authority, stranger) = (Authority::new(), Authority::new());
    let right = encrypt(&bank, &authority.sign(&["localhost"])).await;
    let other = encrypt(&bank, &authority.sign(&["elsewhere"])).await;
    read(right, Some(authority.file())).await.unwrap();
    for (port, ca_file, why) in [
        (right, Some(stranger.file()), "not known"),
        (right, None, "not known"),
        (other, Some(authority.file()), "another host name"),
        (bank.address().port(), Some(authority.file()), "TLS handshake"),
    ] {
        let error = read(port, ca_file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
}
