//! The error of a directive's value.

use std::fmt;

/// An invalid value of a directive. [`fmt::Display`] is the message for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    directive: &'static str,
    value: String,
    valid: &'static str,
}

impl Invalid {
    pub(crate) fn new(directive: &'static str, value: &[u8], valid: &'static str) -> Self {
        Self { directive, value: String::from_utf8_lossy(value).into_owned(), valid }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: '{}' is not valid; give {}", self.directive, self.value, self.valid)
    }
}

impl std::error::Error for Invalid {}
