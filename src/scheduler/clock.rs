//! The logical clock of a peer: how many events it knows of each node, and one digest of that.
//!
//! Golden values of the peers that exist are in `tests/vectors/scheduler.json`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::peer_clock::PeerClock;
use super::{python, sha256_hex};

/// The largest count of a node; one that has come there stays there.
pub const MAX_COUNT: u64 = i64::MAX as u64;
/// The longest name of a node, in bytes.
pub const MAX_NODE_ID_BYTES: usize = 256;
/// The text that a clock is digested from stays below this, so that an answer that carries it fits on a line.
const MAX_TEXT_BYTES: usize = 256 << 10;
/// What an entry takes of that text besides its name: `[`, `, `, the digits of a count, `]` and `, `.
const ENTRY_BYTES: usize = 25;

/// A vector clock whose state has a digest, the Merkle root: SHA-256 over the (node, count) pairs, sorted by the code
/// points of the node's name and written as Python writes a list of lists.
#[derive(Debug, Clone)]
pub struct MerkleClock {
    node_id: Box<str>,
    vector: BTreeMap<Box<str>, u64>,
    max_entries: usize,
    text_bytes: usize,
    /// Computed when it is asked for: most events come in between.
    root: OnceLock<Box<str>>,
}

impl MerkleClock {
    /// A clock that has not ticked: its own node at 0. `max_entries` bounds the nodes that it takes note of.
    pub fn new(node_id: &str, max_entries: usize) -> MerkleClock {
        let mut clock = MerkleClock {
            node_id: node_id.into(),
            vector: BTreeMap::new(),
            max_entries: max_entries.max(1),
            text_bytes: 0,
            root: OnceLock::new(),
        };
        clock.raise(node_id, 0);
        clock
    }

    /// Counts an event of its own. At [`MAX_COUNT`] it stays there.
    pub fn tick(&mut self) {
        self.count_event();
        self.forget_root();
    }

    /// Takes over what another clock knows more of, and counts that as an event. Returns how many entries were left out
    /// because there was no room for one more node.
    pub fn merge(&mut self, other: &PeerClock) -> usize {
        let left_out = other.entries().filter(|(node, count)| !self.raise(node, *count)).count();
        self.tick();
        left_out
    }

    /// Whether it knows more than the other clock or less; `None` where each knows something that the other does not.
    pub fn compare(&self, other: &PeerClock) -> Option<Ordering> {
        let knows_more = self.entries().any(|(node, count)| count > other.count(node));
        let knows_less = other.entries().any(|(node, count)| count > self.count(node).unwrap_or(0));
        match (knows_more, knows_less) {
            (true, true) => None,
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => Some(Ordering::Equal),
        }
    }

    /// The digest, 64 lower-case hexadecimal digits.
    pub fn root(&self) -> &str {
        self.root.get_or_init(|| root_of(&self.vector, self.text_bytes).into())
    }

    /// The events known of a node.
    pub fn count(&self, node_id: &str) -> Option<u64> {
        self.vector.get(node_id).copied()
    }

    /// The nodes and their counts, by the nodes' names.
    pub fn entries(&self) -> impl Iterator<Item = (&str, u64)> {
        self.vector.iter().map(|(node, count)| (&**node, *count))
    }

    /// Knows at least these counts again. That is no event.
    pub(super) fn restore<'a>(&mut self, entries: impl Iterator<Item = (&'a str, u64)>) {
        for (node, count) in entries {
            self.raise(node, count.min(MAX_COUNT));
        }
        self.forget_root();
    }

    /// How many nodes it knows of.
    pub fn len(&self) -> usize {
        self.vector.len()
    }

    /// Whether it knows of no node; never, since it knows its own.
    pub fn is_empty(&self) -> bool {
        self.vector.is_empty()
    }

    fn count_event(&mut self) {
        if let Some(count) = self.vector.get_mut(&self.node_id) {
            *count = (*count + 1).min(MAX_COUNT);
        }
    }

    /// Sets a node's count to the larger one; false where there is no room for the node.
    fn raise(&mut self, node_id: &str, count: u64) -> bool {
        if let Some(known) = self.vector.get_mut(node_id) {
            *known = (*known).max(count);
            return true;
        }
        let bytes = python::string_bytes(node_id) + ENTRY_BYTES;
        if self.vector.len() >= self.max_entries || self.text_bytes + bytes > MAX_TEXT_BYTES {
            return false;
        }
        self.text_bytes += bytes;
        self.vector.insert(node_id.into(), count);
        true
    }

    fn forget_root(&mut self) {
        self.root = OnceLock::new();
    }
}

