//! What the answer to one step must be: HTTP, then JSON or an event stream, then JSON-RPC, then the checks of the mix.

use std::borrow::Cow;

use serde_json::Value;

use super::file::{CheckFile, StepFile};
use super::text::{Fill, Text};
use crate::answer::{Answer, describe};
use crate::fault::{ErrorKind, Fault};
use crate::options::Expect;

/// The checks of one step, made ready.
#[derive(Debug, Clone)]
pub(crate) struct Checks {
    text: Option<Text>,
    equals: Vec<(String, Text)>,
    exists: Vec<String>,
    absent: Vec<String>,
    error_code: Option<i64>,
    tool_error: bool,
    /// Slots of kept values, and where they stand.
    captures: Vec<(usize, String)>,
}

impl Checks {
    /// Makes the checks of `step` ready; `captured` are all names that the operation keeps so far, this step's too.
    pub(crate) fn new(step: &StepFile, captured: &[String]) -> Result<Self, String> {
        let CheckFile { text, equals, exists, absent, error_code, tool_error } = step.check.clone();
        let pointers = equals.keys().chain(&exists).chain(&absent).chain(step.capture.values());
        if let Some(wrong) = pointers.into_iter().find(|pointer| !pointer.starts_with('/')) {
            return Err(format!("{wrong:?} is not a JSON pointer such as /result/content/0/text"));
        }
        let expected = |value: Value| Text::new(&value.to_string(), captured);
        let slot = |name: &String| captured.iter().position(|known| known == name).unwrap_or_default();
        Ok(Self {
            text: text.map(|text| expected(Value::String(text))).transpose()?,
            equals: equals
                .into_iter()
                .map(|(pointer, value)| Ok((pointer, expected(value)?)))
                .collect::<Result<_, String>>()?,
            exists,
            absent,
            error_code,
            tool_error,
            captures: step.capture.iter().map(|(name, pointer)| (slot(name), pointer.clone())).collect(),
        })
    }

    /// Whether a right answer depends on nothing but the call's id and message.
    pub(crate) fn is_plain(&self) -> bool {
        let texts = self.text.iter().chain(self.equals.iter().map(|(_, text)| text));
        self.captures.is_empty() && texts.into_iter().all(Text::is_plain)
    }

    /// Checks an answer and returns what the step keeps, by slot.
    pub(crate) fn check(
        &self,
        answer: &Answer<'_>,
        fill: &Fill<'_>,
        expect: Expect,
    ) -> Result<Vec<(usize, Value)>, Fault> {
        if answer.status != 200 {
            return Err(Fault::new(ErrorKind::Status, describe(answer)));
        }
        let media_type = answer.content_type.split(';').next().unwrap_or_default().trim();
        let body = match (media_type, expect) {
            ("application/json", Expect::Any | Expect::Json) => Cow::Borrowed(&*answer.body),
            ("text/event-stream", Expect::Any | Expect::Sse) => Cow::Owned(last_message(&answer.body)?),
            _ => return Err(Fault::new(ErrorKind::ContentType, describe(answer))),
        };
        let message: Value = serde_json::from_slice(&body)
            .map_err(|error| Fault::new(ErrorKind::JsonRpc, format!("{error}: {}", shown(&body))))?;
        self.check_message(&message, fill).map_err(|(kind, what)| {
            let what = if what.is_empty() { what } else { format!("{what}: ") };
            Fault::new(kind, format!("{what}{}", shown(&body)))
        })
    }

    fn check_message(
        &self,
        message: &Value,
        fill: &Fill<'_>,
    ) -> Result<Vec<(usize, Value)>, (ErrorKind, String)> {
        let id: u64 = fill.key.number();
        if message["jsonrpc"] != "2.0" || message["id"] != id {
            return Err((ErrorKind::JsonRpc, "the answer of another call".to_owned()));
        }
        let error = message.get("error");
        match (self.error_code, error) {
            (None, None) if message.get("result").is_none() => {
                return Err((ErrorKind::JsonRpc, "neither a result nor an error".to_owned()));
            }
            (None, None) if (message["result"]["isError"] == true) == self.tool_error => {}
            (Some(code), Some(error)) if error["code"] == code => {}
            _ => return Err((ErrorKind::CallError, String::new())),
        }
        self.check_places(message, fill)?;
        let capture = |(slot, pointer): &(usize, String)| match message.pointer(pointer) {
            Some(value) => Ok((*slot, value.clone())),
            None => Err((ErrorKind::Check, format!("there is no {pointer} to keep"))),
        };
        self.captures.iter().map(capture).collect()
    }

    fn check_places(&self, message: &Value, fill: &Fill<'_>) -> Result<(), (ErrorKind, String)> {
        if let Some(text) = &self.text {
            let content = message["result"]["content"].as_array().map_or(&[][..], Vec::as_slice);
            let expected = text.value(fill);
            if content.len() != 1 || content[0].get("text") != expected.as_ref() {
                return Err((ErrorKind::Text, format!("expected {}", brief(expected.as_ref()))));
            }
        }
        for (pointer, text) in &self.equals {
            let expected = text.value(fill);
            if message.pointer(pointer) != expected.as_ref() || expected.is_none() {
                return Err((ErrorKind::Check, format!("{pointer} is not {}", brief(expected.as_ref()))));
            }
        }
        if let Some(pointer) = self.exists.iter().find(|pointer| message.pointer(pointer).is_none()) {
            return Err((ErrorKind::Check, format!("there is no {pointer}")));
        }
        if let Some(pointer) = self.absent.iter().find(|pointer| message.pointer(pointer).is_some()) {
            return Err((ErrorKind::Check, format!("there is a {pointer}")));
        }
        Ok(())
    }
}

/// The start of a value, for error messages.
fn brief(value: Option<&Value>) -> String {
    let json = value.map_or_else(|| "a value".to_owned(), Value::to_string);
    json.chars().take(200).collect()
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned()
}

/// The answer in an event stream; what comes before it may only be notifications and requests.
fn last_message(body: &[u8]) -> Result<Vec<u8>, Fault> {
    let wrong = |detail: String| Fault::new(ErrorKind::JsonRpc, detail);
    let text =
        std::str::from_utf8(body).map_err(|_| wrong("an event stream that is not UTF-8".to_owned()))?;
    let text = text.replace("\r\n", "\n");
    let mut answer: Option<String> = None;
    for event in text.split("\n\n") {
        let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
        let data = data.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
        let told = serde_json::from_str::<Value>(&data).is_ok_and(|message| message.get("method").is_some());
        if data.is_empty() || told {
            continue;
        }
        if answer.is_some() {
            return Err(wrong(format!("a message after the answer: {data}")));
        }
        answer = Some(data);
    }
    answer.map(String::into_bytes).ok_or_else(|| wrong("an event stream without an answer".to_owned()))
}
