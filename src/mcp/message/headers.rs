//! Checks of the HTTP headers that MCP gives a meaning: media types, and what is mirrored from the body.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::mcp::message::envelope::Message;
use crate::mcp::message::head::RequestHead;
use crate::mcp::message::method::MethodKind;
use crate::mcp::message::scan::text;

/// True for `application/json`, with parameters or without; a charset must be UTF-8.
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    if content_type == b"application/json" {
        return true;
    }
    let mut parts = content_type.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    parts.next().is_some_and(|media| media.eq_ignore_ascii_case(b"application/json"))
        && parts.all(|parameter| match split_once(parameter, b'=') {
            Some((name, value)) if name.eq_ignore_ascii_case(b"charset") => value
                .trim_ascii_start()
                .strip_prefix(b"\"")
                .unwrap_or(value)
                .to_ascii_lowercase()
                .starts_with(b"utf-8"),
            _ => true,
        })
}

/// True when an `Accept` value admits both types that an answer may have.
pub(crate) fn accepts_both(accept: &[u8]) -> bool {
    // What every official client sends, word for word.
    accept == b"application/json, text/event-stream"
        || (admits(accept, b"application", b"json") && admits(accept, b"text", b"event-stream"))
}

/// True when an `Accept` value admits event streams.
pub(crate) fn accepts_events(accept: &[u8]) -> bool {
    admits(accept, b"text", b"event-stream")
}

/// True when one of the media ranges in `accept` covers the type with a weight above zero.
fn admits(accept: &[u8], main: &[u8], sub: &[u8]) -> bool {
    accept.split(|byte| *byte == b',').any(|range| {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let Some((range_main, range_sub)) = parts.next().and_then(|media| split_once(media, b'/')) else {
            return false;
        };
        let covered = (range_main == b"*" && range_sub == b"*")
            || (range_main.eq_ignore_ascii_case(main)
                && (range_sub == b"*" || range_sub.eq_ignore_ascii_case(sub)));
        covered && !parts.any(is_zero_weight)
    })
}

fn is_zero_weight(parameter: &[u8]) -> bool {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    value.is_some_and(|value| value.starts_with(b"0") && value.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// The value that a mirrored header carries, `=?base64?…?=` decoded; `None` when it is malformed.
pub(crate) fn mirrored_value(header: &[u8]) -> Option<Cow<'_, str>> {
    let value = std::str::from_utf8(header).ok()?;
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return None;
    }
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        // The engine is strict: padding is required and unused bits must be zero.
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned),
        None => Some(Cow::Borrowed(value)),
    }
}

/// Compares `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` with the body; the error is the sentence to answer.
pub(crate) fn check_mirrored(
    head: &RequestHead<'_>,
    message: &Message<'_>,
    kind: MethodKind,
    method: &str,
    version: &str,
) -> Result<(), String> {
    check_plain("MCP-Protocol-Version", head.protocol_version, version)?;
    check_plain("Mcp-Method", head.method, method)?;
    let (member, raw) = match kind {
        MethodKind::ToolsCall | MethodKind::PromptsGet => ("params.name", message.params.name),
        MethodKind::ResourcesRead => ("params.uri", message.params.uri),
        MethodKind::TasksGet | MethodKind::TasksUpdate | MethodKind::TasksCancel => {
            ("params.taskId", message.params.task_id)
        }
        _ => return Ok(()),
    };
    // A body without the value is refused by the method itself, which can say so better.
    let Some(expected) = raw.and_then(text) else { return Ok(()) };
    let header = head.name.ok_or_else(|| missing("Mcp-Name", member))?;
    // Most names need no decoding.
    if header == expected.as_bytes() && !header.starts_with(b"=?") {
        return Ok(());
    }
    let value = mirrored_value(header).ok_or_else(|| malformed("Mcp-Name"))?;
    if value == expected { Ok(()) } else { Err(mismatch("Mcp-Name", member)) }
}

fn check_plain(name: &str, header: Option<&[u8]>, expected: &str) -> Result<(), String> {
    match header {
        Some(value) if value == expected.as_bytes() => Ok(()),
        Some(_) => Err(mismatch(name, "the body")),
        None => Err(missing(name, "the body")),
    }
}

pub(crate) fn missing(name: &str, member: &str) -> String {
    format!("Header mismatch: the header {name} is required and must repeat the value of {member}")
}

pub(crate) fn mismatch(name: &str, member: &str) -> String {
    format!("Header mismatch: the header {name} does not match the value of {member}")
}

pub(crate) fn malformed(name: &str) -> String {
    format!(
        "Header mismatch: the header {name} must be visible ASCII or =?base64?…?= with strict Base64 of UTF-8"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;x=y",
            "application/json; charset=\"UTF-8\"",
        ] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in ["", "text/plain", "application/jsonp", "application/json; charset=latin1", "json"] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn accept_must_admit_both_types() {
        for good in [
            "application/json, text/event-stream",
            "text/event-stream,application/json",
            "*/*",
            "application/*, text/*;q=0.5",
            "application/json;q=0.9, */*;q=0.1",
            "Application/Json , Text/Event-Stream",
        ] {
            assert!(accepts_both(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "application/json",
            "text/event-stream",
            "text/*",
            "application/json, text/event-stream;q=0",
            "application/json, text/event-stream; Q=0.000",
            "application/jsonx, text/event-stream",
        ] {
            assert!(!accepts_both(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn base64_in_headers_is_strict() {
        assert_eq!(mirrored_value(b"=?base64?SGVsbG8sIOS4lueVjA==?=").unwrap(), "Hello, 世界");
        assert_eq!(mirrored_value(b"=?base64??=").unwrap(), "");
        assert_eq!(mirrored_value(b"=?BASE64?SGk=?=").unwrap(), "=?BASE64?SGk=?=");
        assert_eq!(mirrored_value(b"plain value").unwrap(), "plain value");
        for bad in
            ["=?base64?SGk?=", "=?base64?SGl=?=", "=?base64?SG k=?=", "=?base64?_-8=?=", "=?base64?/w==?="]
        {
            assert_eq!(mirrored_value(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(mirrored_value("ü".as_bytes()), None);
        assert_eq!(mirrored_value(b"a\x01"), None);
    }
}
