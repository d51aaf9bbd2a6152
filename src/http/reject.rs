//! A refusal at the HTTP level: its status, its stable code and what happens to the connection.

use std::borrow::Cow;

use super::response::{JSON, ResponseHead, write_response};
use crate::limits::Limit;

/// Why a request is refused before anything has looked at its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The HTTP status.
    pub status: u16,
    /// A short code that never changes, for programs and metrics.
    pub code: &'static str,
    /// A sentence for people: what was wrong, and what is allowed.
    pub message: Cow<'static, str>,
    /// The limit that was hit, and its value in force.
    pub limit: Option<(Limit, u64)>,
    /// True when the connection ends with this answer, because the next request's start is in doubt.
    pub close: bool,
    /// True when the request was a HEAD, whose answer has no body.
    pub head_only: bool,
    /// Value of the Allow header, for 405.
    pub allow: Option<&'static str>,
    /// Value of the Retry-After header in seconds, for 429 and 503.
    pub retry_after_s: Option<u32>,
}

impl Reject {
    /// A refusal that leaves the connection open.
    pub fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Reject {
        Reject {
            status,
            code,
            message: message.into(),
            limit: None,
            close: false,
            head_only: false,
            allow: None,
            retry_after_s: None,
        }
    }

    /// The same refusal, and the connection ends with it.
    #[must_use]
    pub fn closing(mut self) -> Reject {
        self.close = true;
        self
    }

    /// Names the limit that was hit and its value in force.
    #[must_use]
    pub fn limited(mut self, limit: Limit, max: u64) -> Reject {
        self.limit = Some((limit, max));
        self
    }

    /// Says after how many seconds to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Reject {
        self.retry_after_s = Some(seconds);
        self
    }

    /// 405, with the methods that the path knows.
    pub fn method_not_allowed(allow: &'static str) -> Reject {
        let message = format!("this path answers {allow} only");
        Reject { allow: Some(allow), ..Reject::new(405, "method_not_allowed", message) }
    }

    /// 408 for a head or a body that took too long; the connection closes.
    pub fn timed_out(limit: Limit, max_ms: u64) -> Reject {
        let (code, part) = match limit {
            Limit::BodyTime => ("body_timeout", "body"),
            _ => ("header_timeout", "head"),
        };
        let message = format!("the request's {part} did not arrive within {max_ms} ms ({})", limit.name());
        Reject::new(408, code, message).limited(limit, max_ms).closing()
    }

    /// 503 for a limit of the whole process; trying again after a second is welcome.
    pub fn overloaded(limit: Limit, max: u64) -> Reject {
        let message = format!("the server is at {} = {max}; try again later", limit.name());
        Reject::new(503, "overloaded", message).limited(limit, max).retry_after(1)
    }

    /// The answer's body: one JSON object.
    pub fn body(&self) -> String {
        let message = serde_json::to_string(&self.message).expect("invariant: a string is always JSON");
        let mut body = format!(r#"{{"error":{{"code":"{}","message":{message}"#, self.code);
        if let Some((limit, max)) = self.limit {
            body.push_str(&format!(r#","limit":"{}","max":{max}"#, limit.name()));
        }
        body.push_str("}}");
        body
    }
}

/// Appends the whole answer to a refusal. `base` brings what the refusal does not know: the date, the CORS grant, the
/// version of the request, and whether the connection ends for another reason.
pub fn write_reject(out: &mut Vec<u8>, reject: &Reject, base: &ResponseHead<'_>) {
    let head = ResponseHead {
        status: reject.status,
        content_type: Some(JSON),
        close: base.close || reject.close,
        head_only: base.head_only || reject.head_only,
        allow: reject.allow.or(base.allow),
        retry_after_s: reject.retry_after_s.or(base.retry_after_s),
        ..*base
    };
    write_response(out, &head, reject.body().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_names_the_limit_and_escapes_the_message() {
        let reject = Reject::new(413, "body_too_large", "say \"less\"").limited(Limit::BodyBytes, 4096);
        assert_eq!(
            reject.body(),
            r#"{"error":{"code":"body_too_large","message":"say \"less\"","limit":"max_body_bytes","max":4096}}"#
        );
    }

    #[test]
    fn the_answer_carries_what_the_refusal_asks_for() {
        let mut out = Vec::new();
        let reject = Reject::overloaded(Limit::InflightRequests, 8).closing();
        write_reject(&mut out, &reject, &ResponseHead::default());
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
        assert!(text.contains("\r\nRetry-After: 1\r\n"), "{text}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
        assert!(text.ends_with(r#""limit":"max_inflight_requests","max":8}}"#), "{text}");
    }
}
