//! A clock as a peer sends it: read within bounds, as generously as the peers that exist read it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::clock::{MAX_COUNT, MAX_NODE_ID_BYTES};

/// Why a peer's clock was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockError {
    /// A sentence without an end: what is wrong with the clock.
    pub message: String,
    /// Whether it has more nodes than are allowed.
    pub is_over_limit: bool,
}

/// What a peer's clock knows of each node. The root that it claims is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerClock {
    vector: BTreeMap<Box<str>, u64>,
}

impl PeerClock {
    /// Reads the JSON object that a peer sent; `max_entries` bounds its nodes.
    ///
    /// Counts may be integers, numbers with a fraction (cut off), booleans, or integers as text; one below 0 is 0. A
    /// `vector` that is no object counts as empty, and so does an absent one.
    ///
    /// # Errors
    /// No object, too many nodes, a name or a count that is too large, a count that is no number.
    pub fn read(json: &str, max_entries: usize) -> Result<PeerClock, ClockError> {
        let reader = MapReader { max_entries: usize::MAX, take: Fields::default() };
        let fields = read_map(json, reader)?;
        let mut vector = match fields.vector.map(RawValue::get) {
            Some(vector) if vector.starts_with('{') => {
                read_map(vector, MapReader { max_entries, take: BTreeMap::new() })?
            }
            _ => BTreeMap::new(),
        };
        if let Some(node_id) = fields.node_id.and_then(|raw| name(raw.get())) {
            check_name(&node_id).map_err(|message| ClockError { message, is_over_limit: false })?;
            vector.entry(node_id.into()).or_insert(0);
        }
        Ok(PeerClock { vector })
    }

    /// What a peer would read of a clock of ours.
    #[cfg(test)]
    pub(super) fn of(clock: &super::MerkleClock) -> PeerClock {
        PeerClock { vector: clock.entries().map(|(node, count)| (node.into(), count)).collect() }
    }

    /// The events known of a node; 0 where it is not known.
    pub(super) fn count(&self, node_id: &str) -> u64 {
        self.vector.get(node_id).copied().unwrap_or(0)
    }

    /// The nodes and their counts.
    pub fn entries(&self) -> impl Iterator<Item = (&str, u64)> {
        self.vector.iter().map(|(node, count)| (&**node, *count))
    }
}

/// What takes the members of a JSON object, and how many there are so far.
trait Take<'de> {
    fn take(&mut self, key: Cow<'de, str>, value: &'de RawValue) -> Result<(), String>;
    fn len(&self) -> usize;
}

#[derive(Default)]
struct Fields<'de> {
    node_id: Option<&'de RawValue>,
    vector: Option<&'de RawValue>,
}

impl<'de> Take<'de> for Fields<'de> {
    fn take(&mut self, key: Cow<'de, str>, value: &'de RawValue) -> Result<(), String> {
        match &*key {
            "node_id" => self.node_id = Some(value),
            "vector" => self.vector = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn len(&self) -> usize {
        0
    }
}

impl<'de> Take<'de> for BTreeMap<Box<str>, u64> {
    fn take(&mut self, key: Cow<'de, str>, value: &'de RawValue) -> Result<(), String> {
        let count = count(value.get())?;
        if !key.is_empty() {
            check_name(&key)?;
            self.insert(key.into(), count);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.len()
    }
}

/// The limit's name, which only the error about it contains.
const LIMIT: &str = "max_p2p_clock_entries";

struct MapReader<T> {
    max_entries: usize,
    take: T,
}

fn read_map<'de, T: Take<'de>>(json: &'de str, reader: MapReader<T>) -> Result<T, ClockError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(reader).map_err(|error| {
        // The place in the text is no news: the text is one field of a request.
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or_default().to_owned();
        ClockError { is_over_limit: message.contains(LIMIT), message }
    })
}

