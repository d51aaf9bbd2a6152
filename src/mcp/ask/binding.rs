//! What a `requestState` belongs to: the principal, and the request it was made for, in a form that does not depend on
//! how the client wrote it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::mcp::message::envelope::Params;
use crate::mcp::message::json;
use crate::mcp::message::scan::text;

/// Separates these bytes from whatever else the same key may seal one day.
const DOMAIN: &[u8] = b"ringmesh request-state 1";

/// The parameters that name a request, as they came: kept only for calls that may ask their client.
#[derive(Debug)]
pub(crate) struct Binding {
    method: &'static str,
    name: Option<Box<str>>,
    uri: Option<Box<str>>,
    arguments: Option<Box<str>>,
}

impl Binding {
    pub(crate) fn new(method: &'static str, params: &Params<'_>) -> Binding {
        Binding {
            method,
            name: params.name.map(Box::from),
            uri: params.uri.map(Box::from),
            // Absent, null and empty arguments are the same to every handler.
            arguments: params.arguments.filter(|raw| *raw != "null").map(Box::from),
        }
    }

    /// The bytes that a state is bound to.
    pub(crate) fn bytes(&self, principal: &str) -> Vec<u8> {
        let mut out = DOMAIN.to_vec();
        part(&mut out, principal.as_bytes());
        part(&mut out, self.method.as_bytes());
        for raw in [&self.name, &self.uri] {
            part(&mut out, &canonical(raw.as_deref().unwrap_or("null")));
        }
        part(&mut out, &canonical(self.arguments.as_deref().unwrap_or("{}")));
        out
    }
}

/// Appends a part after its length, so that no two lists of parts give the same bytes.
fn part(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// JSON with sorted keys, no white space and one way to write a string. Numbers stay as they were written.
fn canonical(raw: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    append(&mut out, raw);
    out
}

/// The text was scanned before, so it is JSON of bounded depth.
fn append(out: &mut Vec<u8>, raw: &str) {
    match raw.as_bytes().first() {
        Some(b'{') => {
            // A key with a lone surrogate is no text; then the whole is at least the same each time.
            let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw) else {
                return out.extend_from_slice(raw.as_bytes());
            };
            out.push(b'{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::string(out, key);
                out.push(b':');
                append(out, value.get());
            }
            out.push(b'}');
        }
        Some(b'[') => {
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw) else {
                return out.extend_from_slice(raw.as_bytes());
            };
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                append(out, item.get());
            }
            out.push(b']');
        }
        Some(b'"') => match text(raw) {
            Some(text) => json::string(out, &text),
            // A lone surrogate is no text; it is at least the same each time.
            None => out.extend_from_slice(raw.as_bytes()),
        },
        _ => out.extend_from_slice(raw.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::message::envelope::Message;

    fn bytes(principal: &str, method: &'static str, params: &str) -> Vec<u8> {
        let body = format!(r#"{{"params":{params}}}"#);
        let mut message = Message::default();
        message.parse(&body, 64).unwrap();
        Binding::new(method, &message.params).bytes(principal)
    }

    #[test]
    fn the_way_it_is_written_does_not_matter() {
        let one = bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":[1, {"b":null,"a":"A"}],"y":2}}"#);
        let other = "{ \"arguments\" : {\"y\":2,\n \"x\":[1,{\"a\":\"\\u0041\",\"b\":null}]}, \"name\":\"a\",
            \"_meta\":{\"progressToken\":1}, \"requestState\":\"s\", \"inputResponses\":{} }";
        assert_eq!(one, bytes("p", "tools/call", other));
        let none = bytes("p", "tools/call", r#"{"name":"a"}"#);
        assert_eq!(none, bytes("p", "tools/call", r#"{"name":"a","arguments":{}}"#));
        assert_eq!(none, bytes("p", "tools/call", r#"{"name":"a","arguments":null}"#));
    }

    #[test]
    fn whatever_it_says_does() {
        let all = [
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":1}}"#),
            bytes("q", "tools/call", r#"{"name":"a","arguments":{"x":1}}"#),
            bytes("p", "prompts/get", r#"{"name":"a","arguments":{"x":1}}"#),
            bytes("p", "tools/call", r#"{"name":"b","arguments":{"x":1}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":2}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":"1"}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":[1]}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":1,"y":null}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":12345678901234567890123}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":12345678901234567890124}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":{"\ud800":1}}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":{"\ud800":2}}}"#),
            bytes("p", "resources/read", r#"{"uri":"a"}"#),
            bytes("p", "resources/read", r#"{"name":"a"}"#),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
