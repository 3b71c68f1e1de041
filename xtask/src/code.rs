// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust without its comments and literals.
//!
//! A check that looks for code must not stumble over a comment or a string that speaks of it. This is not a
//! parser: it knows only where comments, strings and characters begin and end.

/// `text` with comments and the contents of literals replaced by blanks. Line ends stay, so lines keep their
/// numbers.
pub(crate) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skip = comment(rest).or_else(|| literal(rest, after_word)).unwrap_or(0);
        if skip == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skip].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skip..];
        }
    }
    code
}

/// The length of the comment that begins here.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(rest.len())
}

/// The length of the string or character that begins here. After a letter, `r"` and `b"` end a longer word, and
/// only the quote itself begins a literal.
fn literal(rest: &str, after_word: bool) -> Option<usize> {
    let prefix_max = if after_word { 0 } else { 2 };
    let prefix = rest.find(|c: char| !matches!(c, 'r' | 'b' | 'c')).filter(|&length| length <= prefix_max)?;
    let quoted = &rest[prefix..];
    if rest[..prefix].contains('r') {
        return raw_string(quoted).map(|length| prefix + length);
    }
    match quoted.chars().next()? {
        '"' => Some(prefix + escaped(quoted, '"')),
        '\'' if is_char(quoted) => Some(prefix + escaped(quoted, '\'')),
        _ => None,
    }
}

fn raw_string(quoted: &str) -> Option<usize> {
    let fence = quoted.find(|c| c != '#')?;
    let body = quoted[fence..].strip_prefix('"')?;
    let end = format!("\"{}", &quoted[..fence]);
    Some(body.find(&end).map_or(quoted.len(), |at| fence + 1 + at + end.len()))
}

/// A lifetime has no closing quote right after its first letter.
fn is_char(quoted: &str) -> bool {
    let mut chars = quoted.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

/// The length up to the closing `quote`, over those that a backslash escapes.
fn escaped(quoted: &str, quote: char) -> usize {
    let mut chars = quoted.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + quote.len_utf8();
        }
    }
    quoted.len()
}

#[cfg(test)]
mod tests {
    use super::code_only;

    fn blanked(text: &str) -> String {
        let code = code_only(text);
        assert_eq!(code.lines().count(), text.lines().count(), "lines moved in {text:?}");
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_are_blanked() {
        assert_eq!(blanked("a // b\nc /* d /* e */\nf */ g"), "a c g");
    }

    #[test]
    fn strings_are_blanked() {
        assert_eq!(blanked(r##"f("a \" b", r"c\", r#"d " e"#, b"g")"##), "f( , , , )");
        assert_eq!(blanked("f(\"a // b\nc\") // d"), "f( )");
    }

    #[test]
    fn characters_are_blanked_and_lifetimes_stay() {
        assert_eq!(
            blanked(r#"fn f<'a>(x: &'a str) { g('"', '\'', b'x', 'é') }"#),
            "fn f<'a>(x: &'a str) { g( , , , ) }"
        );
    }

    #[test]
    fn names_that_end_like_a_prefix_stay() {
        assert_eq!(blanked("for bar in rr { r#use; br }"), "for bar in rr { r#use; br }");
    }

    #[test]
    fn unfinished_text_ends() {
        for text in ["\"a", "/* a", "r#\"a", "'\\", "b", "r#"] {
            code_only(text);
        }
    }
}
