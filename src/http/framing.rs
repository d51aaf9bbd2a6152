//! How long a request body is (RFC 9112, 6). Whatever two parsers could read differently is refused, and the connection
//! closed, because the start of the next request is in doubt.

use super::fields::{Known, Picked};
use super::reader::HttpLimits;
use super::reject::Reject;
use crate::limits::Limit;

/// How the body is delimited.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes follow the head; zero without a Content-Length.
    Length(usize),
    /// The chunked coding.
    #[default]
    Chunked,
}

/// Decides the framing; the two fields are known to appear at most once.
pub(super) fn decide(
    head: &[u8],
    picked: &Picked,
    http_1_0: bool,
    limits: &HttpLimits,
) -> Result<Framing, Reject> {
    let length = picked.value(head, Known::ContentLength);
    let Some(coding) = picked.value(head, Known::TransferEncoding) else {
        return length.map_or(Ok(Framing::Length(0)), |digits| content_length(digits, limits));
    };
    if length.is_some() {
        let message = "Content-Length and Transfer-Encoding must not be sent together";
        return Err(Reject::new(400, "length_with_transfer_encoding", message).closing());
    }
    if http_1_0 {
        let message = "HTTP/1.0 has no Transfer-Encoding; send Content-Length";
        return Err(Reject::new(400, "transfer_encoding_in_http_1_0", message).closing());
    }
    if !coding.eq_ignore_ascii_case(b"chunked") {
        let message = "the only Transfer-Encoding that is understood is chunked";
        return Err(Reject::new(501, "unknown_transfer_encoding", message).closing());
    }
    Ok(Framing::Chunked)
}

fn content_length(digits: &[u8], limits: &HttpLimits) -> Result<Framing, Reject> {
    let mut length = (!digits.is_empty()).then_some(0_u64);
    for digit in digits {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'));
        length = length.and_then(|length| length.checked_mul(10)?.checked_add(value?));
    }
    let Some(length) = length else {
        let message = "Content-Length must be one decimal number";
        return Err(Reject::new(400, "bad_content_length", message).closing());
    };
    match usize::try_from(length) {
        Ok(length) if length <= limits.body_bytes => Ok(Framing::Length(length)),
        _ => Err(body_too_large(limits)),
    }
}

/// 413; the body is not read, so the connection closes.
pub(super) fn body_too_large(limits: &HttpLimits) -> Reject {
    let max = limits.body_bytes as u64;
    let message = format!("the request body is larger than {max} bytes ({})", Limit::BodyBytes.name());
    Reject::new(413, "body_too_large", message).limited(Limit::BodyBytes, max).closing()
}
