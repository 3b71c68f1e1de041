// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prometheus' text format, version 0.0.4: composed, one family after the other.

use std::fmt::{Display, Write as _};

/// The format's media type.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text that is being composed.
#[derive(Debug, Default)]
pub(crate) struct Exposition(String);

impl Exposition {
    /// Begins a family; its samples must follow before the next one begins.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// One sample of the present family.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], number: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        if labels.is_empty() {
            self.line(format_args!("{name} {number}"));
        } else {
            self.line(format_args!("{name}{{{}}} {number}", labels.join(",")));
        }
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("writing to a string does not fail");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::Exposition;

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        let mut text = Exposition::default();
        text.family("a_total", "counter", "Two\nlines.");
        text.sample("a_total", &[("b", "c\"} 7\n\\")], 1);
        text.sample("a_total", &[], 2);
        assert_eq!(
            text.finish(),
            "# HELP a_total Two\\nlines.\n# TYPE a_total counter\na_total{b=\"c\\\"} 7\\n\\\\\"} 1\na_total 2\n"
        );
    }
}
