//! The fast check of an answer: it must be, byte for byte, the last thoroughly checked answer with this call's id and
//! text in the place of that one's. Whatever differs (a new Date, another form) goes through the slow check, and if it
//! is right it becomes the new pattern.

use crate::answer::{self, Answer, ErrorKind, Fault, MAX_ANSWER_BYTES};
use crate::options::Expect;
use crate::request::Key;

/// Shortest message that may teach a pattern: a shorter mark could stand for something else in the answer by chance,
/// a status digit for example, so those answers all take the slow check.
const MIN_PATTERN_MESSAGE_BYTES: usize = 8;

/// What the start of the received bytes is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not yet a whole answer.
    Incomplete,
    /// The right answer, this many bytes long.
    Good(usize),
    /// A wrong answer, this many bytes long; the connection can go on.
    Wrong(usize, Fault),
    /// Bytes that are no answer at all; the connection cannot go on.
    Broken(Fault),
}

/// What a server must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The text of the call, in the given form.
    Echo(Expect),
    /// Always the same body.
    Fixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Id,
    Mark,
}

/// An answer that was right, and where it holds what differs from call to call.
#[derive(Debug, Default)]
struct Pattern {
    bytes: Vec<u8>,
    holes: Vec<(usize, Part)>,
}

/// Checks the answers of one generator thread.
#[derive(Debug)]
pub(crate) struct Checker {
    rule: Rule,
    message_bytes: usize,
    pattern: Pattern,
    fixed_body: Option<Vec<u8>>,
    slow_checks: u64,
    answer_bytes: usize,
}

impl Checker {
    /// A checker that knows no pattern yet.
    pub(crate) fn new(rule: Rule, message_bytes: usize) -> Self {
        Self {
            rule,
            message_bytes,
            pattern: Pattern::default(),
            fixed_body: None,
            slow_checks: 0,
            answer_bytes: 0,
        }
    }

    /// Checks the answer at the start of `input` against the call of `key`.
    pub(crate) fn check(&mut self, input: &[u8], key: &Key) -> Verdict {
        if self.pattern.matches(input, key, self.message_bytes) {
            return Verdict::Good(self.pattern.bytes.len());
        }
        match answer::parse(input) {
            Ok(Some(answer)) => {
                self.slow_checks += 1;
                let length = answer.length;
                match self.check_slowly(&answer, key) {
                    Ok(()) => {
                        self.learn(&input[..length], key);
                        Verdict::Good(length)
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

    fn learn(&mut self, bytes: &[u8], key: &Key) {
        self.answer_bytes = bytes.len();
        match self.rule {
            Rule::Fixed => self.pattern = Pattern { bytes: bytes.to_vec(), holes: Vec::new() },
            Rule::Echo(_) if self.message_bytes >= MIN_PATTERN_MESSAGE_BYTES => {
                self.pattern = Pattern::learn(bytes, key, self.message_bytes);
            }
            Rule::Echo(_) => {}
        }
    }

    fn check_slowly(&mut self, answer: &Answer<'_>, key: &Key) -> Result<(), Fault> {
        match self.rule {
            Rule::Echo(expect) => answer::check(answer, key, self.message_bytes, expect),
            Rule::Fixed if answer.status != 200 => {
                Err(Fault::new(ErrorKind::Status, answer::describe(answer)))
            }
            Rule::Fixed => {
                let first = self.fixed_body.get_or_insert_with(|| answer.body.to_vec());
                if *first == *answer.body {
                    return Ok(());
                }
                Err(Fault::new(ErrorKind::Text, "the body is not that of the first answer"))
            }
        }
    }
}

impl Pattern {
    /// The pattern of a right answer to the call of `key`.
    fn learn(bytes: &[u8], key: &Key, message_bytes: usize) -> Self {
        let mut holes = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let parts = [(Part::Mark, key.mark(message_bytes)), (Part::Id, &key.id[..])];
            match parts.iter().find(|(_, text)| bytes[at..].starts_with(text)) {
                Some((part, text)) => {
                    holes.push((at, *part));
                    at += text.len();
                }
                None => at += 1,
            }
        }
        Self { bytes: bytes.to_vec(), holes }
    }

    fn matches(&self, input: &[u8], key: &Key, message_bytes: usize) -> bool {
        let Some(input) = input.get(..self.bytes.len()) else { return false };
        let mut at = 0;
        for (hole, part) in &self.holes {
            let text = match part {
                Part::Id => &key.id[..],
                Part::Mark => key.mark(message_bytes),
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
    use crate::request::FIRST_ID;

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

    #[test]
    fn one_slow_check_then_fast_ones_until_something_changes() {
        for message_bytes in [4, 16, 100] {
            let mut checker = Checker::new(Rule::Echo(Expect::Any), message_bytes);
            for step in 0..100 {
                let key = Key::new(FIRST_ID + step);
                let mut bytes = echo(&key, 1, message_bytes);
                let length = bytes.len();
                bytes.extend_from_slice(b"HTTP/1.1 200");
                assert_eq!(checker.check(&bytes, &key), Verdict::Good(length));
            }
            assert_eq!(checker.slow_checks(), if message_bytes < 8 { 100 } else { 1 });
            let key = Key::new(FIRST_ID + 1000);
            let before = checker.slow_checks();
            let bytes = echo(&key, 2, message_bytes);
            assert_eq!(checker.check(&bytes, &key), Verdict::Good(bytes.len()));
            assert!(checker.slow_checks() > before);
        }
    }

    #[test]
    fn wrong_ids_and_texts_never_pass_the_fast_check() {
        let mut checker = Checker::new(Rule::Echo(Expect::Any), 16);
        let (one, two) = (Key::new(FIRST_ID), Key::new(FIRST_ID + 1));
        let good = echo(&one, 1, 16);
        assert_eq!(checker.check(&good, &one), Verdict::Good(good.len()));
        let kind = |verdict| match verdict {
            Verdict::Wrong(_, fault) => fault.kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(checker.check(&good, &two)), ErrorKind::JsonRpc);
        assert_eq!(kind(checker.check(&answer(&two, &one.message(16), 1), &two)), ErrorKind::Text);
        let bytes = echo(&two, 1, 16);
        assert_eq!(checker.check(&bytes[..bytes.len() - 1], &two), Verdict::Incomplete);
        assert_eq!(checker.check(&bytes, &two), Verdict::Good(bytes.len()));
        assert!(matches!(checker.check(b"garbage\r\n\r\n", &two), Verdict::Broken(_)));
    }

    #[test]
    fn a_fixed_answer_stays_fixed() {
        let mut checker = Checker::new(Rule::Fixed, 16);
        let key = Key::new(FIRST_ID);
        let fixed = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        for step in 0..3 {
            assert_eq!(checker.check(fixed, &Key::new(FIRST_ID + step)), Verdict::Good(fixed.len()));
        }
        assert_eq!(checker.slow_checks(), 1);
        let other = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
        assert!(matches!(checker.check(other, &key), Verdict::Wrong(_, _)));
    }
}
