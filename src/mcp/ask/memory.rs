//! What a call remembers from round to round, and its bytes inside a `requestState`.

use std::collections::BTreeMap;

use crate::mcp::ask::questions::QuestionKind;

/// What is sealed into a `requestState`, besides its expiry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The questions that the client was last asked.
    pub(crate) asked: BTreeMap<String, QuestionKind>,
    /// The answers of earlier rounds, as JSON text.
    pub(crate) answers: BTreeMap<String, (QuestionKind, String)>,
    /// The results of `once`, as JSON text.
    pub(crate) done: BTreeMap<String, String>,
}

/// The tags of the entries.
const ASKED: u8 = 1;
const ANSWER: u8 = 2;
const DONE: u8 = 3;

impl Memory {
    /// Appends the entries; those of each map in the order of their keys.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (key, kind) in &self.asked {
            out.extend([ASKED, *kind as u8]);
            text(out, key);
        }
        for (key, (kind, answer)) in &self.answers {
            out.extend([ANSWER, *kind as u8]);
            text(out, key);
            text(out, answer);
        }
        for (key, result) in &self.done {
            out.push(DONE);
            text(out, key);
            text(out, result);
        }
    }

    /// Reads what [`Memory::write`] wrote; `None` for anything else.
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Memory> {
        let mut memory = Memory::default();
        while let Some(tag) = take_byte(&mut bytes) {
            match tag {
                ASKED => {
                    let kind = QuestionKind::from_byte(take_byte(&mut bytes)?)?;
                    memory.asked.insert(take_text(&mut bytes)?, kind);
                }
                ANSWER => {
                    let kind = QuestionKind::from_byte(take_byte(&mut bytes)?)?;
                    let key = take_text(&mut bytes)?;
                    memory.answers.insert(key, (kind, take_text(&mut bytes)?));
                }
                DONE => {
                    let key = take_text(&mut bytes)?;
                    memory.done.insert(key, take_text(&mut bytes)?);
                }
                _ => return None,
            }
        }
        Some(memory)
    }
}

/// Appends a text after its length, seven bits a byte, lowest first.
fn text(out: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(text.as_bytes());
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let mut length = 0_usize;
    // Four groups of seven bits are far more than a state may hold.
    for shift in [0, 7, 14, 21] {
        let byte = take_byte(bytes)?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            return String::from_utf8(text.to_vec()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Memory {
        let mut memory = Memory::default();
        memory.asked.insert("name".into(), QuestionKind::Form);
        memory.answers.insert("roots".into(), (QuestionKind::Roots, "{\"roots\":[]}".into()));
        memory.answers.insert(String::new(), (QuestionKind::Sampling, "x".repeat(20_000)));
        memory.done.insert("order".into(), "ü".repeat(100));
        memory
    }

    fn bytes(memory: &Memory) -> Vec<u8> {
        let mut out = Vec::new();
        memory.write(&mut out);
        out
    }

    #[test]
    fn what_is_written_is_read() {
        for memory in [Memory::default(), sample()] {
            assert_eq!(Memory::read(&bytes(&memory)), Some(memory));
        }
    }

    #[test]
    fn it_costs_a_few_bytes_an_entry() {
        let mut memory = Memory::default();
        memory.done.insert("key".into(), "42".into());
        assert_eq!(bytes(&memory), [&[DONE, 3][..], b"key", &[2], b"42"].concat());
    }

    #[test]
    fn anything_else_is_refused_and_never_read_past_its_end() {
        let whole = bytes(&sample());
        for end in 1..40 {
            // A cut at the border of an entry is a shorter memory; anywhere else it is none.
            let read = Memory::read(&whole[..end]);
            assert!(read.is_none_or(|memory| bytes(&memory).len() == end), "{end}");
        }
        for bad in [&[9][..], &[ASKED, 9, 0], &[DONE, 0xff, 0xff, 0xff, 0xff, 1], &[DONE, 1, 0xff, 0]] {
            assert_eq!(Memory::read(bad), None, "{bad:?}");
        }
    }
}
