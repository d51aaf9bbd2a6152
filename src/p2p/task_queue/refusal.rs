//! Why a request is not served, and how that is told.

use std::borrow::Cow;

use super::codes::ErrorCode;
use crate::limits::Limit;

/// A request that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    /// A sentence that says what is wrong and what is allowed.
    pub(super) message: Option<Cow<'static, str>>,
    /// The limit that was hit.
    pub(super) limit: Option<Limit>,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code, message: Some(message.into()), limit: None }
    }

    pub(super) fn at(self, limit: Limit) -> Refusal {
        Refusal { limit: Some(limit), ..self }
    }
}
