//! What can be wrong with an answer.

use std::error::Error;
use std::fmt;

use crate::http::Reject;

/// Why an answer cannot be read. The connection it came on is of no more use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseFault {
    /// It breaks the grammar, or could be read in two ways.
    Malformed(String),
    /// It goes over a limit.
    TooLarge {
        /// The limit's name.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// It is of a kind that this reader does not do.
    Unsupported(String),
    /// The connection ended in the middle of it.
    Truncated,
}

impl ResponseFault {
    pub(super) fn malformed(what: impl Into<String>) -> ResponseFault {
        Self::Malformed(what.into())
    }

    /// What the decoder of request bodies says, of an answer.
    pub(super) fn of_chunks(reject: &Reject, max_body: u64) -> ResponseFault {
        match reject.limit {
            // The decoder was told what is left of the limit, not the limit.
            Some(_) if reject.code == "body_too_large" => {
                Self::TooLarge { limit: "max_body_bytes", max: max_body }
            }
            Some((limit, max)) => Self::TooLarge { limit: limit.name(), max },
            None => Self::malformed(reject.message.clone()),
        }
    }
}

impl fmt::Display for ResponseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) | Self::Unsupported(what) => f.write_str(what),
            Self::TooLarge { limit, max } => write!(f, "the answer goes over {limit} = {max}"),
            Self::Truncated => f.write_str("the connection ended in the middle of the answer"),
        }
    }
}

impl Error for ResponseFault {}
