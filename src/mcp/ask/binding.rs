//! What a `requestState` belongs to: the principal, and the request it was made for, in a form that does not depend on
//! how the client wrote it.

use std::ops::Range;

use crate::mcp::message::envelope::Params;
use crate::mcp::message::json;
use crate::mcp::message::scan::{Scanner, text};

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
    // The text was scanned before, so it is JSON of bounded depth.
    if append(&mut out, &mut Scanner::new(raw, usize::MAX)).is_none() {
        out.clear();
        out.extend_from_slice(raw.as_bytes());
    }
    out
}

/// One pass over the text, however deep it nests.
fn append(out: &mut Vec<u8>, scanner: &mut Scanner<'_>) -> Option<()> {
    match scanner.peek()? {
        b'{' => append_object(out, scanner)?,
        b'[' => {
            out.push(b'[');
            let mut more = scanner.open_array()?;
            while more {
                append(out, scanner)?;
                more = scanner.more_values()?;
                out.extend(more.then_some(b','));
            }
            out.push(b']');
        }
        b'"' => append_string(out, scanner.value()?),
        _ => out.extend_from_slice(scanner.value()?.as_bytes()),
    }
    Some(())
}

/// Of a key that occurs twice the last one counts.
fn append_object(out: &mut Vec<u8>, scanner: &mut Scanner<'_>) -> Option<()> {
    out.push(b'{');
    let start = out.len();
    // Where each key and its value stand.
    let mut members: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    let mut more = scanner.open()?;
    while more {
        let (key, escaped) = scanner.key()?;
        let from = out.len();
        match escaped {
            true => append_string(out, &format!("\"{key}\"")),
            false => json::string(out, key),
        }
        let value = out.len();
        out.push(b':');
        append(out, scanner)?;
        members.push((from..value, value..out.len()));
        more = scanner.more()?;
        out.extend(more.then_some(b','));
    }
    let is_sorted = members.windows(2).all(|pair| out[pair[0].0.clone()] < out[pair[1].0.clone()]);
    if !is_sorted {
        // Those with the same key stay in their order.
        members.sort_by(|(one, _), (other, _)| out[one.clone()].cmp(&out[other.clone()]));
        let mut sorted = Vec::with_capacity(out.len() - start);
        for (index, (key, value)) in members.iter().enumerate() {
            let next = members.get(index + 1);
            if next.is_some_and(|(next, _)| out[next.clone()] == out[key.clone()]) {
                continue;
            }
            if !sorted.is_empty() {
                sorted.push(b',');
            }
            sorted.extend_from_slice(&out[key.start..value.end]);
        }
        out.truncate(start);
        out.append(&mut sorted);
    }
    out.push(b'}');
    Some(())
}

fn append_string(out: &mut Vec<u8>, raw: &str) {
    match text(raw) {
        Some(text) => json::string(out, &text),
        // A lone surrogate is no text; it is at least the same each time.
        None => out.extend_from_slice(raw.as_bytes()),
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
        let twice = r#"{"name":"a","arguments":{"y":1,"x":[0],"y":2,"x":[1,{"b":null,"a":"A"}]}}"#;
        assert_eq!(one, bytes("p", "tools/call", twice));
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
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":{}}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":{"\ud800":1}}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":{"\ud800":2}}}"#),
            bytes("p", "tools/call", r#"{"name":"a","arguments":{"x":{"\\ud800":2}}}"#),
            bytes("p", "resources/read", r#"{"uri":"a"}"#),
            bytes("p", "resources/read", r#"{"name":"a"}"#),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn its_time_grows_with_the_length_and_not_with_the_depth() {
        let time = |depth: usize| {
            let nested = format!("{}\"{}\"{}", "[".repeat(depth), "x".repeat(1 << 20), "]".repeat(depth));
            let raw = format!(r#"{{"z":{nested},"a":{{"b":[],"a":{{}}}}}}"#);
            let times = (0..3).map(|_| {
                let begun = std::time::Instant::now();
                assert_eq!(canonical(&raw).len(), raw.len());
                begun.elapsed()
            });
            times.min().unwrap()
        };
        let (flat, deep) = (time(1), time(60));
        assert!(deep < flat * 8, "{flat:?} {deep:?}");
    }
}