fn root_of(vector: &BTreeMap<Box<str>, u64>, text_bytes: usize) -> String {
    let mut text = String::with_capacity(text_bytes + 2);
    text.push('[');
    for (node_id, count) in vector {
        if text.len() > 1 {
            text.push_str(", ");
        }
        text.push('[');
        python::string(&mut text, node_id);
        // Writing to a String does not fail.
        let _ = write!(text, ", {count}]");
    }
    text.push(']');
    sha256_hex(&text)
}

impl Serialize for MerkleClock {
    /// As peers exchange it: `node_id`, `vector` and `merkle_root`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut clock = serializer.serialize_struct("MerkleClock", 3)?;
        clock.serialize_field("node_id", &self.node_id)?;
        clock.serialize_field("vector", &self.vector)?;
        clock.serialize_field("merkle_root", self.root())?;
        clock.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde_json::Value;

    use super::*;

    fn golden() -> Value {
        serde_json::from_str(include_str!("../../tests/vectors/scheduler.json")).unwrap()
    }

    /// A clock with the golden one's vector.
    fn clock(node_id: &str, vector: &Value) -> MerkleClock {
        let mut clock = MerkleClock::new(node_id, 64);
        for (node, count) in vector.as_object().unwrap() {
            assert!(clock.raise(node, count.as_u64().unwrap()));
        }
        clock.forget_root();
        clock
    }

    #[test]
    fn roots_are_those_of_the_peers_that_exist() {
        let golden = golden();
        for row in golden["clocks"].as_array().unwrap() {
            let clock = clock(row["node_id"].as_str().unwrap(), &row["vector"]);
            assert_eq!(clock.root(), row["merkle_root"], "{row}");
            assert_eq!(&serde_json::to_value(&clock).unwrap(), row);
        }
    }

    #[test]
    fn merging_is_that_of_the_peers_that_exist() {
        let golden = golden();
        for row in golden["compare"].as_array().unwrap() {
            let mut clock = clock(row["a_node"].as_str().unwrap(), &row["a"]);
            let other = format!(r#"{{"vector":{}}}"#, row["b"]);
            let other = PeerClock::read(&other, 64).unwrap();
            let compared = match clock.compare(&other) {
                Some(Ordering::Greater) => -1,
                Some(Ordering::Less) => 1,
                _ => 0,
            };
            assert_eq!(compared, row["compare"], "{row}");
            assert_eq!(clock.merge(&other), 0);
            assert_eq!(serde_json::to_value(&clock).unwrap(), row["a_after_update"], "{row}");
        }
        for sequence in golden["clock_sequences"].as_array().unwrap() {
            let mut clock = MerkleClock::new("n1", 64);
            for step in sequence.as_array().unwrap() {
                match step["op"].as_str().unwrap() {
                    "tick" => clock.tick(),
                    _ => drop(clock.merge(&PeerClock::read(&step["other"].to_string(), 64).unwrap())),
                }
                assert_eq!(serde_json::to_value(&clock).unwrap(), step["clock"]);
            }
        }
    }

    #[test]
    fn a_clock_has_room_for_so_many_nodes_and_bytes() {
        let mut clock = MerkleClock::new("me", 3);
        let many = PeerClock::read(r#"{"vector":{"a":1,"b":2,"c":3,"me":9}}"#, 4).unwrap();
        assert_eq!(clock.merge(&many), 1, "c has no room");
        assert_eq!((clock.len(), clock.count("c"), clock.count("me")), (3, None, Some(10)));
        let mut clock = MerkleClock::new("me", 10_000);
        let long: Vec<_> = (0..10_000).map(|node| format!("{:?}:1", format!("{node:0250}"))).collect();
        let long = PeerClock::read(&format!(r#"{{"vector":{{{}}}}}"#, long.join(",")), 10_000).unwrap();
        assert!(clock.merge(&long) > 0 && clock.len() > 500);
        assert!(serde_json::to_string(&clock).unwrap().len() < MAX_TEXT_BYTES + 1_024);
    }

    #[test]
    fn a_count_does_not_wrap() {
        let mut clock = MerkleClock::new("me", 4);
        clock.merge(&PeerClock::read(&format!(r#"{{"vector":{{"me":{MAX_COUNT}}}}}"#), 4).unwrap());
        clock.tick();
        assert_eq!(clock.count("me"), Some(MAX_COUNT));
    }
}
