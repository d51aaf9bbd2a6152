//! One JSON-RPC message, read in one pass over the bytes it arrived in.
//!
//! The pass keeps the raw text of each field that any method needs and refuses nothing but bad syntax, so that the
//! checks can then run in the order the specification asks for, with the exact error for each.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Whether a value that should be an object is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// The key is not there.
    #[default]
    Absent,
    /// An object.
    Object,
    /// Any other JSON value.
    Other,
}

/// A JSON object of which some members are kept as raw text.
pub(crate) trait Members<'de>: Sized {
    /// The index of a member that is kept.
    fn index(key: &str) -> Option<usize>;
    fn set_kind(&mut self, kind: Kind);
    /// Reads the value of the member `index`; a member seen twice is noted.
    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error>;
}

/// The raw text of `N` members.
#[derive(Debug)]
pub(crate) struct Slots<'a, const N: usize> {
    kind: Kind,
    raw: [Option<&'a str>; N],
    /// The index of the first member that came twice.
    duplicate: Option<usize>,
}

impl<const N: usize> Default for Slots<'_, N> {
    fn default() -> Self {
        Slots { kind: Kind::Absent, raw: [None; N], duplicate: None }
    }
}

impl<'de, const N: usize> Slots<'de, N> {
    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
        let value: &'de RawValue = map.next_value()?;
        if self.raw[index].replace(value.get()).is_some() {
            self.duplicate.get_or_insert(index);
        }
        Ok(())
    }
}

macro_rules! members {
    ($(#[$doc:meta])* $name:ident { $($accessor:ident = $key:literal;)* } nested { $($field:ident : $nested:ident = $nested_key:literal;)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'a> {
            slots: Slots<'a, { [$($key,)*].len() }>,
            $(pub(crate) $field: $nested<'a>, nested_seen: bool, nested_twice: bool,)?
        }

        impl<'a> $name<'a> {
            const KEYS: &'static [&'static str] = &[$($key,)*];

            /// Whether the value is there and an object.
            pub(crate) fn kind(&self) -> Kind {
                self.slots.kind
            }

            /// The first of the known members that came twice.
            pub(crate) fn duplicate(&self) -> Option<&'static str> {
                $(if self.nested_twice { return Some($nested_key); })?
                self.slots.duplicate.map(|index| Self::KEYS[index])
            }

            members!(@accessors 0usize; $($accessor = $key;)*);
        }

        impl<'de> Members<'de> for $name<'de> {
            fn index(key: &str) -> Option<usize> {
                $(if key == $nested_key { return Some(usize::MAX); })?
                Self::KEYS.iter().position(|known| *known == key)
            }

            fn set_kind(&mut self, kind: Kind) {
                self.slots.kind = kind;
            }

            fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
                $(if index == usize::MAX {
                    self.nested_twice |= std::mem::replace(&mut self.nested_seen, true);
                    let _ = stringify!($field);
                    return map.next_value_seed(ObjectSeed(&mut self.$field));
                })?
                self.slots.read(index, map)
            }
        }
    };
    (@accessors $index:expr; $accessor:ident = $key:literal; $($rest:tt)*) => {
        #[doc = concat!("The raw text of `", $key, "`.")]
        pub(crate) fn $accessor(&self) -> Option<&'a str> {
            self.slots.raw[$index]
        }
        members!(@accessors $index + 1; $($rest)*);
    };
    (@accessors $index:expr;) => {};
}

members! {
    /// `params._meta`.
    Meta {
        protocol_version = "io.modelcontextprotocol/protocolVersion";
        client_capabilities = "io.modelcontextprotocol/clientCapabilities";
        progress_token = "progressToken";
        log_level = "io.modelcontextprotocol/logLevel";
    } nested {}
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
    } nested { meta: Meta = "_meta"; }
}

members! {
    /// A whole message.
    Message {
        jsonrpc = "jsonrpc";
        id = "id";
        method = "method";
        result = "result";
        error = "error";
    } nested { params: Params = "params"; }
}

impl<'a> Message<'a> {
    /// Reads one message; the text must be all of the body.
    pub(crate) fn parse(text: &'a str) -> Result<Message<'a>, serde_json::Error> {
        let mut message = Message::default();
        let mut reader = serde_json::Deserializer::from_str(text);
        ObjectSeed(&mut message).deserialize(&mut reader)?;
        reader.end()?;
        Ok(message)
    }
}

/// Fills `T` from an object and notes it when the value is something else.
struct ObjectSeed<'s, T>(&'s mut T);

