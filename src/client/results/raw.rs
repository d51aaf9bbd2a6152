//! JSON that is kept as the server wrote it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value, kept word for word: no keyword is lost, no number rounded, no reference followed.
#[derive(Clone)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The value. Numbers beyond what 64 bits hold are rounded, and of a repeated member the last counts.
    pub fn value(&self) -> Value {
        self.read().unwrap_or_default()
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.get())
    }

    pub(crate) fn new(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

impl Default for RawJson {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

/// A part of an answer that is read into fields and also kept whole.
pub(crate) trait Kept: DeserializeOwned {
    fn keep(&mut self, raw: RawJson);
}

/// Reads a part of an answer.
pub(crate) fn kept<T: Kept>(raw: RawJson) -> serde_json::Result<T> {
    let mut read: T = raw.read()?;
    read.keep(raw);
    Ok(read)
}

/// Types whose `raw` field holds the whole text, and which serialize to it.
macro_rules! kept_whole {
    ($($kind:ty),+) => { $(
        impl $crate::client::results::raw::Kept for $kind {
            fn keep(&mut self, raw: $crate::client::results::raw::RawJson) {
                self.raw = raw;
            }
        }

        /// As the server wrote it.
        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.raw.serialize(serializer)
            }
        }
    )+ };
}
pub(crate) use kept_whole;
