// SPDX-License-Identifier: MIT OR Apache-2.0
//! One word for one thing.

use crate::{Files, Finding};

/// What not to say, what to say, and why. Only what has no second meaning in this repository is here: "delete"
/// is a command of memcached and a method of HTTP, so a reader must judge it.
const WORDS: [Word; 13] = [
    Word("tombstone", "mark", "a writer's note is no grave: publish turns it into the value"),
    Word("stampede", "equal misses", "say what happens, then how single-flight joins it"),
    Word("thundering herd", "equal misses", "say what happens, then how single-flight joins it"),
    Word("dogpile", "equal misses", "say what happens, then how single-flight joins it"),
    Word("single flight", "single-flight", "one spelling can be searched for"),
    Word("request coalescing", "single-flight", "coalesce means to merge queued writes of one key"),
    Word("write-back", "write-behind", "one name per strategy"),
    Word("writeback", "write-behind", "one name per strategy"),
    Word("circuit breaker", "breaker", "one name per thing"),
    Word("backing store", "source", "the source is the system of record, not the cache's helper"),
    Word("cache busting", "invalidate", "a newer truth exists, nothing is broken"),
    Word("purge the cache", "invalidate, expire or evict", "these three differ in why the entry goes"),
    Word("delete from the cache", "invalidate, expire or evict", "these three differ in why the entry goes"),
];

/// Where the words are listed, and where an outsider's search for them must find us.
const EXEMPT: [&str; 2] = ["xtask/src/checks/words.rs", "STYLE.md"];

struct Word(&'static str, &'static str, &'static str);

/// Synonyms that the vocabulary of STYLE.md replaces, in Rust files and documents.
pub fn words(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    let read = files.all().filter(|file| file.is_rust() || file.path.ends_with(".md"));
    for file in read.filter(|file| !EXEMPT.contains(&file.path.as_str())) {
        for (line, text) in file.text.lines().enumerate() {
            let text = text.to_lowercase();
            for Word(wrong, right, why) in WORDS.iter().filter(|word| begins_word(&text, word.0)) {
                findings.push(file.finding(line, format!("\"{wrong}\": say \"{right}\" ({why})")));
            }
        }
    }
    findings
}

fn begins_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::{WORDS, words};
    use crate::Files;

    #[test]
    fn each_word_is_found_in_code_and_in_documents() {
        for word in &WORDS {
            let text = format!("// The {}s of it.\n", word.0.to_uppercase());
            assert_eq!(words(&Files::one("src/a.rs", &text)).len(), 1, "{text}");
            assert_eq!(words(&Files::one("docs/a.md", &text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn the_right_words_are_not_found() {
        for word in &WORDS {
            let text = format!("// The {} of it.\n", word.1);
            assert_eq!(words(&Files::one("src/a.rs", &text)), [], "{text}");
        }
    }
}
