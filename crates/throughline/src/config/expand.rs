// SPDX-License-Identifier: MIT OR Apache-2.0
//! `${VARIABLE}` in the values of the configuration.

use super::ConfigError;

/// Replaces each `${NAME}` in `text` by what `variable` says; `$$` is a `$`.
///
/// # Errors
/// A variable that is not set, and a `${` without its `}`. No error shows a variable's value.
pub(super) fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('$') {
        expanded.push_str(&rest[..place]);
        rest = &rest[place + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}').ok_or_else(|| {
                ConfigError::new("`${` has no closing `}`")
                    .help("write ${NAME}, or $$ for a plain dollar sign")
            })?;
            let name = &after[..end];
            let value = variable(name).ok_or_else(|| {
                ConfigError::new(format!("the environment variable `{name}` is not set")).help(format!(
                    "set {name}, or put the value into a file and name it with `password_file`"
                ))
            })?;
            expanded.push_str(&value);
            rest = &after[end + 1..];
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn environment(name: &str) -> Option<String> {
        (name == "PASSWORD").then(|| "p$w".to_owned())
    }

    #[test]
    fn variables_are_replaced_once_and_doubled_dollars_are_kept() {
        assert_eq!(expand("a:${PASSWORD}@b$$c", &environment).expect("expanded"), "a:p$w@b$c");
    }

    #[test]
    fn an_unset_variable_and_an_open_brace_are_mistakes() {
        assert!(
            expand("${OTHER}", &environment).expect_err("a mistake").message.contains("`OTHER` is not set")
        );
        assert!(expand("${PASS", &environment).is_err());
    }
}
