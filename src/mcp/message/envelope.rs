//! One JSON-RPC message, read in one pass over the bytes it arrived in.
//!
//! The pass keeps the raw text of each field that any method needs and refuses nothing but bad syntax, so that the
//! checks can then run in the order the specification asks for, with the exact error for each.

use crate::mcp::message::scan::{ScanError, Scanner, text};

/// Whether a value that should be an object is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// The key is not there.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// An object.
    Object,
    /// Any other JSON value.
    Other,
}

/// A JSON object of which some members are kept.
trait Members<'a>: Sized {
    fn set_kind(&mut self, kind: Kind);

    /// Reads the value of one member.
    fn member(&mut self, key: &str, scanner: &mut Scanner<'a>) -> Option<()>;

    /// Reads any value, and its members if it is an object.
    fn read(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        if scanner.peek() != Some(b'{') {
            let other = scanner.value()?;
            self.set_kind(if other == "null" { Kind::Null } else { Kind::Other });
            return Some(());
        }
        self.set_kind(Kind::Object);
        let mut more = scanner.open()?;
        while more {
            match scanner.key()? {
                (key, false) => self.member(key, scanner)?,
                (key, true) => self.member(&text(&format!("\"{key}\""))?, scanner)?,
            }
            more = scanner.more()?;
        }
        Some(())
    }
}

