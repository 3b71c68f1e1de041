// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service's refusals and silences in our words.

use hyper::header;
use hyper::{HeaderMap, StatusCode};
use throughline_core::{Error, ErrorKind, Retry};

use super::client::Failure;

/// The longest `Retry-After` that is taken at its word; a service that says more has no say in our lives.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A record.
    Load,
    /// A change.
    Write,
}

/// The error of a load without an answer: nothing was done.
pub(super) fn of_load(operation: &'static str, place: &str, failure: &Failure) -> Error {
    // What is not HTTP, or too large, is so the next time as well.
    let retry = match failure.kind {
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Overloaded => Retry::Safe,
        _ => Retry::Never,
    };
    Error::new(failure.kind, operation, format!("{place}: {}", failure.why)).with_retry(retry)
}

/// The error of a write without an answer.
pub(super) fn of_write(operation: &'static str, place: &str, failure: &Failure) -> Error {
    if !failure.was_sent {
        return of_load(operation, place, failure);
    }
    Error::new(ErrorKind::OutcomeUnknown, operation, format!("{place}: {}", failure.why))
}

/// The error of a status that is no success.
pub(super) fn refused(
    operation: &'static str,
    at: &str,
    asked: Asked,
    status: StatusCode,
    headers: &HeaderMap,
    complaint: Option<String>,
) -> Error {
    let retry_after_ms = retry_after_ms(headers);
    let (kind, retry) = kind(asked, status, retry_after_ms.is_some());
    let number = status.as_u16();
    let detail = match (status.is_redirection(), complaint) {
        (true, _) => format!(
            "`{at}`: the answer {number} sends us elsewhere, where we do not go: correct `url` or `path`"
        ),
        (false, Some(complaint)) => format!("`{at}`: the answer is {number}: {complaint}"),
        (false, None) => format!("`{at}`: the answer is {number}"),
    };
    let error = Error::new(kind, operation, detail).with_retry(retry);
    match retry_after_ms {
        Some(ms) if retry != Retry::Never => error.with_retry_after_ms(ms),
        _ => error,
    }
}

/// What a status means. A 5xx says nothing about what was done, unless the service names the time to come back: then
/// it declined.
fn kind(asked: Asked, status: StatusCode, says_when: bool) -> (ErrorKind, Retry) {
    let is_load = asked == Asked::Load;
    match status.as_u16() {
        400 | 422 if is_load => (ErrorKind::InvalidKey, Retry::Never),
        400 | 415 | 422 => (ErrorKind::InvalidValue, Retry::Never),
        401 | 403 | 407 => (ErrorKind::Denied, Retry::Never),
        404 | 410 | 414 => (ErrorKind::InvalidKey, Retry::Never),
        405 | 501 if !is_load => (ErrorKind::ReadOnly, Retry::Never),
        408 => (ErrorKind::Timeout, Retry::Safe),
        409 if says_when => (ErrorKind::Overloaded, Retry::Safe),
        // A 412 that comes here answers no condition of ours.
        409 | 412 => (ErrorKind::Constraint, Retry::Never),
        413 => (ErrorKind::TooLarge, Retry::Never),
        425 | 429 => (ErrorKind::Overloaded, Retry::Safe),
        503 if says_when => (ErrorKind::Unavailable, Retry::Safe),
        501 => (ErrorKind::Other, Retry::Never),
        500..=599 if is_load => (ErrorKind::Unavailable, Retry::Safe),
        500..=599 => (ErrorKind::OutcomeUnknown, Retry::Unsafe),
        // A success that is none here: no content, a part, many answers.
        200..=299 => (ErrorKind::Corrupt, Retry::Never),
        _ => (ErrorKind::Other, Retry::Never),
    }
}

/// The time that the service asks to be left alone. A date is compared with the answer's own `Date`, so that no clock
/// of ours has to agree with theirs.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let ms = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        text.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1_000)
    } else {
        let then = httpdate::parse_http_date(text).ok()?;
        let now = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
        u64::try_from(then.duration_since(now).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    };
    Some(ms.min(RETRY_AFTER_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::{Asked, refused, retry_after_ms};
    use hyper::{HeaderMap, StatusCode};
    use throughline_core::{Error, ErrorKind, Retry};

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn error(asked: Asked, status: u16, of: &[(&'static str, &str)]) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        refused("write a record", "PUT /x/{id}", asked, status, &headers(of), None)
    }

    #[test]
    fn what_the_caller_did_wrong_is_permanent_and_has_its_kind() {
        for (status, kind) in [
            (400, ErrorKind::InvalidValue),
            (401, ErrorKind::Denied),
            (403, ErrorKind::Denied),
            (404, ErrorKind::InvalidKey),
            (405, ErrorKind::ReadOnly),
            (409, ErrorKind::Constraint),
            (413, ErrorKind::TooLarge),
            (418, ErrorKind::Other),
            (422, ErrorKind::InvalidValue),
            (301, ErrorKind::Other),
            (308, ErrorKind::Other),
        ] {
            let error = error(Asked::Write, status, &[("retry-after", "1")]);
            if status != 409 {
                assert_eq!((error.kind(), error.retry()), (kind, Retry::Never), "{status}");
                assert_eq!(error.retry_after_ms(), None);
            }
        }
        assert_eq!(error(Asked::Write, 409, &[]).kind(), ErrorKind::Constraint);
        assert_eq!(error(Asked::Load, 422, &[]).kind(), ErrorKind::InvalidKey);
    }

    #[test]
    fn what_can_pass_by_itself_is_transient() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            for asked in [Asked::Load, Asked::Write] {
                assert_ne!(error(asked, status, &[]).retry(), Retry::Never, "{status}");
            }
        }
        assert_eq!(error(Asked::Load, 503, &[]).kind(), ErrorKind::Unavailable);
        assert_eq!(error(Asked::Write, 502, &[]).kind(), ErrorKind::OutcomeUnknown);
        let declined = error(Asked::Write, 503, &[("retry-after", "7")]);
        assert_eq!((declined.kind(), declined.retry_after_ms()), (ErrorKind::Unavailable, Some(7_000)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_beside_the_answers_own() {
        let ms = |of: &[(&'static str, &str)]| retry_after_ms(&headers(of));
        assert_eq!(ms(&[("retry-after", "120")]), Some(120_000));
        assert_eq!(ms(&[("retry-after", "99999999999999999999999")]), Some(3_600_000));
        let date = ("date", "Fri, 31 Dec 1999 23:59:00 GMT");
        assert_eq!(ms(&[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"), date]), Some(59_000));
        assert_eq!(ms(&[("retry-after", "Fri, 31 Dec 1999 23:58:00 GMT"), date]), Some(0));
        assert_eq!(ms(&[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")]), None);
        assert_eq!(ms(&[("retry-after", "-1")]), None);
        assert_eq!(ms(&[("retry-after", "")]), None);
    }
}
