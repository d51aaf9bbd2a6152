//! The fast check of an answer: it must be, byte for byte, the last thoroughly checked answer with this call's id and
//! text in the place of that one's. Whatever differs (a new Date, another form) goes through the slow check, and if it
//! is right it becomes the new pattern.

use std::sync::Arc;

use serde_json::Value;

use crate::answer::{self, Answer, Framing, MAX_ANSWER_BYTES};
use crate::fault::{ErrorKind, Fault};
use crate::key::Key;
use crate::mix::{Fill, Script, Step};

/// Shortest message that may teach a pattern: a shorter mark could stand for something else in the answer by chance,
/// a status digit for example, so those answers all take the slow check.
pub(crate) const MIN_PATTERN_BYTES: u32 = 8;

/// What the start of the received bytes is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not yet a whole answer.
    Incomplete,
    /// The right answer, this many bytes long, and what its step keeps of it, by slot.
    Good(usize, Vec<(usize, Value)>),
    /// A wrong answer, this many bytes long; the connection can go on.
    Wrong(usize, Fault),
    /// Bytes that are no answer at all; the connection cannot go on.
    Broken(Fault),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Id,
    Mark,
}

/// An answer that was right, and where it holds what differs from call to call.
#[derive(Debug, Clone, Default)]
struct Pattern {
    bytes: Vec<u8>,
    holes: Vec<(usize, Part)>,
}

/// Checks the answers of one generator thread.
#[derive(Debug)]
pub(crate) struct Checker {
    script: Arc<Script>,
    framing: Framing,
    /// By the number of the step.
    patterns: Vec<Pattern>,
    fixed_body: Option<Vec<u8>>,
    slow_checks: u64,
    answer_bytes: usize,
}

impl Checker {
    /// A checker that knows no pattern yet.
    pub(crate) fn new(script: Arc<Script>) -> Self {
        let patterns = vec![Pattern::default(); script.steps()];
        let framing = script.dialect.framing();
        Self { script, framing, patterns, fixed_body: None, slow_checks: 0, answer_bytes: 0 }
    }

    /// Checks the answer at the start of `input` against a step's call.
    pub(crate) fn check(&mut self, input: &[u8], step: &Step, fill: &Fill<'_>) -> Verdict {
        let pattern = &self.patterns[step.number];
        if pattern.matches(input, fill) {
            return Verdict::Good(pattern.bytes.len(), Vec::new());
        }
        match self.framing.parse(input) {
            Ok(Some(answer)) => {
                self.slow_checks += 1;
                let length = answer.length;
                match self.check_slowly(&answer, step, fill) {
                    Ok(kept) => {
                        self.learn(&input[..length], step, fill);
                        Verdict::Good(length, kept)
                    }
                    Err(fault) => Verdict::Wrong(length, fault),
                }
            }
            Ok(None) if input.len() > MAX_ANSWER_BYTES => {
                Verdict::Broken(Fault::new(ErrorKind::Http, format!("more than {MAX_ANSWER_BYTES} bytes")))
            }
            Ok(None) => Verdict::Incomplete,
            Err(fault) => Verdict::Broken(fault),
        }
    }

    /// How many answers took the slow check.
    pub(crate) fn slow_checks(&self) -> u64 {
        self.slow_checks
    }

    /// The length of the last answer that was checked slowly and right, in bytes; 0 before the first.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    fn learn(&mut self, bytes: &[u8], step: &Step, fill: &Fill<'_>) {
        self.answer_bytes = bytes.len();
        let pattern = &mut self.patterns[step.number];
        if self.script.fixed {
            *pattern = Pattern { bytes: bytes.to_vec(), holes: Vec::new() };
        } else if step.plain {
            *pattern =
                Pattern::learn(bytes, fill.key, step.body.uses_message().then_some(fill.message_bytes));
        }
    }

    fn check_slowly(
        &mut self,
        answer: &Answer<'_>,
        step: &Step,
        fill: &Fill<'_>,
    ) -> Result<Vec<(usize, Value)>, Fault> {
        if !self.script.fixed {
            return step.checks.check(answer, fill, self.script.expect);
        }
        if answer.status != 200 {
            return Err(Fault::new(ErrorKind::Status, answer::describe(answer)));
        }
        if *self.fixed_body.get_or_insert_with(|| answer.body.to_vec()) == *answer.body {
            return Ok(Vec::new());
        }
        Err(Fault::new(ErrorKind::Text, "the body is not that of the first answer"))
    }
}