macro_rules! members {
    ($(#[$doc:meta])* $name:ident { $($member:ident = $key:literal;)* } $(nested $nested:ident: $type:ident = $nested_key:literal;)?) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'a> {
            /// Whether the value is there and an object.
            pub(crate) kind: Kind,
            /// The first of the known members that came twice.
            pub(crate) duplicate: Option<&'static str>,
            $(#[doc = concat!("The raw text of `", $key, "`.")] pub(crate) $member: Option<&'a str>,)*
            $(#[doc = concat!("The members of `", $nested_key, "`.")] pub(crate) $nested: $type<'a>,)?
        }

        impl<'a> Members<'a> for $name<'a> {
            fn set_kind(&mut self, kind: Kind) {
                self.kind = kind;
            }

            fn member(&mut self, key: &str, scanner: &mut Scanner<'a>) -> Option<()> {
                match key {
                    $($key => {
                        if self.$member.replace(scanner.value()?).is_some() {
                            self.duplicate.get_or_insert($key);
                        }
                    })*
                    $($nested_key => {
                        if self.$nested.kind != Kind::Absent {
                            self.duplicate.get_or_insert($nested_key);
                        }
                        self.$nested.read(scanner)?;
                    })?
                    _ => drop(scanner.value()?),
                }
                Some(())
            }
        }
    };
}

members! {
    /// `params._meta`.
    Meta {
        protocol_version = "io.modelcontextprotocol/protocolVersion";
        client_capabilities = "io.modelcontextprotocol/clientCapabilities";
        progress_token = "progressToken";
        log_level = "io.modelcontextprotocol/logLevel";
        token = "ringmesh/token";
    }
}

members! {
    /// `params`, with the members of every method that this server reads.
    Params {
        name = "name";
        arguments = "arguments";
        cursor = "cursor";
        uri = "uri";
        task_id = "taskId";
        version = "protocolVersion";
        capabilities = "capabilities";
        level = "level";
        request_id = "requestId";
        reason = "reason";
        reference = "ref";
        argument = "argument";
        completion_context = "context";
        notifications = "notifications";
        input_responses = "inputResponses";
        request_state = "requestState";
    } nested meta: Meta = "_meta";
}

members! {
    /// A whole message.
    Message {
        jsonrpc = "jsonrpc";
        id = "id";
        method = "method";
        result = "result";
        error = "error";
    } nested params: Params = "params";
}

impl<'a> Message<'a> {
    /// Reads one message into an empty `self`; the text must be all of the body.
    pub(crate) fn parse(&mut self, text: &'a str, max_depth: usize) -> Result<(), ScanError> {
        let mut scanner = Scanner::new(text, max_depth);
        let whole = self.read(&mut scanner).and_then(|()| scanner.end());
        whole.ok_or_else(|| scanner.error())
    }
}

/// The `_meta` key of the shared token, by which a peer shows that it may do more than read. No handler sees it.
pub(crate) const TOKEN_KEY: &str = "ringmesh/token";

/// The longest request id or progress token that is taken, in bytes of JSON text.
pub(crate) const MAX_TOKEN_BYTES: usize = 1024;

/// True for a string or an integer, the two types of a request id and of a progress token.
pub(crate) fn is_string_or_integer(raw: &str) -> bool {
    if raw.len() > MAX_TOKEN_BYTES {
        return false;
    }
    if raw.starts_with('"') {
        return text(raw).is_some();
    }
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message<'_>, ScanError> {
        let mut message = Message::default();
        message.parse(text, 64).map(|()| message)
    }

    #[test]
    fn one_pass_keeps_the_raw_text_of_each_field() {
        let body = r#" {"id": "\u0041", "params": {"_meta": {"progressToken": 1.5, "x": [1]}, "name": "a",
            "arguments": {"k": [1, {}]}}, "jsonrpc": "2.0", "method": "tools\/call", "extra": null} "#;
        let message = parse(body).unwrap();
        assert_eq!(message.id, Some(r#""\u0041""#));
        assert_eq!(text(message.method.unwrap()).unwrap(), "tools/call");
        assert_eq!(message.params.arguments, Some(r#"{"k": [1, {}]}"#));
        assert_eq!(message.params.meta.progress_token, Some("1.5"));
        assert_eq!(message.params.meta.kind, Kind::Object);
        assert_eq!((message.duplicate, message.params.duplicate), (None, None));
        assert_eq!(message.result, None);
    }

    #[test]
    fn duplicates_are_noted_also_when_a_key_is_escaped() {
        let message = parse(r#"{"id":1,"\u0069d":2}"#).unwrap();
        assert_eq!(message.duplicate, Some("id"));
        let message = parse(r#"{"params":{},"params":{"name":1,"name":2}}"#).unwrap();
        assert_eq!((message.duplicate, message.params.duplicate), (Some("params"), Some("name")));
        let message = parse(r#"{"params":{"_meta":{"progressToken":1,"progressToken":1}}}"#).unwrap();
        assert_eq!(message.params.meta.duplicate, Some("progressToken"));
    }

    #[test]
    fn what_is_no_object_is_noted_and_not_refused() {
        assert_eq!(parse(r#"{"params":null}"#).unwrap().params.kind, Kind::Null);
        for body in ["1", "true", "\"x\"", "[1,{}]", "-1", "1.5"] {
            assert_eq!(parse(body).unwrap().kind, Kind::Other, "{body}");
            let wrapped = format!(r#"{{"params":{body}}}"#);
            assert_eq!(parse(&wrapped).unwrap().params.kind, Kind::Other, "{body}");
        }
        assert_eq!(parse("{}").unwrap().params.kind, Kind::Absent);
    }

    #[test]
    fn bad_syntax_is_refused() {
        for body in
            ["", "{", "{}x", "{} {}", "\u{feff}{}", "{\"a\":01}", "{\"a\":\"\n\"}", "{'a':1}", "{\"a\":1,}"]
        {
            assert!(parse(body).is_err(), "{body}");
        }
    }

    #[test]
    fn ids_are_strings_or_integers() {
        for raw in ["1", "-1", "0", "\"\"", "\"a\\n\"", "123456789012345678901234567890"] {
            assert!(is_string_or_integer(raw), "{raw}");
        }
        let long = format!("\"{}\"", "x".repeat(MAX_TOKEN_BYTES));
        for raw in ["null", "1.0", "1e3", "true", "[]", "{}", "\"\\ud800\"", "-", long.as_str()] {
            assert!(!is_string_or_integer(raw), "{raw}");
        }
    }
}
