//! Why a request is not served, and how that is told.

use std::borrow::Cow;

use super::codes::ErrorCode;
use crate::limits::Limit;
use crate::store::StoreError;

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

    /// A part of the request that cannot be used.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(ErrorCode::InvalidField, message)
    }

    pub(super) fn at(self, limit: Limit) -> Refusal {
        Refusal { limit: Some(limit), ..self }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        // The codes of the store are among those of the protocol, which a test holds.
        let code = ErrorCode::of(error.code()).unwrap_or(ErrorCode::InternalError);
        Refusal { code, message: Some(error.to_string().into()), limit: error.limit() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue;

    #[test]
    fn every_error_of_the_store_has_a_code_here() {
        let refused = [
            queue::Refusal::TaskNotFound,
            queue::Refusal::LeaseLost,
            queue::Refusal::FencingRequired,
            queue::Refusal::QueueFull("max_tasks"),
            queue::Refusal::TooLarge { what: "payload", max: 1 },
            queue::Refusal::InvalidJson("cursor"),
            queue::Refusal::Conflict,
            queue::Refusal::NotFinished,
        ];
        let refused = refused.into_iter().map(StoreError::Refused);
        let own = [StoreError::DiskFull, StoreError::Busy, StoreError::TooManyWaiters, StoreError::Closed];
        for error in refused.chain(own) {
            let code = error.code();
            let refusal = Refusal::from(error);
            assert_eq!(refusal.code.as_str(), code);
        }
    }
}
