//! The fields of a request, found without building them, and how generously their values are read.

use std::borrow::Cow;

use super::codes::ErrorCode;
use super::refusal::Refusal;
use crate::limits::Limit;
use crate::mcp::{ScanError, Scanner, scanned_text};

macro_rules! fields {
    ($($variant:ident $name:literal;)*) => {
        /// A field that some operation reads; the others are skipped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub(super) enum Field { $($variant,)* }

        impl Field {
            const NAMES: &'static [&'static str] = &[$($name,)*];

            fn parse(name: &str) -> Option<usize> {
                match name { $($name => Some(Field::$variant as usize),)* _ => None }
            }
        }
    };
}

fields! {
    Op "op";
    Token "token";
    TaskId "task_id";
    WorkerId "worker_id";
    Peer "peer";
    PeerId "peer_id";
    Clock "clock";
    SupportedTaskTypes "supported_task_types";
    TaskTypes "task_types";
    TimeoutS "timeout_s";
    Detail "detail";
    Key "key";
    Tool "tool";
    ToolName "tool_name";
    Name "name";
    Args "args";
    Arguments "arguments";
    Params "params";
    TaskType "task_type";
    ModelName "model_name";
    Payload "payload";
    Priority "priority";
    MaxAttempts "max_attempts";
    DelayS "delay_s";
    NextAttemptAt "next_attempt_at";
    IdempotencyKey "idempotency_key";
    Session "session";
    SessionId "session_id";
    P2pSession "p2p_session";
    StickyWorkerId "sticky_worker_id";
    StickyWorker "sticky_worker";
    LeaseS "lease_s";
    WaitS "wait_s";
    MaxTasks "max_tasks";
    Limit "limit";
    SameTaskType "same_task_type";
    SameType "same_type";
    Status "status";
    Result "result";
    Error "error";
    FencingToken "fencing_token";
    Retryable "retryable";
    Reason "reason";
    Cursor "cursor";
    Progress "progress";
    Logs "logs";
    Value "value";
    TtlS "ttl_s";
    Workflow "workflow";
    Feed "feed";
    After "after";
    Through "through";
}

const COUNT: usize = Field::NAMES.len();

impl Field {
    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// The fields of one request as JSON texts; of a key that occurs twice, the last counts.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    raw: [Option<&'a str>; COUNT],
}

impl<'a> Fields<'a> {
    /// Finds the fields of a request, which is one JSON object and nothing else.
    ///
    /// # Errors
    /// `invalid_json` for what is no JSON text in UTF-8 or nests too deep, `invalid_message` for any other value.
    pub(super) fn read(line: &'a [u8], max_depth: usize) -> Result<Fields<'a>, Refusal> {
        let text = std::str::from_utf8(line).map_err(|error| {
            let at = error.valid_up_to();
            let message = format!("the request is not UTF-8 from byte {at} on");
            Refusal::new(ErrorCode::InvalidJson, message)
        })?;
        let mut scanner = Scanner::new(text, max_depth);
        let mut fields = Fields { raw: [None; COUNT] };
        let (read, is_object) = match scanner.peek() {
            Some(b'{') => (fields.fill(&mut scanner), true),
            _ => (scanner.value().map(drop), false),
        };
        if read.and_then(|()| scanner.end()).is_none() {
            return Err(not_json(scanner.error(), max_depth));
        }
        match is_object {
            true => Ok(fields),
            false => Err(Refusal::new(ErrorCode::InvalidMessage, "a request is a JSON object")),
        }
    }

    fn fill(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        let mut more = scanner.open()?;
        while more {
            let (key, escaped) = scanner.key()?;
            let value = scanner.value()?;
            let field = match escaped {
                false => Field::parse(key),
                true => scanned_text(&format!("\"{key}\"")).as_deref().and_then(Field::parse),
            };
            if let Some(field) = field {
                self.raw[field] = Some(value);
            }
            more = scanner.more()?;
        }
        Some(())
    }

    /// The value as JSON text.
    pub(super) fn raw(&self, field: Field) -> Option<&'a str> {
        self.raw[field as usize]
    }

