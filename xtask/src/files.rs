// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the checks read and what they answer.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::code::code_only;

/// The text files of the repository.
#[derive(Debug)]
pub struct Files(Vec<TextFile>);

/// One text file; its path is relative to the repository.
#[derive(Debug)]
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the contents of literals blanked; the lines stay where they are.
    pub(crate) code: String,
}

/// A fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Files {
    /// Reads what git tracks, or would track after `git add`, in the checkout at `root`.
    ///
    /// # Errors
    /// When `root` is no git checkout or a file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let output = Command::new("git")
            // Some build machines check out as one user and build as another, which git mistrusts by default.
            .args(["-c", "safe.directory=*"])
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr)));
        }
        let list = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut files = Vec::new();
        for path in list.split_terminator('\0') {
            match std::fs::read(root.join(path)) {
                // What is not UTF-8 is a picture or a fuzz seed, and has no lines.
                Ok(bytes) => {
                    files.extend(String::from_utf8(bytes).ok().map(|text| TextFile::new(path, text)))
                }
                // Deleted in the checkout and not yet in the index.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io::Error::other(format!("{path}: {error}"))),
            }
        }
        Ok(Self(files))
    }

    /// Whether there is a file at `path`, relative to the repository.
    pub fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|file| file.path == path)
    }

    /// A repository with one file, for the tests of the checks.
    #[cfg(test)]
    pub(crate) fn one(path: &str, text: &str) -> Self {
        Self(vec![TextFile::new(path, text.to_owned())])
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &TextFile> {
        self.0.iter()
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &TextFile> {
        self.0.iter().filter(|file| file.is_rust())
    }
}

impl TextFile {
    fn new(path: &str, text: String) -> Self {
        let code = if path.ends_with(".rs") { code_only(&text) } else { String::new() };
        Self { path: path.to_owned(), text, code }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The line, counted from 0, on which the unit tests at the foot of the file begin.
    pub(crate) fn tests_begin(&self) -> Option<usize> {
        if self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
        {
            return Some(0);
        }
        self.code.lines().position(|line| line.trim_start().starts_with("#[cfg(test)]"))
    }

    /// A finding on `line`, counted from 0.
    pub(crate) fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line: line + 1, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::Files;

    #[test]
    fn a_finding_shows_path_and_line_as_an_editor_counts() {
        let files = Files::one("src/a.rs", "");
        let finding = files.all().next().map(|file| file.finding(0, "fault").to_string());
        assert_eq!(finding.as_deref(), Some("src/a.rs:1: fault"));
    }

    #[test]
    fn tests_begin_at_their_module_or_with_their_file() {
        let begin = |path, text| Files::one(path, text).all().next().and_then(super::TextFile::tests_begin);
        assert_eq!(begin("src/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests {}"), Some(1));
        assert_eq!(begin("src/a.rs", "// #[cfg(test)]"), None);
        assert_eq!(begin("crates/x/tests/a.rs", "fn f() {}"), Some(0));
        assert_eq!(begin("crates/x/src/a/tests.rs", "fn f() {}"), Some(0));
    }
}