impl<'de, T: Take<'de>> Visitor<'de> for MapReader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a clock {node_id, vector} whose vector maps names to counts")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<T, A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            self.take.take(key, map.next_value()?).map_err(A::Error::custom)?;
            if self.take.len() > self.max_entries {
                return Err(A::Error::custom(format_args!(
                    "clock.vector has more nodes than {LIMIT} allows, which is {}",
                    self.max_entries
                )));
            }
        }
        Ok(self.take)
    }
}

/// A key, borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn check_name(name: &str) -> Result<(), String> {
    match name.len() {
        0..=MAX_NODE_ID_BYTES => Ok(()),
        bytes => Err(format!("a node's name in clock has {bytes} bytes; {MAX_NODE_ID_BYTES} are allowed")),
    }
}

/// A name as text, whatever it was sent as; `None` for an empty one.
fn name(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<Key<'_>>(raw).ok().map(|key| key.0).filter(|name| !name.is_empty()),
        _ => (!matches!(raw, "null" | "false" | "0" | "[]" | "{}")).then_some(Cow::Borrowed(raw)),
    }
}

fn count(raw: &str) -> Result<u64, String> {
    let number = match raw {
        "true" => Some(1),
        "false" => Some(0),
        _ => {
            let text = serde_json::from_str::<Key<'_>>(raw).map_or(Cow::Borrowed(raw), |key| key.0);
            let whole = text.trim().parse::<i128>().ok();
            whole.or_else(|| cut_off(raw))
        }
    };
    let Some(number) = number else {
        return Err("a count in clock.vector is no number".to_owned());
    };
    let number = u64::try_from(number.max(0)).ok().filter(|number| *number <= MAX_COUNT);
    number.ok_or_else(|| format!("a count in clock.vector is above {MAX_COUNT}"))
}

/// A JSON number without its fraction.
fn cut_off(raw: &str) -> Option<i128> {
    let number: f64 = serde_json::from_str(raw).ok()?;
    Some(number as i128)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn entries(json: &str) -> Vec<(String, u64)> {
        let clock = PeerClock::read(json, 4).unwrap();
        clock.entries().map(|(node, count)| (node.to_owned(), count)).collect()
    }

    #[test]
    fn counts_are_read_as_the_peers_that_exist_read_them() {
        let sent = r#"{"node_id":"n","vector":{"a":2.9,"b":" 7 ","c":-4,"":1,"a":3},"merkle_root":5}"#;
        let expected = [("a", 3), ("b", 7), ("c", 0), ("n", 0)];
        assert_eq!(entries(sent), expected.map(|(node, count)| (node.to_owned(), count)));
        assert_eq!(entries(r#"{"vector":{"t":true,"\u00e9":1e3}}"#).len(), 2);
        assert_eq!(entries(r#"{"node_id":5}"#), [("5".to_owned(), 0)]);
        for nothing in [r#"{"vector":"x"}"#, r#"{"vector":[1]}"#, r#"{"vector":null,"node_id":null}"#, "{}"] {
            assert_eq!(entries(nothing), [], "{nothing}");
        }
    }

    #[test]
    fn what_is_no_clock_is_refused_with_a_sentence() {
        for (sent, part) in [
            ("5", "a clock {node_id"),
            (r#"{"vector":{"n":"NaNx"}}"#, "no number"),
            (r#"{"vector":{"n":null}}"#, "no number"),
            (r#"{"vector":{"n":1e300}}"#, "above 9223372036854775807"),
            (r#"{"vector":{"n":9223372036854775808}}"#, "above"),
            (r#"{"vector":{"a":1,"b":1,"c":1,"d":1,"e":1}}"#, "max_p2p_clock_entries allows, which is 4"),
        ] {
            let error = PeerClock::read(sent, 4).unwrap_err();
            assert!(error.message.contains(part), "{sent}: {error:?}");
            assert_eq!(error.is_over_limit, part.contains("max_"), "{sent}");
        }
        let long = format!(r#"{{"node_id":"{}"}}"#, "x".repeat(257));
        assert!(PeerClock::read(&long, 4).unwrap_err().message.contains("257 bytes; 256 are allowed"));
    }
}
