// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates for servers, by an authority of our own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::postgres;
use super::scratch::Scratch;

/// An authority that signs certificates, with its files in a scratch folder.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    scratch: Scratch,
}

/// A server's certificate and its key, in files that the server's user may read.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority that nobody knows yet.
    ///
    /// # Panics
    /// When the operating system refuses files.
    #[expect(clippy::new_without_default, reason = "a default value that makes files would surprise")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Throughline tests");
        let key = KeyPair::generate().expect("keys can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority signs itself");
        let authority = Self { issuer, scratch: Scratch::new() };
        postgres::give_away(authority.scratch.path()).expect("the folder is ours to give");
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.scratch.join("ca.pem")
    }

    /// Signs a certificate for these host names and addresses.
    ///
    /// # Panics
    /// When a name is none, or the operating system refuses files.
    pub fn sign(&self, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let file = names.join("_").replace([':', '/'], "_");
        let key = KeyPair::generate().expect("keys can be made");
        let params = CertificateParams::new(names).expect("these are names");
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        Certificate {
            certificate: self.write(&format!("{file}.pem"), &certificate.pem()),
            key: self.write(&format!("{file}.key"), &key.serialize_pem()),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.scratch.join(name);
        fs::write(&path, text).expect("a scratch folder takes files");
        restrict(&path);
        path
    }
}

/// PostgreSQL takes no key that others may read.
fn restrict(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    postgres::give_away(path).expect("the file is ours to give");
}
