// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the command line to settings, and mistakes as a person can read them.

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic as _, LabeledSpan, MietteDiagnostic, NamedSource, Report, WrapErr as _};
use throughline::Access;
use throughline::config::{ConfigError, Secret, Settings, SourceKind};

use crate::args::SourceArgs;

/// The password of a source that was named by its URL, so that it need not stand on the command line.
const PASSWORD: &str = "THROUGHLINE_PASSWORD";

/// What is to be served, and the file that says so, if there is one.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    file: Option<(PathBuf, String)>,
}

impl Loaded {
    /// The mistake, shown in the file that it was made in.
    pub(crate) fn report(&self, mistake: ConfigError) -> Report {
        match &self.file {
            Some((path, text)) => report(mistake, path, text),
            None => plain(mistake),
        }
    }
}

/// Reads what the arguments name.
pub(crate) fn load(args: &SourceArgs) -> miette::Result<Loaded> {
    let mut loaded = match (&args.config, &args.url) {
        (Some(path), _) => from_file(path)?,
        (None, Some(url)) => Loaded { settings: from_url(url, args.write)?, file: None },
        (None, None) => {
            let data_dir = args.data_dir.clone().unwrap_or_else(|| "throughline-data".into());
            Loaded { settings: Settings::sample(data_dir), file: None }
        }
    };
    if let Some(data_dir) = &args.data_dir {
        loaded.settings.data_dir.clone_from(data_dir);
        loaded.settings.is_data_kept = true;
    }
    Ok(loaded)
}

fn from_file(path: &Path) -> miette::Result<Loaded> {
    let text = std::fs::read_to_string(path).into_diagnostic();
    let text = text.wrap_err_with(|| format!("cannot read the configuration `{}`", path.display()))?;
    match Settings::parse(&text, &|name| std::env::var(name).ok()) {
        Ok(settings) => Ok(Loaded { settings, file: Some((path.to_owned(), text)) }),
        Err(mistake) => Err(report(mistake, path, &text)),
    }
}

fn from_url(url: &str, write: bool) -> miette::Result<Settings> {
    let access = if write { Access::Write } else { Access::Read };
    let mut settings = Settings::of_url(url, access).map_err(plain)?;
    if has_password(url) {
        eprintln!(
            "warning: a password on the command line can be seen by every user of this machine; put it into {PASSWORD}"
        );
    }
    if let Ok(given) = std::env::var(PASSWORD) {
        for source in &mut settings.sources {
            if let SourceKind::Mysql { password, .. } | SourceKind::Postgres { password, .. } =
                &mut source.kind
            {
                *password = Some(Secret::new(given.clone()));
            }
        }
    }
    Ok(settings)
}

fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

fn plain(mistake: ConfigError) -> Report {
    let diagnostic = MietteDiagnostic::new(mistake.message);
    Report::new(match mistake.help {
        Some(help) => diagnostic.with_help(help),
        None => diagnostic,
    })
}

fn report(mistake: ConfigError, path: &Path, text: &str) -> Report {
    let Some(span) = mistake.span.clone() else { return plain(mistake) };
    let span = span.start.min(text.len())..span.end.min(text.len());
    let mut diagnostic = MietteDiagnostic::new(mistake.message).with_label(LabeledSpan::at(span, "here"));
    if let Some(help) = mistake.help {
        diagnostic = diagnostic.with_help(help);
    }
    Report::new(diagnostic).with_source_code(NamedSource::new(path.display().to_string(), masked(text)))
}

/// A configuration's text to be shown: as long as it was, so that places stay right, but without passwords
/// and tokens, which may stand in the very line that is wrong or beside it.
fn masked(text: &str) -> String {
    text.split_inclusive('\n').map(masked_line).collect()
}

fn masked_line(line: &str) -> String {
    let stars = |secret: &str| "*".repeat(secret.len());
    if let Some(start) = secret_value(line) {
        let secret = line[start..].trim_end();
        return format!("{}{}{}", &line[..start], stars(secret), &line[start + secret.len()..]);
    }
    // From the first colon behind the scheme to the last `@`: a password may hold either.
    let account = line.split_once("://").and_then(|(scheme, rest)| {
        let (account, _) = rest.rsplit_once('@')?;
        let (user, password) = account.split_once(':')?;
        let start = scheme.len() + "://".len() + user.len() + ":".len();
        Some(start..start + password.len())
    });
    match account {
        Some(secret) => {
            format!("{}{}{}", &line[..secret.start], stars(&line[secret.clone()]), &line[secret.end..])
        }
        None => line.to_owned(),
    }
}

/// Where the value of a setting begins whose name says that it is secret, right or misspelt.
fn secret_value(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let of_word = |word: &'static str| {
        lower.match_indices(word).find_map(|(at, _)| {
            let equals = at + lower[at..].find('=')?;
            (!lower[at..equals].contains("file")).then_some(equals + 1)
        })
    };
    ["pass", "pwd", "token", "secret"].into_iter().filter_map(of_word).min()
}

#[cfg(test)]
mod tests {
    use super::{has_password, masked};

    #[test]
    fn a_text_to_be_shown_holds_no_password_and_keeps_its_length() {
        let text = "url = \"mysql://me:geheim@h:1/shop\" # a\ntoken = \"geheim\"\r\npasswort = 'geheimß'\n\
                    url = \"mysql://me:ge/h@eim@h/shop\"\npassword_file = \"/run/p\"\nb = \"x@y\"\n\
                    http = { address = \"h:1\", token = \"geheim\" }";
        let shown = masked(text);
        assert!(!shown.contains("heim") && !shown.contains("eim"), "{shown}");
        assert_eq!((shown.len(), shown.lines().count()), (text.len(), text.lines().count()));
        for kept in ["mysql://me:******@h:1/shop", "password_file = \"/run/p\"", "b = \"x@y\""] {
            assert!(shown.contains(kept), "{shown}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_noticed() {
        assert!(has_password("mysql://me:secret@localhost/shop"));
        assert!(!has_password("mysql://me@localhost:3306/shop"));
        assert!(!has_password("sqlite:shop.db"));
    }
}