impl Pattern {
    /// The pattern of a right answer to the call of `key`; the length of the message is that of a call that has one.
    fn learn(bytes: &[u8], key: &Key, message_bytes: Option<usize>) -> Self {
        let mut holes = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let mark = message_bytes.map(|length| (Part::Mark, key.mark(length)));
            match mark
                .iter()
                .chain(&[(Part::Id, &key.id[..])])
                .find(|(_, text)| bytes[at..].starts_with(text))
            {
                Some((part, text)) => {
                    holes.push((at, *part));
                    at += text.len();
                }
                None => at += 1,
            }
        }
        Self { bytes: bytes.to_vec(), holes }
    }

    fn matches(&self, input: &[u8], fill: &Fill<'_>) -> bool {
        let Some(input) = input.get(..self.bytes.len()) else { return false };
        let mut at = 0;
        for (hole, part) in &self.holes {
            let text = match part {
                Part::Id => &fill.key.id[..],
                Part::Mark => fill.key.mark(fill.message_bytes),
            };
            let end = hole + text.len();
            if input[at..*hole] != self.bytes[at..*hole] || input[*hole..end] != *text {
                return false;
            }
            at = end;
        }
        !self.bytes.is_empty() && input[at..] == self.bytes[at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::FIRST_ID;
    use crate::mix::tests::echo as script;

    fn answer(id: &Key, text: &str, date: u32) -> Vec<u8> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"structuredContent":"{text}","content":[{{"text":"{text}"}}]}}}}"#,
            std::str::from_utf8(&id.id).unwrap()
        );
        format!(
            "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn echo(key: &Key, date: u32, message_bytes: usize) -> Vec<u8> {
        answer(key, &key.message(message_bytes), date)
    }

    /// A checker of the echo, and its way to check an answer to the call of a key.
    fn checker(message_bytes: usize, fixed: bool) -> impl FnMut(&[u8], &Key) -> (Verdict, u64) {
        let script = Arc::new(Script { fixed, ..script(message_bytes as u32) });
        let mut checker = Checker::new(Arc::clone(&script));
        move |bytes, key| {
            let filler = &script.filler;
            let fill = Fill { key, message_bytes, filler, lane: 0, captured: &[] };
            let verdict = checker.check(bytes, &script.operations[0].steps[0], &fill);
            (verdict, checker.slow_checks())
        }
    }

    fn good(length: usize) -> Verdict {
        Verdict::Good(length, Vec::new())
    }

    #[test]
    fn one_slow_check_then_fast_ones_until_something_changes() {
        for message_bytes in [4, 16, 100] {
            let mut check = checker(message_bytes, false);
            let mut slow = 0;
            for step in 0..100 {
                let key = Key::new(FIRST_ID + step);
                let mut bytes = echo(&key, 1, message_bytes);
                let length = bytes.len();
                bytes.extend_from_slice(b"HTTP/1.1 200");
                let (verdict, slow_checks) = check(&bytes, &key);
                assert_eq!(verdict, good(length));
                slow = slow_checks;
            }
            assert_eq!(slow, if message_bytes < 8 { 100 } else { 1 });
            let key = Key::new(FIRST_ID + 1000);
            let bytes = echo(&key, 2, message_bytes);
            let (verdict, slow_checks) = check(&bytes, &key);
            assert!(verdict == good(bytes.len()) && slow_checks > slow);
        }
    }

    #[test]
    fn wrong_ids_and_texts_never_pass_the_fast_check() {
        let mut check = checker(16, false);
        let (one, two) = (Key::new(FIRST_ID), Key::new(FIRST_ID + 1));
        let right = echo(&one, 1, 16);
        assert_eq!(check(&right, &one).0, good(right.len()));
        let mut kind = |bytes: &[u8]| match check(bytes, &two).0 {
            Verdict::Wrong(_, fault) => fault.kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(&right), ErrorKind::JsonRpc);
        assert_eq!(kind(&answer(&two, &one.message(16), 1)), ErrorKind::Text);
        let bytes = echo(&two, 1, 16);
        assert_eq!(check(&bytes[..bytes.len() - 1], &two).0, Verdict::Incomplete);
        assert_eq!(check(&bytes, &two).0, good(bytes.len()));
        assert!(matches!(check(b"garbage\r\n\r\n", &two).0, Verdict::Broken(_)));
    }

    #[test]
    fn a_fixed_answer_stays_fixed() {
        let mut check = checker(16, true);
        let fixed = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        for step in 0..3 {
            assert_eq!(check(fixed, &Key::new(FIRST_ID + step)), (good(fixed.len()), 1));
        }
        let other = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
        assert!(matches!(check(other, &Key::new(FIRST_ID)).0, Verdict::Wrong(_, _)));
    }
}