    /// The string that the field holds; nothing else counts.
    pub(super) fn string(&self, field: Field) -> Option<Cow<'a, str>> {
        self.raw(field).and_then(scanned_text)
    }

    /// The first of the fields that is not empty, as text without white space around it: strings as they are, other
    /// values as they are written. `None` where that text is empty too.
    pub(super) fn text(&self, fields: &[Field]) -> Option<Cow<'a, str>> {
        let raw = self.first(fields)?;
        let text = match raw {
            "true" => Cow::Borrowed("True"),
            _ if raw.starts_with('"') => scanned_text(raw)?,
            _ => Cow::Borrowed(raw),
        };
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        (!text.is_empty()).then_some(text)
    }

    /// The first of the fields that is not empty, as JSON text.
    pub(super) fn first(&self, fields: &[Field]) -> Option<&'a str> {
        fields.iter().filter_map(|field| self.raw(*field)).find(|raw| is_truthy(raw))
    }

    /// Whether a flag is set: anything but false, null, 0 and what is empty.
    pub(super) fn flag(&self, field: Field) -> bool {
        self.raw(field).is_some_and(is_truthy)
    }

    /// A number, also one given as text. `None` where the field is empty or 0.
    ///
    /// # Errors
    /// `invalid_field` for a value that is no number.
    pub(super) fn number(&self, field: Field) -> Result<Option<f64>, Refusal> {
        let Some(raw) = self.raw(field).filter(|raw| is_truthy(raw)) else { return Ok(None) };
        let number = match raw {
            "true" => Some(1.0),
            _ => scanned_text(raw).unwrap_or(Cow::Borrowed(raw)).trim().parse::<f64>().ok(),
        };
        match number.filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => {
                let message = format!("{} must be a number, or one as text", field.name());
                Err(Refusal::new(ErrorCode::InvalidField, message))
            }
        }
    }

    /// A string as it is, with its white space; any other value as it is written. `None` where the field is empty.
    pub(super) fn as_given(&self, field: Field) -> Option<Cow<'a, str>> {
        let raw = self.raw(field).filter(|raw| is_truthy(raw))?;
        match raw {
            "true" => Some(Cow::Borrowed("True")),
            _ if raw.starts_with('"') => scanned_text(raw),
            _ => Some(Cow::Borrowed(raw)),
        }
    }

    /// A number, also one given as text; `None` where there is none, whatever the field holds.
    pub(super) fn number_if_any(&self, field: Field) -> Option<f64> {
        self.number(field).ok().flatten()
    }

    /// A token: a whole number that is not negative, also given as text. `None` where the field is empty or 0.
    ///
    /// # Errors
    /// `invalid_field` for anything else.
    pub(super) fn token(&self, field: Field) -> Result<Option<u64>, Refusal> {
        let Some(raw) = self.raw(field).filter(|raw| is_truthy(raw)) else { return Ok(None) };
        let text = scanned_text(raw).unwrap_or(Cow::Borrowed(raw));
        text.trim().parse().map(Some).map_err(|_| {
            let message = format!("{} is the whole number that a claim gave", field.name());
            Refusal::new(ErrorCode::InvalidField, message)
        })
    }

    /// A list of texts, or one text with commas; numbers count as they are written. Other values are left out, and so is
    /// what exceeds these bounds.
    pub(super) fn list(&self, fields: &[Field], max_entries: usize, max_bytes: usize) -> Vec<Box<str>> {
        let Some(raw) = self.first(fields) else { return Vec::new() };
        let mut list = Vec::new();
        let mut room = max_bytes;
        let mut add = |text: &str| {
            let text = text.trim();
            if !text.is_empty() && list.len() < max_entries && text.len() <= room {
                room -= text.len();
                list.push(text.into());
            }
        };
        if let Some(text) = scanned_text(raw) {
            text.split(',').for_each(&mut add);
        } else if raw.starts_with('[') {
            let mut scanner = Scanner::new(raw, usize::MAX);
            // `peek` moves to the bracket, where `members` begins.
            let _ = scanner.peek();
            let members = scanner.members(max_entries).unwrap_or_default();
            for member in members {
                match member.as_bytes().first() {
                    Some(b'-' | b'0'..=b'9') => add(member),
                    _ => scanned_text(member).into_iter().for_each(|text| add(&text)),
                }
            }
        }
        list
    }
}

