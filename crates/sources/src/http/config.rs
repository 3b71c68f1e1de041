// SPDX-License-Identifier: MIT OR Apache-2.0
//! How to reach a service over HTTP.

use std::path::PathBuf;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use throughline_core::{Error, ErrorKind, Result};

use crate::Password;
use crate::tls::is_loopback;
use crate::url::UrlForm;

const OPERATION: &str = "read the settings of an HTTP source";

/// The longest URL, in bytes.
const URL_LEN_MAX: usize = 2_000;

/// How to reach a service over HTTP, and how much may be asked of it.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What every path begins with: nothing, or `/api/v2`.
    pub base_path: String,
    /// Whether the way to it is encrypted, and its certificate verified.
    pub encrypted: bool,
    /// A file with the certificates (PEM) of the authorities to rely on; without one those that browsers know.
    pub ca_file: Option<PathBuf>,
    /// Requests that read at once, and connections kept for them.
    pub reader_count: usize,
    /// Requests that write at once, and connections kept for them.
    pub writer_count: usize,
    /// The longest time of one request, the wait for a free connection and the whole answer included.
    pub request_timeout_ms: u64,
    /// The largest answer, and the largest value that is sent.
    pub body_bytes_max: usize,
    /// Sent with every request.
    pub headers: HttpHeaders,
}

/// Headers that are sent with every request. Their values are never shown.
#[derive(Clone, Debug, Default)]
pub struct HttpHeaders(Vec<(HeaderName, HeaderValue)>);

/// How a record is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMethod {
    /// `PUT`, which replaces the whole record or makes it.
    Put,
    /// `POST`.
    Post,
    /// `PATCH`.
    Patch,
}

impl PutMethod {
    /// Every method.
    pub const ALL: &[Self] = &[Self::Put, Self::Post, Self::Patch];

    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
        }
    }

    /// The method of this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.as_str() == word)
    }

    pub(super) fn method(self) -> Method {
        match self {
            Self::Put => Method::PUT,
            Self::Post => Method::POST,
            Self::Patch => Method::PATCH,
        }
    }
}

impl std::fmt::Display for PutMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl HttpConfig {
    /// Reads `http://host:port/base` or `https://…`, and takes the defaults for everything else.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when it cannot be read that way. Its text shows no part of the URL.
    pub fn parse_url(url: &str) -> Result<Self> {
        let (encrypted, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(wrong("the url must begin with `http://` or `https://`")),
        };
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong(
                "the url holds a user: send what the service wants to see with `token`, `token_file` or `headers`",
            ));
        }
        let is_path = |byte: u8| byte.is_ascii_graphic() && !br##"?#"<>\^`{|}"##.contains(&byte);
        if !rest.bytes().all(is_path) || base.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(wrong(
                "behind the host only a plain path may follow; queries belong to the `path` of a resource",
            ));
        }
        if url.len() > URL_LEN_MAX || !(base.is_empty() || base.parse::<Uri>().is_ok()) {
            return Err(wrong("the url is too long, or no url"));
        }
        let form = UrlForm {
            operation: OPERATION,
            schemes: ["http", "https"],
            port: if encrypted { 443 } else { 80 },
            options: false,
        };
        let (host, port) = form.host_and_port(authority)?;
        if host.is_empty() {
            return Err(wrong("the url names no host"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            base_path: base.trim_end_matches('/').to_owned(),
            encrypted,
            ca_file: None,
            reader_count: 4,
            writer_count: 8,
            request_timeout_ms: 5_000,
            body_bytes_max: 8 << 20,
            headers: HttpHeaders::default(),
        })
    }

    /// With a header that is sent with every request.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for what is no header, and for one that this source sets itself.
    pub fn with_header(mut self, name: &str, value: &Password) -> Result<Self> {
        const OWN: [HeaderName; 8] = [
            header::HOST,
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::TRANSFER_ENCODING,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::ACCEPT_ENCODING,
        ];
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong(format!("`{name}` is no header's name")))?;
        if OWN.contains(&header) || header == super::deliver::IDEMPOTENCY_KEY {
            return Err(wrong(format!("header `{header}` is set by the source itself")));
        }
        let mut value = HeaderValue::from_str(value.reveal().unwrap_or_default())
            .map_err(|_| wrong(format!("the value of header `{header}` holds what no header may hold")))?;
        // Neither Debug nor the driver's own logs show it.
        value.set_sensitive(true);
        self.headers.0.push((header, value));
        Ok(self)
    }

    /// With a bearer token that is sent with every request.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a text that no header may hold.
    pub fn with_token(self, token: &Password) -> Result<Self> {
        let value = Password::new(format!("Bearer {}", token.reveal().unwrap_or_default()));
        self.with_header("authorization", &value)
    }

    /// Whether headers, which are secrets, would leave this machine in the clear.
    pub fn shows_secrets(&self) -> bool {
        !self.encrypted && !is_loopback(&self.host) && !self.headers.0.is_empty()
    }

    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers.0
    }

    /// What its way costs, in a sentence for people.
    pub(super) fn note(&self) -> Option<String> {
        let why = "is not encrypted: what is sent can be read on it (an https:// url ends that)";
        (!self.encrypted && !is_loopback(&self.host)).then(|| format!("the way to `{}` {why}", self.host))
    }
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION, detail.into())
}

#[cfg(test)]
mod tests {
    use super::HttpConfig;
    use crate::Password;
    use throughline_core::ErrorKind;

    #[test]
    fn a_url_is_host_port_and_base() {
        let read = |url| {
            let config = HttpConfig::parse_url(url).unwrap();
            (config.host, config.port, config.base_path, config.encrypted)
        };
        let host =
            |host: &str, port, base: &str, encrypted| (host.to_owned(), port, base.to_owned(), encrypted);
        assert_eq!(read("http://bank"), host("bank", 80, "", false));
        assert_eq!(read("https://bank:8443/api/v2/"), host("bank", 8443, "/api/v2", true));
        assert_eq!(read("http://[::1]:9000/"), host("::1", 9000, "", false));
    }

    #[test]
    fn what_is_no_plain_url_is_refused_without_being_shown() {
        for url in [
            "bank:80",
            "ftp://bank",
            "http://",
            "http://u:s3cret@bank",
            "http://bank/?s3cret=1",
            "http://bank:s3cret",
            "http://bank/../s3cret",
        ] {
            let error = HttpConfig::parse_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = HttpConfig::parse_url("http://bank").unwrap();
        let config = config.with_token(&Password::new("s3cret")).unwrap();
        let config = config.with_header("x-key", &Password::new("s3cret")).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
        assert!(config.shows_secrets());
        let error = config.clone().with_header("x-key", &Password::new("s3cret\n")).unwrap_err();
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        assert!(config.with_header("If-Match", &Password::new("*")).is_err());
    }
}
