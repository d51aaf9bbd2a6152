//! Named texts, which variables of a URI and arguments of a prompt are, read into an author's own type.

use std::fmt;

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Reads the type's fields from texts of the same names: numbers and flags are parsed, unit variants of an enum go by
/// their names. The error names the field.
pub(crate) fn read<T: DeserializeOwned>(texts: &[(&str, String)]) -> Result<T, String> {
    let members = texts.iter().map(|(name, text)| (*name, Text { name, text }));
    T::deserialize(MapDeserializer::<_, Problem>::new(members)).map_err(|problem| problem.0)
}

/// Why a text does not fit.
#[derive(Debug)]
struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl serde::de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Problem(message.to_string())
    }
}

#[derive(Clone, Copy)]
struct Text<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> IntoDeserializer<'a, Problem> for Text<'a> {
    type Deserializer = Text<'a>;

    fn into_deserializer(self) -> Text<'a> {
        self
    }
}

impl Text<'_> {
    fn parse<T: std::str::FromStr>(self, kind: &str) -> Result<T, Problem> {
        self.text.parse().map_err(|_| {
            let shown = crate::mcp::message::answer::excerpt(self.text);
            Problem(format!("`{}` must be {kind}, not {shown:?}", self.name))
        })
    }

    /// Says which text a problem is about.
    fn named(self, problem: Problem) -> Problem {
        Problem(format!("`{}`: {problem}", self.name))
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $kind:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            visitor.$visit::<Problem>(self.parse::<$type>($kind)?).map_err(|problem| self.named(problem))
        })*
    };
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = Problem;

    parsed! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_i8 visit_i8 i8, "an integer from -128 to 127";
        deserialize_i16 visit_i16 i16, "an integer from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "an integer of 32 bits";
        deserialize_i64 visit_i64 i64, "an integer of 64 bits";
        deserialize_i128 visit_i128 i128, "an integer of 128 bits";
        deserialize_u8 visit_u8 u8, "an integer from 0 to 255";
        deserialize_u16 visit_u16 u16, "an integer from 0 to 65535";
        deserialize_u32 visit_u32 u32, "an integer of 32 bits, not below 0";
        deserialize_u64 visit_u64 u64, "an integer of 64 bits, not below 0";
        deserialize_u128 visit_u128 u128, "an integer of 128 bits, not below 0";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_str::<Problem>(self.text).map_err(|problem| self.named(problem))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let variant: StrDeserializer<'_, Problem> = self.text.into_deserializer();
        visitor.visit_enum(variant).map_err(|problem| self.named(problem))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Tone {
        Dry,
        VeryWarm,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Mixed {
        id: u32,
        name: String,
        #[serde(default)]
        ratio: f64,
        on: Option<bool>,
        tone: Option<Tone>,
        letter: Option<char>,
    }

    fn texts<'a>(texts: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        texts.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()
    }

    #[test]
    fn texts_become_what_the_type_asks_for() {
        let all = [
            ("id", "7"),
            ("name", "42"),
            ("ratio", "0.5"),
            ("on", "true"),
            ("tone", "very-warm"),
            ("letter", "x"),
            ("else", "ignored"),
        ];
        let mixed: Mixed = read(&texts(&all)).unwrap();
        let expected = Mixed {
            id: 7,
            name: "42".into(),
            ratio: 0.5,
            on: Some(true),
            tone: Some(Tone::VeryWarm),
            letter: Some('x'),
        };
        assert_eq!(mixed, expected);
        let few: Mixed = read(&texts(&[("id", "1"), ("name", "")])).unwrap();
        assert_eq!((few.on, few.ratio), (None, 0.0));
        let map: BTreeMap<String, String> = read(&texts(&all[..2])).unwrap();
        assert_eq!(map, BTreeMap::from([("id".into(), "7".into()), ("name".into(), "42".into())]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (text, expected) in [
            ([("id", "-1"), ("name", "")], "`id` must be an integer of 32 bits, not below 0, not \"-1\""),
            ([("id", "x"), ("name", "")], "`id` must be"),
            ([("id", "1"), ("nom", "")], "missing field `name`"),
            ([("id", "1"), ("tone", "loud")], "`tone`: unknown variant `loud`"),
            ([("id", "1"), ("on", "yes")], "`on` must be true or false"),
            ([("id", "1"), ("letter", "xy")], "`letter`: invalid"),
        ] {
            let error = read::<Mixed>(&texts(&text)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