fn not_json(error: ScanError, max_depth: usize) -> Refusal {
    match error {
        ScanError::Depth => {
            let message =
                format!("arrays and objects nest deeper than max_json_depth allows, which is {max_depth}");
            Refusal::new(ErrorCode::InvalidJson, message).at(Limit::JsonDepth)
        }
        ScanError::Syntax(at) => {
            let message = format!("the request is not one JSON text; it goes wrong at byte {at}");
            Refusal::new(ErrorCode::InvalidJson, message)
        }
    }
}

/// What a condition in Python makes of the value.
fn is_truthy(raw: &str) -> bool {
    match raw.as_bytes().first() {
        None | Some(b'n' | b'f') => false,
        Some(b'-' | b'0'..=b'9') => raw.parse::<f64>() != Ok(0.0),
        Some(b'{' | b'[') => !raw[1..raw.len() - 1].trim_ascii().is_empty(),
        Some(_) => raw != "\"\"",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn read(line: &str) -> Fields<'_> {
        Fields::read(line.as_bytes(), 64).unwrap()
    }

    #[test]
    fn a_request_is_one_json_object() {
        for (line, code) in [
            (&b""[..], "invalid_json"),
            (b"{nope", "invalid_json"),
            (b"\xef\xbb\xbf{}", "invalid_json"),
            (b"{\"op\":\"\xff\"}", "invalid_json"),
            (b"{\"op\":NaN}", "invalid_json"),
            (b"{\"op\":-Infinity}", "invalid_json"),
            (b"{} {}", "invalid_json"),
            (b"{\"op\":}", "invalid_json"),
            (b"[]", "invalid_message"),
            (b" 5 ", "invalid_message"),
            (b"null", "invalid_message"),
        ] {
            let refusal = Fields::read(line, 64).unwrap_err();
            assert_eq!(refusal.code.as_str(), code, "{line:?}");
            assert!(refusal.message.is_some());
        }
    }

    #[test]
    fn nesting_is_bounded_and_costs_no_stack() {
        let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Fields::read(nested(63).as_bytes(), 64).is_ok());
        for depth in [64, 100_000] {
            let refusal = Fields::read(nested(depth).as_bytes(), 64).unwrap_err();
            assert_eq!((refusal.code, refusal.limit), (ErrorCode::InvalidJson, Some(Limit::JsonDepth)));
        }
    }

    #[test]
    fn values_are_read_as_peers_write_them() {
        let fields =
            read(r#" {"op":"a","\u006fp":" b ","worker_id":7,"key":true,"peer":"","peer_id":" p "} "#);
        assert_eq!(fields.string(Field::Op).as_deref(), Some(" b "));
        assert_eq!(fields.text(&[Field::WorkerId]).as_deref(), Some("7"));
        assert_eq!(fields.text(&[Field::Key]).as_deref(), Some("True"));
        assert_eq!(fields.text(&[Field::Peer, Field::PeerId]).as_deref(), Some("p"));
        for empty in ["null", "false", "0", "-0.0", "\"\"", "\" \\t\"", "[]", "[ ]", "{}"] {
            let line = format!("{{\"key\":{empty}}}");
            assert_eq!(read(&line).text(&[Field::Key]), None, "{empty}");
        }
    }

    #[test]
    fn numbers_may_be_text() {
        for (raw, number) in
            [("2", Some(2.0)), ("\" 0.2\"", Some(0.2)), ("0", None), ("null", None), ("-5", Some(-5.0))]
        {
            let line = format!("{{\"timeout_s\":{raw}}}");
            assert_eq!(read(&line).number(Field::TimeoutS).unwrap(), number, "{raw}");
        }
        for raw in ["\"abc\"", "[1]", "\"nan\"", "1e999", "\"inf\""] {
            let line = format!("{{\"timeout_s\":{raw}}}");
            let refusal = read(&line).number(Field::TimeoutS).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidField, "{raw}");
        }
    }

    #[test]
    fn a_list_may_be_text_with_commas() {
        let list = |raw: &str, most| {
            let line = format!("{{\"task_types\":{raw}}}");
            read(&line).list(&[Field::SupportedTaskTypes, Field::TaskTypes], most, 8).join("|")
        };
        assert_eq!(list(r#"["a", 5, " b ", null, [1]]"#, 9), "a|5|b");
        assert_eq!(list(r#""a, b,,c""#, 9), "a|b|c");
        assert_eq!(list(r#""a,b,c""#, 2), "a|b");
        assert_eq!(list(r#"["too long for it","b"]"#, 9), "b");
        assert_eq!(list("5", 9), "");
    }
}
