//! What a tool answers: an object with `ok`, the same whether this node gave it or a peer.

use std::marker::PhantomData;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::mcp::{CallError, IntoReply, Reply, Scanner, json, scanned_text};

/// An answer: one JSON object on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The text of the object.
    pub(crate) json: String,
    /// Its `ok`.
    pub(crate) ok: bool,
}

/// Why there is no answer of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// A stable code.
    pub(crate) error: &'static str,
    /// A sentence that says what to do.
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(error: &'static str, message: impl Into<String>) -> Refused {
        Refused { error, message: message.into() }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Answer {
        let json = json::object(|object| {
            object.raw("ok", "false");
            object.string("error", refused.error);
            object.string("message", &refused.message);
        });
        Answer { json, ok: false }
    }
}

/// An answer that is described to clients by the type `S`. This node's own answers have that shape; a peer's are read
/// into it first, see [`of_peer`].
pub(super) struct Shaped<S>(Answer, PhantomData<S>);

impl<S> From<Answer> for Shaped<S> {
    fn from(answer: Answer) -> Shaped<S> {
        Shaped(answer, PhantomData)
    }
}

impl<S: JsonSchema> IntoReply for Shaped<S> {
    fn output_schema() -> Option<Value> {
        let generator = SchemaSettings::draft2020_12().into_generator();
        Some(generator.into_root_schema_for::<S>().to_value())
    }

    fn into_reply(self) -> Result<Reply, CallError> {
        let reply = Reply::structured_text(self.0.json);
        Ok(if self.0.ok { reply } else { reply.failed() })
    }
}

/// What a peer said, if it is an answer of the shape `S`; one that refuses without a sentence gets one.
pub(super) fn of_peer<S: DeserializeOwned>(text: String, max_depth: usize) -> Answer {
    let malformed = |why: String| {
        let message = format!("the peer's answer is of no use: {why}; ask another peer, or see what it runs");
        Answer::from(Refused::new("malformed_answer", message))
    };
    let Some(head) = Head::read(&text, max_depth) else {
        return malformed(format!("it is no JSON object, or nests deeper than {max_depth} (max_json_depth)"));
    };
    let Some(ok) = head.ok else { return malformed("it does not say whether it is ok".to_owned()) };
    if let Err(error) = serde_json::from_str::<S>(&text) {
        return malformed(error.to_string());
    }
    // What is no token of JSON may be a line break, which events must not have.
    let text = if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], " ") } else { text };
    if ok || head.has_message {
        return Answer { json: text, ok };
    }
    let message = match &head.error {
        Some(error) => format!("the peer refused with {error}"),
        None => "the peer refused and does not say why".to_owned(),
    };
    let mut said = text.trim_end().to_owned();
    said.pop();
    said.push_str(",\"message\":");
    let mut quoted = Vec::new();
    json::string(&mut quoted, &message);
    said.push_str(&String::from_utf8_lossy(&quoted));
    said.push('}');
    Answer { json: said, ok }
}

/// The members of an answer that are looked at.
#[derive(Debug, Default)]
struct Head {
    ok: Option<bool>,
    error: Option<String>,
    has_message: bool,
}

impl Head {
    fn read(text: &str, max_depth: usize) -> Option<Head> {
        let mut scanner = Scanner::new(text, max_depth);
        let mut head = Head::default();
        if scanner.peek() != Some(b'{') {
            return None;
        }
        let mut more = scanner.open()?;
        while more {
            let (key, _) = scanner.key()?;
            let value = scanner.value()?;
            match key {
                "ok" => {
                    head.ok = Some(value).filter(|it| matches!(*it, "true" | "false")).map(|it| it == "true")
                }
                "error" => head.error = scanned_text(value).map(|error| error.into_owned()),
                "message" => head.has_message = scanned_text(value).is_some(),
                _ => {}
            }
            more = scanner.more()?;
        }
        scanner.end()?;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Count {
        #[serde(rename = "count")]
        _count: Option<u32>,
    }

    fn read(text: &str) -> Answer {
        of_peer::<Count>(text.to_owned(), 4)
    }

    #[test]
    fn an_answer_is_passed_on_as_it_came() {
        for text in [r#"{"ok":true,"count":1}"#, r#"{ "more": [1.50], "ok": true }"#] {
            assert_eq!(read(text), Answer { json: text.to_owned(), ok: true });
        }
        let text = r#"{"ok":false,"error":"lease_lost","message":"claim again"}"#;
        assert_eq!(read(text), Answer { json: text.to_owned(), ok: false });
    }

    #[test]
    fn a_refusal_without_a_sentence_gets_one() {
        for (text, sentence) in [
            (r#"{"ok":false,"error":"a\"b"}"#, "the peer refused with a\"b"),
            ("{\"ok\":\r\nfalse} ", "the peer refused and does not say why"),
        ] {
            let answer = read(text);
            let value: Value = serde_json::from_str(&answer.json).unwrap();
            assert_eq!((answer.ok, value["message"].as_str()), (false, Some(sentence)), "{text}");
            assert!(!answer.json.contains(['\r', '\n']));
        }
    }

    #[test]
    fn what_is_no_answer_is_said() {
        for (text, why) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("{\"ok\":true} x", "no JSON object"),
            (r#"{"ok":true,"x":[[[[[]]]]]}"#, "max_json_depth"),
            ("{}", "whether it is ok"),
            (r#"{"ok":1}"#, "whether it is ok"),
            (r#"{"ok":true,"count":"x"}"#, "invalid type"),
        ] {
            let answer = read(text);
            let value: Value = serde_json::from_str(&answer.json).unwrap();
            assert_eq!((answer.ok, value["error"].as_str()), (false, Some("malformed_answer")));
            assert!(value["message"].as_str().unwrap().contains(why), "{text}: {value}");
        }
    }
}
