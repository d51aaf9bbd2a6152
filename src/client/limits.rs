//! Everything that a server could make the client hold or repeat, and how far it may go.

use super::error::ClientError;

macro_rules! client_limits {
    ($($(#[doc = $doc:literal])+ $field:ident = $default:expr;)*) => {
        /// The bounds of one client. What goes over one of them is an error that names it: [`ClientError::Limit`].
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ClientLimits { $($(#[doc = $doc])+ pub $field: usize,)* }

        impl Default for ClientLimits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl ClientLimits {
            /// The name and the default of every limit.
            pub const DEFAULTS: &'static [(&'static str, usize)] = &[$((stringify!($field), $default),)*];
        }
    };
}

client_limits! {
    /// Bytes of one message from the server.
    max_message_bytes = 4 << 20;
    /// Messages in one batch from a server of 2025-03-26 or before.
    max_batch_messages = 256;
    /// Pages of one list.
    max_pages = 100;
    /// Entries of one list, all pages together.
    max_list_entries = 10_000;
    /// Rounds of `input_required` in one call, the first answer counted.
    max_rounds = 16;
    /// Questions of the server that are being answered at once on one stream, or asked in one round. One more on a
    /// stream is answered with an error, one more in a round fails the call.
    max_questions = 16;
    /// Messages on the stream of one call.
    max_stream_messages = 100_000;
    /// Attempts to resume one stream between two of its events, and the reopenings of one call's stream in all.
    max_resumptions = 8;
    /// Changes that wait in a subscription that nobody reads. Past it the oldest is dropped and counted as missed.
    max_waiting_changes = 256;
    /// Resources of one subscription, and resources that a session's loss makes the client subscribe to again.
    max_subscribed_resources = 256;
    /// Notices of cancellation that are on their way at once; one more is not sent.
    max_pending_cancels = 64;
}

/// The error for a value that went over the limit of that name.
pub(crate) fn exceeded(limit: &'static str, max: usize) -> ClientError {
    ClientError::Limit { limit, max: max as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_name_and_a_default_above_zero() {
        assert!(
            ClientLimits::DEFAULTS.iter().all(|(name, default)| name.starts_with("max_") && *default > 0)
        );
        assert_eq!(
            ClientLimits::DEFAULTS[0],
            ("max_message_bytes", ClientLimits::default().max_message_bytes)
        );
        assert_eq!(exceeded("max_pages", 3).to_string(), "the server went over max_pages, which is 3");
    }
}
