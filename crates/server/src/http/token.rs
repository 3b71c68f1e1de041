// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bearer token (RFC 6750), without which nothing but `/healthz` answers.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use throughline::config::Secret;

use super::problem::{Problem, ProblemKind};

/// A token, kept as its hash: comparing two hashes takes the same time wherever they differ, and does not
/// tell how long the token is.
#[derive(Debug)]
pub(crate) struct Token(blake3::Hash);

impl Token {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(blake3::hash(secret.reveal().as_bytes()))
    }

    /// Checks that a request carries this token.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            return Err(refuse("no token was sent", "Bearer realm=\"throughline\""));
        };
        let sent = bearer(authorization.as_bytes());
        if sent.is_some_and(|sent| blake3::hash(sent) == self.0) {
            return Ok(());
        }
        let challenge = "Bearer realm=\"throughline\", error=\"invalid_token\"";
        Err(refuse("the token is not the right one", challenge))
    }
}

fn refuse(detail: &str, challenge: &'static str) -> Problem {
    Problem::new(ProblemKind::Unauthorized, detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

/// The token of `Bearer <token>`.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::Token;
    use axum::http::HeaderMap;
    use axum::http::header::AUTHORIZATION;
    use throughline::config::Secret;

    fn passes(authorization: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        Token::new(&Secret::new("s3cret")).check(&headers).is_ok()
    }

    #[test]
    fn only_the_whole_token_passes() {
        assert!(passes("Bearer s3cret") && passes("bearer  s3cret"));
        for wrong in ["", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret"] {
            assert!(!passes(wrong), "{wrong}");
        }
    }
}
