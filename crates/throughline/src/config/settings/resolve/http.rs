// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service over HTTP as a source, and its resources.

use std::ops::Range;

use throughline_core::Level;
use throughline_sources::Password;
use throughline_sources::http::{HttpConfig, HttpFormat, HttpMapping, PathTemplate, PutMethod};

use super::{Variable, read_secret};
use crate::config::expand::expand;
use crate::config::file::{ResourceConfig, SourceConfig};
use crate::config::settings::{ResourceSettings, SourceKind};
use crate::config::{ConfigError, Secret};
use crate::listing::Format;

/// A connection carries one request at a time, unlike a database's.
pub(super) const READ_CONNECTIONS: u16 = 16;

const BODY_BYTES_MAX: u64 = 1 << 30;

pub(super) fn is_url(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

pub(super) fn source(
    config: &SourceConfig,
    url: &str,
    variable: Variable<'_>,
) -> Result<SourceKind, ConfigError> {
    let mistake =
        |error: &throughline_core::Error, span| ConfigError::new(error.detail().to_owned()).at(span);
    if let Some(file) = &config.password_file {
        return Err(ConfigError::new("a service over HTTP is shown a token or headers, no password")
            .at(file.span())
            .help("set `token_file`, or headers = { Authorization = \"Basic ${NAME}\" }"));
    }
    if let Some(span) =
        config.tables.as_ref().map(toml::Spanned::span).or(config.except.first().map(toml::Spanned::span))
    {
        return Err(ConfigError::new("a service over HTTP has no catalogue to find resources in")
            .at(span)
            .help("leave it out, and name each resource: [resources.NAME] with source and path"));
    }
    let mut http = HttpConfig::parse_url(url).map_err(|error| mistake(&error, config.url.span()))?;
    if let Some((token, span)) = token(config, variable)? {
        http = http.with_token(&Password::new(token.reveal())).map_err(|error| mistake(&error, span))?;
    }
    for (name, value) in &config.headers {
        let expanded = expand(value.get_ref(), variable).map_err(|error| error.at(value.span()))?;
        let with = http.with_header(name.get_ref(), &Password::new(expanded));
        http = with.map_err(|error| mistake(&error, name.span()))?;
    }
    if let Some(size) = &config.max_body {
        let bytes = size.get_ref().0;
        if !(1..=BODY_BYTES_MAX).contains(&bytes) {
            return Err(ConfigError::new("from 1 byte to 1 GiB is taken here").at(size.span()));
        }
        http.body_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    encryption(config, &mut http)?;
    Ok(SourceKind::Http(Box::new(http)))
}

fn token(
    config: &SourceConfig,
    variable: Variable<'_>,
) -> Result<Option<(Secret, Range<usize>)>, ConfigError> {
    match (&config.token, &config.token_file) {
        (Some(token), None) => {
            let expanded = expand(token.get_ref(), variable).map_err(|error| error.at(token.span()))?;
            Ok(Some((Secret::new(expanded), token.span())))
        }
        (None, Some(file)) => Ok(Some((read_secret(file)?, file.span()))),
        (None, None) => Ok(None),
        (Some(_), Some(file)) => {
            Err(ConfigError::new("`token` and `token_file` exclude each other").at(file.span()))
        }
    }
}

/// The url says whether the way is encrypted; `tls = "off"` beside http:// says that this is meant.
fn encryption(config: &SourceConfig, http: &mut HttpConfig) -> Result<(), ConfigError> {
    let accepts_clear = match config.tls.as_ref().map(|tls| (tls.get_ref().as_str(), tls.span())) {
        None => false,
        Some(("off", _)) if !http.encrypted => true,
        Some(("verify", _)) if http.encrypted => false,
        Some((_, span)) => {
            return Err(ConfigError::new("the url of a service says whether the way to it is encrypted")
                .at(span)
                .help(
                    "write https:// to encrypt and verify, and name an authority of your own in `ca_file`",
                ));
        }
    };
    if let Some(file) = &config.ca_file {
        if !http.encrypted {
            return Err(ConfigError::new("authorities are relied on by https:// only").at(file.span()));
        }
        http.ca_file = Some(file.get_ref().clone());
    }
    if http.shows_secrets() && !accepts_clear {
        return Err(ConfigError::new("a token or header would leave this machine in the clear")
            .at(config.url.span())
            .help("use https://, or write tls = \"off\" to send it so all the same"));
    }
    Ok(())
}

/// Refuses what only a service over HTTP has.
pub(super) fn refuse(config: &SourceConfig) -> Result<(), ConfigError> {
    let spans = [
        config.token.as_ref().map(toml::Spanned::span),
        config.token_file.as_ref().map(toml::Spanned::span),
        config.headers.keys().next().map(toml::Spanned::span),
        config.max_body.as_ref().map(toml::Spanned::span),
    ];
    match spans.into_iter().flatten().next() {
        Some(span) => Err(ConfigError::new("only a service over HTTP has `token`, `headers` and `max_body`")
            .at(span)
            .help("a database takes `password_file`")),
        None => Ok(()),
    }
}

/// Refuses what only a resource of a service over HTTP has.
pub(super) fn refuse_resource(config: &ResourceConfig) -> Result<(), ConfigError> {
    let path = config.path.as_ref().or(config.put.as_ref());
    match path {
        Some(written) => Err(ConfigError::new("only a resource of a service over HTTP has `path` and `put`")
            .at(written.span())
            .help("a resource of a database has a `table`")),
        None => Ok(()),
    }
}

/// What a resource is at the service. Its name is already in `settings`.
pub(super) fn resource(config: &ResourceConfig, settings: &mut ResourceSettings) -> Result<(), ConfigError> {
    let of_table = [&config.table, &config.value_column, &config.flags_column, &config.version_column];
    let first_column = config.columns.as_ref().and_then(|columns| columns.first());
    if let Some(written) = of_table.into_iter().flatten().next().or(first_column) {
        return Err(ConfigError::new("a service over HTTP has no tables and columns")
            .at(written.span())
            .help("say where a record is: path = \"/things/{id}\""));
    }
    if let Some(level) = config.level.as_ref().filter(|_| settings.level == Some(Level::Strict)) {
        return Err(ConfigError::new("HTTP knows no locks, so no resource over it can be strict")
            .at(level.span())
            .help("leave `level` out: it is bounded by the ttl"));
    }
    let default = format!("/{}/{{key}}", settings.name);
    let text = config.path.as_ref().map_or(default.as_str(), |path| path.get_ref());
    let path = PathTemplate::parse(text).map_err(|error| {
        let mistake = ConfigError::new(error.detail().to_owned());
        let span = config.path.as_ref().map(toml::Spanned::span).or(settings.place.clone());
        span.map_or_else(|| ConfigError::new(error.detail().to_owned()), |span| mistake.at(span))
    })?;
    let mut mapping = HttpMapping::json(path);
    match config.format.as_ref().map(|format| (format.get_ref().as_str(), format.span())) {
        None | Some(("json", _)) => {}
        Some(("raw", _)) => {
            settings.format = Format::Raw;
            mapping.format = HttpFormat::Raw;
        }
        Some((_, span)) => {
            return Err(ConfigError::new("not a format").at(span).help("write \"json\" or \"raw\""));
        }
    }
    if let Some(put) = &config.put {
        mapping.put = PutMethod::parse(put.get_ref()).ok_or_else(|| {
            ConfigError::new(format!("`{}` is none of the choices", put.get_ref()))
                .at(put.span())
                .help("there are: \"PUT\", \"POST\", \"PATCH\"")
        })?;
    }
    settings.table = mapping.path.to_string();
    settings.http = Some(mapping);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::SourceKind;
    use crate::config::{ConfigError, Settings};
    use crate::listing::Format;
    use throughline_core::Access;
    use throughline_sources::http::PutMethod;

    const WHOLE: &str = r#"
[sources.bank]
url = "https://bank.example/api"
token = "${BANK_TOKEN}"
headers = { X-Branch = "s3cret branch" }
max_body = "1 MiB"

[resources.payment]
source = "bank"
path = "/banks/{bank}/payments/{id}"
put = "PATCH"
"#;

    fn environment(name: &str) -> Option<String> {
        (name == "BANK_TOKEN").then(|| "s3cret token".to_owned())
    }

    fn mistake(text: &str) -> ConfigError {
        Settings::parse(text, &environment).unwrap_err()
    }

    #[test]
    fn a_service_is_read_and_shows_no_secret() {
        let settings = Settings::parse(WHOLE, &environment).unwrap();
        let SourceKind::Http(config) = &settings.sources[0].kind else { panic!("no service") };
        assert_eq!(
            (config.host.as_str(), config.port, config.base_path.as_str()),
            ("bank.example", 443, "/api")
        );
        assert_eq!((config.body_bytes_max, settings.sources[0].read_connections), (1 << 20, 16));
        let payment = &settings.resources[0];
        let mapping = payment.http.as_ref().unwrap();
        assert_eq!((mapping.path.names().join(":"), mapping.put), ("bank:id".to_owned(), PutMethod::Patch));
        assert_eq!((payment.table.as_str(), payment.format), ("/banks/{bank}/payments/{id}", Format::Json));
        assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
    }

    #[test]
    fn without_a_path_the_name_and_the_key_make_it() {
        let text = "[sources.a]\nurl = \"http://127.0.0.1:9000\"\n[resources.payment]\nsource = \"a\"\nformat = \"raw\"";
        let settings = Settings::parse(text, &environment).unwrap();
        assert_eq!(settings.resources[0].table, "/payment/{key}");
        assert_eq!(settings.resources[0].format, Format::Raw);
    }

    #[test]
    fn mistakes_name_what_would_be_right() {
        for (right, wrong, help) in [
            ("put = \"PATCH\"", "put = \"patch\"", "\"PUT\", \"POST\", \"PATCH\""),
            ("put = \"PATCH\"", "level = \"strict\"", "leave `level` out"),
            ("put = \"PATCH\"", "table = \"payment\"", "path = "),
            ("put = \"PATCH\"", "version_column = \"v\"", "path = "),
            ("put = \"PATCH\"", "columns = [\"v\"]", "path = "),
            ("/banks/{bank}", "banks/{bank}", "begin with `/`"),
            ("https://bank.example", "https://me:s3cret@bank.example", "token_file"),
            ("https://", "http://", "tls = \"off\""),
            ("max_body", "tls = \"off\"\nmax_body", "https:// to encrypt"),
            ("max_body", "tls = \"require\"\nmax_body", "https:// to encrypt"),
            ("max_body", "tables = \"all\"\nmax_body", "[resources.NAME]"),
            ("max_body", "password_file = \"/dev/null\"\nmax_body", "token_file"),
            ("max_body", "token_file = \"/dev/null\"\nmax_body", "exclude each other"),
            ("X-Branch", "If-Match", "set by the source itself"),
            ("X-Branch", "\"X Branch\"", "no header's name"),
            ("\"1 MiB\"", "\"2 GiB\"", "1 GiB"),
            ("https://bank.example/api", "mysql://me@localhost/bank", "only a service over HTTP"),
        ] {
            let text = WHOLE.replace(right, wrong);
            assert_ne!(text, WHOLE);
            let mistake = mistake(&text);
            assert!(mistake.to_string().contains(help), "{wrong}: {mistake}");
            assert!(mistake.span.is_some(), "{wrong}: {mistake}");
            assert!(!format!("{mistake} {mistake:?}").contains("s3cret"), "{mistake:?}");
        }
    }

    #[test]
    fn a_database_has_no_path_and_a_url_alone_has_no_resources() {
        let text = "[sources.a]\nurl = \"sqlite:a.db\"\n[resources.p]\nsource = \"a\"\npath = \"/p/{id}\"";
        assert!(mistake(text).to_string().contains("has a `table`"));
        let alone = Settings::of_url("https://bank.example", Access::Read).unwrap_err();
        assert!(alone.to_string().contains("[resources.NAME]"), "{alone}");
    }

    #[test]
    fn secrets_in_the_clear_are_sent_where_somebody_wants_that() {
        let text = WHOLE.replace("https://", "http://");
        assert!(Settings::parse(&text.replace("max_body", "tls = \"off\"\nmax_body"), &environment).is_ok());
        assert!(Settings::parse(&text.replace("bank.example", "127.0.0.1"), &environment).is_ok());
    }
}
