// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one error that crosses crates.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key does not fit the resource (number of parts, type, length): correct the key.
    InvalidKey,
    /// The value does not fit the resource: correct the value. The text names the column.
    InvalidValue,
    /// The value or answer is larger than the limit.
    TooLarge,
    /// The resource may not be changed: set `access = "write"`.
    ReadOnly,
    /// A constraint of the source forbids the write (unique, foreign key, check, not null).
    Constraint,
    /// The source or cache said that these credentials may not do this.
    Denied,
    /// The source or cache cannot be reached now.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// Too much is under way: try again later.
    Overloaded,
    /// A strict write was rolled back because the cache did not confirm its mark.
    Unmarkable,
    /// The source did not say whether the commit took place: read the record to find out.
    OutcomeUnknown,
    /// A server answered what its protocol does not allow, or stored bytes are damaged.
    Corrupt,
    /// Settings contradict each other or what was found.
    Configuration,
    /// The program is shutting down.
    Closed,
    /// The source refused for a reason that none of the above covers.
    Other,
}

impl ErrorKind {
    /// The kind in the words of errors and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid key",
            Self::InvalidValue => "invalid value",
            Self::TooLarge => "too large",
            Self::ReadOnly => "read only",
            Self::Constraint => "constraint violated",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timed out",
            Self::Overloaded => "overloaded",
            Self::Unmarkable => "mark not confirmed",
            Self::OutcomeUnknown => "outcome unknown",
            Self::Corrupt => "corrupt",
            Self::Configuration => "configuration",
            Self::Closed => "shutting down",
            Self::Other => "failed",
        }
    }
}

impl ErrorKind {
    /// Whether the write itself may be to blame: the same write fails again, and another one need not. A missing right or
    /// table, a server that is away, are no write's fault.
    pub const fn is_of_the_write(self) -> bool {
        matches!(
            self,
            Self::InvalidKey | Self::InvalidValue | Self::TooLarge | Self::Constraint | Self::Other
        )
    }
}

/// Whether the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing was done; again may succeed.
    Safe,
    /// It may have been done; again may do it twice.
    Unsafe,
    /// Again fails in the same way.
    Never,
}

/// What failed, where, and what can be done about it. Cheap to clone, because all who joined a flight get it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    retry_after_ms: Option<u64>,
    operation: &'static str,
    detail: Cow<'static, str>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` in `operation` ("load a row", "mark a key"); `detail` says what and where, in
    /// lower case, without any value, password or URL with credentials.
    ///
    /// The kind decides on [`Error::retry`]; [`Error::with_retry`] says otherwise.
    pub fn new(kind: ErrorKind, operation: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry = match kind {
            ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Unmarkable => Retry::Safe,
            ErrorKind::Timeout | ErrorKind::OutcomeUnknown | ErrorKind::Corrupt => Retry::Unsafe,
            _ => Retry::Never,
        };
        Self(Arc::new(Inner {
            kind,
            retry,
            retry_after_ms: None,
            operation,
            detail: detail.into(),
            cause: None,
        }))
    }

    /// The same error with another answer to "may I call again?".
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        self.rebuilt(|inner| inner.retry = retry)
    }

    /// The same error with the time, in milliseconds, that the source asked to be left alone.
    #[must_use]
    pub fn with_retry_after_ms(self, ms: u64) -> Self {
        self.rebuilt(|inner| inner.retry_after_ms = Some(ms))
    }

    /// The same error with the error that led to it.
    #[must_use]
    pub fn with_cause(self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.rebuilt(|inner| inner.cause = Some(cause.into()))
    }

    /// What a caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may be made again.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// How long the source asked to be left alone, in milliseconds, if it did. Sooner is in vain.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.0.retry_after_ms
    }

    /// What was being done.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What and where, without the operation.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    fn rebuilt(self, change: impl FnOnce(&mut Inner)) -> Self {
        // The builders run before the error is shared; a shared one is rebuilt without its cause.
        let mut inner = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Inner {
            kind: shared.kind,
            retry: shared.retry,
            retry_after_ms: shared.retry_after_ms,
            operation: shared.operation,
            detail: shared.detail.clone(),
            cause: None,
        });
        change(&mut inner);
        Self(Arc::new(inner))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}: {}", self.0.operation, self.0.kind.as_str(), self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("retry_after_ms", &self.0.retry_after_ms)
            .field("operation", &self.0.operation)
            .field("detail", &self.0.detail)
            .field("cause", &self.0.cause.as_ref().map(ToString::to_string))
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause.as_ref() as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind, Retry};
    use std::error::Error as _;

    #[test]
    fn text_says_operation_kind_and_detail() {
        let error = Error::new(ErrorKind::InvalidValue, "write a row", "column `price` takes a number");
        assert_eq!(error.to_string(), "cannot write a row: invalid value: column `price` takes a number");
    }

    #[test]
    fn a_clone_keeps_the_cause() {
        let cause = std::io::Error::other("broken pipe");
        let error = Error::new(ErrorKind::Unavailable, "mark a key", "cache `main`").with_cause(cause);
        let copy = error.clone();
        assert_eq!(error.with_retry(Retry::Never).retry(), Retry::Never);
        assert_eq!(copy.clone().with_retry_after_ms(7).retry_after_ms(), Some(7));
        assert_eq!(copy.source().expect("a cause").to_string(), "broken pipe");
    }
}
