//! How the types of [`ServerConfig`](super::ServerConfig)'s fields meet the values that were read.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::kind::Value;
use crate::observe::LogFormat;

/// A field's type. A value reaches it only after its setting's kind read it, so the shapes always fit.
pub(super) trait Field {
    fn put(&mut self, value: Value);
    fn value(&self) -> Value;
}

fn misfit(value: &Value) -> ! {
    panic!("invariant: a setting's kind fits its field, but {value:?} does not")
}

macro_rules! plain_field {
    ($type:ty, $variant:ident) => {
        impl Field for $type {
            fn put(&mut self, value: Value) {
                match value {
                    Value::$variant(inner) => *self = inner,
                    other => misfit(&other),
                }
            }

            fn value(&self) -> Value {
                Value::$variant(self.clone())
            }
        }
    };
}

macro_rules! optional_field {
    ($type:ty, $variant:ident) => {
        impl Field for Option<$type> {
            fn put(&mut self, value: Value) {
                *self = match value {
                    Value::Unset => None,
                    Value::$variant(inner) => Some(inner),
                    other => misfit(&other),
                };
            }

            fn value(&self) -> Value {
                self.clone().map_or(Value::Unset, Value::$variant)
            }
        }
    };
}

plain_field!(String, Text);
plain_field!(bool, Flag);
plain_field!(u64, Integer);
plain_field!(Vec<String>, List);
plain_field!(Vec<SocketAddr>, Addresses);
optional_field!(String, Text);
optional_field!(u64, Integer);
optional_field!(Vec<usize>, Cores);

impl Field for u32 {
    fn put(&mut self, value: Value) {
        let mut wide = 0_u64;
        wide.put(value);
        *self = u32::try_from(wide).expect("invariant: the setting's range fits 32 bits");
    }

    fn value(&self) -> Value {
        Value::Integer(u64::from(*self))
    }
}

impl Field for Option<usize> {
    fn put(&mut self, value: Value) {
        let mut wide = None::<u64>;
        wide.put(value);
        *self = wide.map(|n| usize::try_from(n).expect("invariant: the setting's range fits an index"));
    }

    fn value(&self) -> Value {
        self.map_or(Value::Unset, |number| Value::Integer(number as u64))
    }
}

impl Field for Option<SocketAddr> {
    fn put(&mut self, value: Value) {
        *self = match value {
            Value::Unset => None,
            Value::Addresses(addresses) => addresses.first().copied(),
            other => misfit(&other),
        };
    }

    fn value(&self) -> Value {
        self.map_or(Value::Unset, |address| Value::Addresses(vec![address]))
    }
}

impl Field for Option<PathBuf> {
    fn put(&mut self, value: Value) {
        *self = match value {
            Value::Unset => None,
            Value::Text(path) => Some(path.into()),
            other => misfit(&other),
        };
    }

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Unset, |path| Value::Text(path.to_string_lossy().into_owned()))
    }
}

/// A value that no output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Field for Option<Secret> {
    fn put(&mut self, value: Value) {
        let mut text = None::<String>;
        text.put(value);
        *self = text.map(Secret);
    }

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Unset, |secret| Value::Text(secret.0.clone()))
    }
}

impl Field for LogFormat {
    fn put(&mut self, value: Value) {
        let mut word = String::new();
        word.put(value);
        *self = if word == LogFormat::Json.as_str() { LogFormat::Json } else { LogFormat::Text };
    }

    fn value(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
}