impl<'de, T: Members<'de>> DeserializeSeed<'de> for ObjectSeed<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! tolerate {
    ($($name:ident($type:ty);)*) => {
        $(fn $name<E>(self, _: $type) -> Result<(), E> {
            self.0.set_kind(Kind::Other);
            Ok(())
        })*
    };
}

impl<'de, T: Members<'de>> Visitor<'de> for ObjectSeed<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.set_kind(Kind::Object);
        while let Some(index) = map.next_key_seed(KeySeed::<T>(std::marker::PhantomData))? {
            match index {
                Some(index) => self.0.read(index, &mut map)?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.set_kind(Kind::Other);
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.set_kind(Kind::Other);
        Ok(())
    }

    tolerate! {
        visit_bool(bool);
        visit_i64(i64);
        visit_u64(u64);
        visit_f64(f64);
        visit_str(&str);
    }
}

/// Reads a key as the index of a member.
struct KeySeed<T>(std::marker::PhantomData<T>);

impl<'de, T: Members<'de>> DeserializeSeed<'de> for KeySeed<T> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, T: Members<'de>> Visitor<'de> for KeySeed<T> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(T::index(key))
    }
}

/// The string that a raw JSON value holds; `None` for any other value.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

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

/// True when arrays and objects nest deeper than `limit`.
///
/// The count of opening brackets bounds the depth, and few messages have many of them.
pub(crate) fn deeper_than(body: &[u8], limit: usize) -> bool {
    let brackets = body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    brackets > limit && exact_depth(body) > limit
}

/// The greatest depth of nesting, brackets inside strings not counted.
fn exact_depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_keeps_the_raw_text_of_each_field() {
        let body = r#" {"id": "\u0041", "params": {"_meta": {"progressToken": 1.5, "x": [1]}, "name": "a",
            "arguments": {"k": [1, {}]}}, "jsonrpc": "2.0", "method": "tools\/call", "extra": null} "#;
        let message = Message::parse(body).unwrap();
        assert_eq!(message.id(), Some(r#""\u0041""#));
        assert_eq!(text(message.method().unwrap()).unwrap(), "tools/call");
        assert_eq!(message.params.arguments(), Some(r#"{"k": [1, {}]}"#));
        assert_eq!(message.params.meta.progress_token(), Some("1.5"));
        assert_eq!(message.params.meta.kind(), Kind::Object);
        assert_eq!((message.duplicate(), message.params.duplicate()), (None, None));
        assert_eq!(message.result(), None);
    }

    #[test]
    fn duplicates_are_noted_also_when_a_key_is_escaped() {
        let message = Message::parse(r#"{"id":1,"\u0069d":2}"#).unwrap();
        assert_eq!(message.duplicate(), Some("id"));
        let message = Message::parse(r#"{"params":{},"params":{"name":1,"name":2}}"#).unwrap();
        assert_eq!((message.duplicate(), message.params.duplicate()), (Some("params"), Some("name")));
        let message =
            Message::parse(r#"{"params":{"_meta":{"progressToken":1,"progressToken":1}}}"#).unwrap();
        assert_eq!(message.params.meta.duplicate(), Some("progressToken"));
    }

    #[test]
    fn what_is_no_object_is_noted_and_not_refused() {
        for body in ["1", "null", "true", "\"x\"", "[1,{}]", "-1", "1.5"] {
            assert_eq!(Message::parse(body).unwrap().kind(), Kind::Other, "{body}");
            let wrapped = format!(r#"{{"params":{body}}}"#);
            assert_eq!(Message::parse(&wrapped).unwrap().params.kind(), Kind::Other, "{body}");
        }
        assert_eq!(Message::parse("{}").unwrap().params.kind(), Kind::Absent);
    }

    #[test]
    fn bad_syntax_is_refused() {
        for body in
            ["", "{", "{}x", "{} {}", "\u{feff}{}", "{\"a\":01}", "{\"a\":\"\n\"}", "{'a':1}", "{\"a\":1,}"]
        {
            assert!(Message::parse(body).is_err(), "{body}");
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

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(!deeper_than(br#"{"a":"[[[[[[[[\"[[["}"#, 1));
        assert!(deeper_than(b"[[1]]", 1));
        assert!(!deeper_than(b"[[1],[2],[3]]", 2));
    }
}
