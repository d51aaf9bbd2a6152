//! JSON that every peer can read: texts that would make an answer unreadable for some are not taken in.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::codes::ErrorCode;
use super::refusal::Refusal;

/// Refuses a value whose strings have halves of surrogate pairs, or whose numbers are beyond those of IEEE 754 (RFC 8259,
/// sections 6 and 8.2): it would be kept, and then make every answer unreadable that it is part of.
pub(super) fn check(what: &'static str, json: Option<&str>) -> Result<(), Refusal> {
    let readable = json.is_none_or(|json| serde_json::from_str::<Readable>(json).is_ok());
    match readable {
        true => Ok(()),
        false => {
            let message = format!(
                "{what} holds half of a surrogate pair, or a number that is too large for a double, which not every peer \
                 can read"
            );
            Err(Refusal::new(ErrorCode::InvalidValue, message))
        }
    }
}

/// Any JSON value, read to the end and thrown away.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Readable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_str<E>(self, _: &str) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_unit<E>(self) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Readable, A::Error> {
        while items.next_element::<Readable>()?.is_some() {}
        Ok(Readable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Readable, A::Error> {
        while members.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(Readable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_could_not_read_is_refused() {
        for good in [
            "null",
            "{\"a\":[1,2.5e3,\"\\ud83d\\ude00\",true]}",
            "123456789012345678901234567890",
            "\"\\u0000\"",
        ] {
            assert!(check("payload", Some(good)).is_ok(), "{good}");
        }
        for bad in ["{\"a\":[\"\\ud800\"]}", "{\"\\udc00\":1}", "[1e400]", "{\"a\":{\"b\":-1e999}}"] {
            let refusal = check("payload", Some(bad)).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidValue, "{bad}");
        }
        assert!(check("payload", None).is_ok());
    }
}
