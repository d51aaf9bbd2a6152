//! A strict scanner for JSON text: it finds values without building them, and counts how deep they nest.
//!
//! It takes exactly the texts that `serde_json` takes when it ignores a value; a test holds the two side by side.

use std::borrow::Cow;

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// Not JSON from this byte on.
    Syntax(usize),
    /// Arrays and objects nest deeper than allowed.
    Depth,
}

type Scan<T> = Result<T, ScanError>;

/// Walks over one JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    max_depth: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, max_depth: usize) -> Scanner<'a> {
        Scanner { text, at: 0, depth: 0, max_depth }
    }

    /// The next byte that is no white space; it is not taken.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Skips one value and returns its text.
    pub(crate) fn value(&mut self) -> Scan<&'a str> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => drop(self.string()?),
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return self.syntax(),
        }
        Ok(&self.text[start..self.at])
    }

    /// Enters an object; the next byte is its brace. False when it is empty, and then over.
    pub(crate) fn open(&mut self) -> Scan<bool> {
        self.descend()?;
        if self.peek() == Some(b'}') {
            self.ascend();
            return Ok(false);
        }
        Ok(true)
    }

    /// The next key of an object, its escapes undone, and the colon behind it.
    pub(crate) fn key(&mut self) -> Scan<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return self.syntax();
        }
        let start = self.at;
        let escaped = self.string()?;
        let raw = &self.text[start..self.at];
        self.colon()?;
        match escaped {
            false => Ok(Cow::Borrowed(&raw[1..raw.len() - 1])),
            true => text(raw).ok_or(ScanError::Syntax(start)),
        }
    }

    /// What follows a member: true for another one, false for the end of the object.
    pub(crate) fn more(&mut self) -> Scan<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(b'}') => {
                self.ascend();
                Ok(false)
            }
            _ => self.syntax(),
        }
    }

    /// Fails unless only white space is left.
    pub(crate) fn end(&mut self) -> Scan<()> {
        if self.peek().is_none() { Ok(()) } else { self.syntax() }
    }

    fn syntax<T>(&self) -> Scan<T> {
        Err(ScanError::Syntax(self.at))
    }

    /// Takes an opening bracket.
    fn descend(&mut self) -> Scan<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > self.max_depth { Err(ScanError::Depth) } else { Ok(()) }
    }

    /// Takes a closing bracket.
    fn ascend(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn object(&mut self) -> Scan<()> {
        let mut more = self.open()?;
        while more {
            if self.peek() != Some(b'"') {
                return self.syntax();
            }
            self.string()?;
            self.colon()?;
            self.value()?;
            more = self.more()?;
        }
        Ok(())
    }

    fn colon(&mut self) -> Scan<()> {
        if self.peek() != Some(b':') {
            return self.syntax();
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self) -> Scan<()> {
        self.descend()?;
        if self.peek() == Some(b']') {
            self.ascend();
            return Ok(());
        }
        loop {
            self.value()?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.ascend();
                    return Ok(());
                }
                _ => return self.syntax(),
            }
        }
    }

    fn literal(&mut self, word: &str) -> Scan<()> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        self.syntax()
    }

    /// A string; the next byte is its opening quote. True when something in it is escaped.
    fn string(&mut self) -> Scan<bool> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at += plain_bytes(&bytes[self.at..]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                // The end of the text, or a control character.
                _ => return self.syntax(),
            }
        }
    }

    fn escape(&mut self) -> Scan<()> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let length = match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
            Some(b'u') if rest.len() > 4 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => 5,
            _ => return self.syntax(),
        };
        self.at += 1 + length;
        Ok(())
    }

    fn number(&mut self) -> Scan<()> {
        let bytes = self.text.as_bytes();
        if bytes[self.at] == b'-' {
            self.at += 1;
        }
        match bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.syntax(),
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Scan<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { self.syntax() } else { Ok(()) }
    }
}

/// How many bytes of a string lie before the next quote, backslash or control character. Eight at a time.
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = ONES << 7;
    let mut passed = 0;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        // In each mask the lowest high bit that is set marks the first byte that was looked for.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * u64::from(b'"'));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let found = (control | quote | backslash) & HIGH;
        if found != 0 {
            return passed + found.trailing_zeros() as usize / 8;
        }
        passed += 8;
    }
    passed + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count()
}

/// The string that a raw JSON value holds; `None` for any other value, and for half a surrogate pair.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.as_bytes().contains(&b'\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    fn takes(text: &str) -> bool {
        let mut scanner = Scanner::new(text, 100);
        scanner.value().and_then(|_| scanner.end()).is_ok()
    }

    fn agree(text: &str) {
        let serde = serde_json::from_str::<IgnoredAny>(text).is_ok();
        assert_eq!(takes(text), serde, "{text:?}");
    }

    #[test]
    fn values_are_found_with_their_text() {
        for (text, value) in
            [(" 12 ", "12"), ("{\"a\":[1 , {}]}", "{\"a\":[1 , {}]}"), ("\"\\u00e9\"", "\"\\u00e9\"")]
        {
            assert_eq!(Scanner::new(text, 9).value(), Ok(value));
        }
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        assert_eq!(Scanner::new("[[1],[\"[[[\"]]", 2).value(), Ok("[[1],[\"[[[\"]]"));
        assert_eq!(Scanner::new("[[[]]]", 2).value(), Err(ScanError::Depth));
        assert_eq!(Scanner::new(&"[".repeat(1 << 20), 120).value(), Err(ScanError::Depth));
    }

    #[test]
    fn it_takes_what_serde_json_takes_on_purpose() {
        let texts = concat!(
            "| |0|-0|-|01|1.|.1|1.0e|1e5|1E+5|1e-|-1.5e-10|1a|+1|NaN|true|tru|nulll|\"\"|\"a|\"\\\"|\"\\x\"|\"\\u12\"|",
            "\"\\u12g4\"|\"\\ud800\"|\"\u{1}\"|\"\u{7f}\"|\"tab\t\"|[]|[1,]|[,1]|[1 2]|[|]|{}|{\"a\"}|{a:1}|{\"a\":1,}|",
            "{\"a\":1 \"b\":2}|{\"a\":1}}|{\"a\":{\"b\":[]}}|\u{feff}1|1\u{a0}|\u{b}1|{\"\\ud800\":1}|",
            "\"aaaaaaaa\\\"aaaaaaaé\u{2028}\"",
        );
        texts.split('|').for_each(agree);
    }

    #[test]
    fn it_takes_what_serde_json_takes_by_chance() {
        let seed =
            r#"{"a":[1,-2.5e3,true,null,"x\u00e9\n\\ 12345678901234567890"],"b":{"c":"é","d":{}},"e":0}"#;
        let alphabet: Vec<char> = "{}[]\",:\\u0e1.-+aé \n\u{1}tn".chars().collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % bound
        };
        for _ in 0..20_000 {
            let mut text: Vec<char> = seed.chars().collect();
            for _ in 0..=random(3) {
                if text.is_empty() {
                    break;
                }
                let at = random(text.len());
                match random(4) {
                    0 => drop(text.remove(at)),
                    1 => text.insert(at, alphabet[random(alphabet.len())]),
                    2 => text.truncate(at + 1),
                    _ => text[at] = alphabet[random(alphabet.len())],
                }
            }
            agree(&text.into_iter().collect::<String>());
        }
    }
}
