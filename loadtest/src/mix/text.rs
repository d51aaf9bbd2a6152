//! JSON with placeholders: cut into parts once, filled in for each call.

use serde_json::Value;

use crate::key::{ID_DIGITS, Key};
use crate::request::append_number;

/// What stands in the place of placeholders in one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill<'a> {
    pub(crate) key: &'a Key,
    /// The length of the message, in bytes, and what follows its mark.
    pub(crate) message_bytes: usize,
    pub(crate) filler: &'a [u8],
    /// The number of the connection.
    pub(crate) lane: u32,
    /// What earlier steps of the operation kept.
    pub(crate) captured: &'a [Value],
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    Id,
    Message,
    Lane,
    /// A kept value, as JSON or within a string.
    Captured {
        slot: usize,
        in_string: bool,
    },
}

/// A JSON text whose strings may hold `{id}`, `{message}`, `{lane}` and the names of kept values. A string that is only
/// the name of a kept value, or only `{id}`, becomes that value with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(Vec<Part>);

impl Text {
    /// Cuts `json` into its parts; `captured` are the names of kept values in the order of their slots.
    ///
    /// An error names a placeholder that nobody fills.
    pub(crate) fn new(json: &str, captured: &[String]) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), json);
        while let Some((before, name, after)) = next_placeholder(rest) {
            // Outside of strings a brace is followed by a quote or a brace, so this one stands in a string.
            let whole = before.ends_with('"') && !before.ends_with("\\\"") && after.starts_with('"');
            let slot = captured.iter().position(|known| known == name);
            let part = match name {
                "id" => Part::Id,
                "message" => Part::Message,
                "lane" => Part::Lane,
                _ => Part::Captured { slot: slot.ok_or_else(|| unknown(name, captured))?, in_string: !whole },
            };
            let typed = whole && matches!(part, Part::Id | Part::Captured { .. });
            let (before, after) =
                if typed { (&before[..before.len() - 1], &after[1..]) } else { (before, after) };
            parts.push(Part::Bytes(before.as_bytes().to_vec()));
            parts.push(part);
            rest = after;
        }
        parts.push(Part::Bytes(rest.as_bytes().to_vec()));
        Ok(Self(parts))
    }

    /// Whether two calls differ here only in their ids and messages.
    pub(crate) fn is_plain(&self) -> bool {
        !self.0.iter().any(|part| matches!(part, Part::Lane | Part::Captured { .. }))
    }

    /// Whether all calls have the same here.
    pub(crate) fn is_fixed(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Bytes(_)))
    }

    /// Whether it holds the message.
    pub(crate) fn uses_message(&self) -> bool {
        self.0.contains(&Part::Message)
    }

    /// Appends the text of one call.
    pub(crate) fn append(&self, out: &mut Vec<u8>, fill: &Fill<'_>) {
        for part in &self.0 {
            match part {
                Part::Bytes(bytes) => out.extend_from_slice(bytes),
                Part::Id => out.extend_from_slice(&fill.key.id),
                Part::Message => {
                    out.extend_from_slice(fill.key.mark(fill.message_bytes));
                    out.extend_from_slice(fill.filler);
                }
                Part::Lane => append_number(out, u64::from(fill.lane)),
                Part::Captured { slot, in_string } => append_value(out, &fill.captured[*slot], *in_string),
            }
        }
    }

    /// The value of one call; `None` when what was kept does not make it one.
    pub(crate) fn value(&self, fill: &Fill<'_>) -> Option<Value> {
        let mut json = Vec::with_capacity(64 + ID_DIGITS);
        self.append(&mut json, fill);
        serde_json::from_slice(&json).ok()
    }
}

fn append_value(out: &mut Vec<u8>, value: &Value, in_string: bool) {
    let json = value.to_string();
    match (value, in_string) {
        (Value::String(_), true) => out.extend_from_slice(&json.as_bytes()[1..json.len() - 1]),
        _ => out.extend_from_slice(json.as_bytes()),
    }
}

fn unknown(name: &str, captured: &[String]) -> String {
    let mut known = vec!["{id}".to_owned(), "{message}".to_owned(), "{lane}".to_owned()];
    known.extend(captured.iter().map(|name| format!("{{{name}}}")));
    format!("nothing fills {{{name}}} here; there are {}", known.join(", "))
}

/// What stands before the next placeholder, its name, and what follows it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let name_len = text[open + 1..].bytes().take_while(|b| b.is_ascii_lowercase() || *b == b'_').count();
        let end = open + 1 + name_len;
        if name_len > 0 && text[end..].starts_with('}') {
            return Some((&text[..open], &text[open + 1..end], &text[end + 1..]));
        }
        from = open + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{FIRST_ID, filler};
    use serde_json::json;

    fn filled(json: &str, captured: &[(&str, Value)]) -> Value {
        let names: Vec<String> = captured.iter().map(|(name, _)| (*name).to_owned()).collect();
        let values: Vec<Value> = captured.iter().map(|(_, value)| value.clone()).collect();
        let key = Key::new(FIRST_ID);
        let filler = filler(20);
        let fill = Fill { key: &key, message_bytes: 20, filler: &filler, lane: 7, captured: &values };
        Text::new(json, &names).unwrap().value(&fill).unwrap()
    }

    #[test]
    fn placeholders_take_the_type_of_what_they_stand_for() {
        let message = Key::new(FIRST_ID).message(20);
        let json = r#"{"a":"{id}","b":"x-{lane}","c":"{message}","d":{},"e":"{t}","f":"is {t}","g":"{s}"}"#;
        let captured = [("t", json!(77)), ("s", json!("q\"uote"))];
        let wanted =
            json!({"a": FIRST_ID, "b": "x-7", "c": message, "d": {}, "e": 77, "f": "is 77", "g": "q\"uote"});
        assert_eq!(filled(json, &captured), wanted);
        assert_eq!(filled(r#"["\"{s}"]"#, &captured), json!(["\"q\"uote"]));
    }

    #[test]
    fn a_placeholder_that_nobody_fills_is_named() {
        let error = Text::new(r#"{"a":"{tok}"}"#, &["token".to_owned()]).unwrap_err();
        assert!(error.contains("{tok}") && error.contains("{token}"), "{error}");
        assert!(Text::new(r#"{"a":"{} {A} {x"}"#, &[]).unwrap().is_plain());
    }
}
