//! A strict scanner for JSON text: it finds values without building them, and counts how deep they nest.
//!
//! It takes exactly the texts that `serde_json` takes when it ignores a value; a test holds the two side by side. Every
//! byte of every request passes here, so its functions answer in registers: `None` stops the scan, and
//! [`Scanner::error`] then knows why.

use std::borrow::Cow;

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// Not JSON from this byte on.
    Syntax(usize),
    /// Arrays and objects nest deeper than allowed.
    Depth,
}

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

    /// Why the scan stopped.
    pub(crate) fn error(&self) -> ScanError {
        if self.depth > self.max_depth { ScanError::Depth } else { ScanError::Syntax(self.at) }
    }

    /// The next byte that is no white space; it is not taken.
    #[inline]
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
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => drop(self.string()?),
            b'{' => self.object()?,
            b'[' => self.array()?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return None,
        }
        Some(&self.text[start..self.at])
    }

    /// Enters an object; the next byte is its brace. False when it is empty, and then over.
    pub(crate) fn open(&mut self) -> Option<bool> {
        self.descend()?;
        if self.peek() == Some(b'}') {
            self.ascend();
            return Some(false);
        }
        Some(true)
    }

    /// The next key of an object as it stands between its quotes, and the colon behind it. True when something in
    /// the key is escaped.
    #[inline]
    pub(crate) fn key(&mut self) -> Option<(&'a str, bool)> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let key = &self.text[start..self.at - 1];
        self.colon()?;
        Some((key, escaped))
    }

    /// What follows a member: true for another one, false for the end of the object.
    #[inline]
    pub(crate) fn more(&mut self) -> Option<bool> {
        match self.peek()? {
            b',' => {
                self.at += 1;
                Some(true)
            }
            b'}' => {
                self.ascend();
                Some(false)
            }
            _ => None,
        }
    }

    /// Enters an array; the next byte is its bracket. False when it is empty, and then over.
    pub(crate) fn open_array(&mut self) -> Option<bool> {
        self.descend()?;
        if self.peek() == Some(b']') {
            self.ascend();
            return Some(false);
        }
        Some(true)
    }

    /// What follows a value of an array: true for another one, false for the end of the array.
    #[inline]
    pub(crate) fn more_values(&mut self) -> Option<bool> {
        match self.peek()? {
            b',' => {
                self.at += 1;
                Some(true)
            }
            b']' => {
                self.ascend();
                Some(false)
            }
            _ => None,
        }
    }

    /// The texts of an array's members, at most `most` of them; the next byte is its bracket.
    pub(crate) fn members(&mut self, most: usize) -> Option<Vec<&'a str>> {
        let mut members = Vec::new();
        self.descend()?;
        if self.peek() == Some(b']') {
            return Some(members);
        }
        while members.len() < most {
            members.push(self.value()?);
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        Some(members)
    }

    /// Fails unless only white space is left.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Takes an opening bracket.
    fn descend(&mut self) -> Option<()> {
        self.at += 1;
        self.depth += 1;
        (self.depth <= self.max_depth).then_some(())
    }

    /// Takes a closing bracket.
    fn ascend(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn object(&mut self) -> Option<()> {
        let mut more = self.open()?;
        while more {
            self.key()?;
            self.value()?;
            more = self.more()?;
        }
        Some(())
    }

    fn colon(&mut self) -> Option<()> {
        if self.peek() != Some(b':') {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn array(&mut self) -> Option<()> {
        let mut more = self.open_array()?;
        while more {
            self.value()?;
            more = self.more_values()?;
        }
        Some(())
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        Some(())
    }

    /// A string; the next byte is its opening quote. True when something in it is escaped.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let mut escaped = false;
        self.at += 1;
        loop {
            match self.plain()? {
                b'"' => {
                    self.at += 1;
                    return Some(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                // A control character.
                _ => return None,
            }
        }
    }

    /// Skips the plain bytes of a string, eight at a time; the quote, backslash or control character that ends them.
    #[inline]
    fn plain(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(chunk) = bytes[self.at..].first_chunk::<8>() {
            let found = special_bytes(u64::from_le_bytes(*chunk));
            if found != 0 {
                let index = found.trailing_zeros() as usize / 8;
                self.at += index;
                return Some(chunk[index]);
            }
            self.at += 8;
        }
        loop {
            match bytes.get(self.at)? {
                special @ (b'"' | b'\\' | 0..0x20) => return Some(*special),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let length = match rest.first()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 1,
            b'u' if rest.len() > 4 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => 5,
            _ => return None,
        };
        self.at += 1 + length;
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        if bytes[self.at] == b'-' {
            self.at += 1;
        }
        match bytes.get(self.at)? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
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
        Some(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }
}

/// Marks the quotes, backslashes and control characters among eight bytes, the first byte lowest. The lowest mark is
/// exact; those above it may be false.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = word ^ (ONES * b'\\' as u64);
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & (ONES << 7)
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
        scanner.value().and_then(|_| scanner.end()).is_some()
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
            assert_eq!(Scanner::new(text, 9).value(), Some(value));
        }
    }

    #[test]
    fn an_array_is_taken_apart() {
        let members = |text, most| {
            let mut scanner = Scanner::new(text, 9);
            assert_eq!(scanner.peek(), Some(b'['));
            scanner.members(most)
        };
        assert_eq!(members(" [ 1 , [2,3] ,{} ] ", 9), Some(vec!["1", "[2,3]", "{}"]));
        assert_eq!(members("[1,2,3,4]", 2), Some(vec!["1", "2"]));
        assert_eq!(members("[ ]", 2), Some(vec![]));
        assert_eq!(members("[1 2]", 9), None);
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        assert_eq!(Scanner::new("[[1],[\"[[[\"]]", 2).value(), Some("[[1],[\"[[[\"]]"));
        for text in ["[[[]]]", &"[".repeat(1 << 20)] {
            let mut scanner = Scanner::new(text, 2);
            assert_eq!((scanner.value(), scanner.error()), (None, ScanError::Depth));
        }
        let mut scanner = Scanner::new("[[1", 2);
        assert_eq!((scanner.value(), scanner.error()), (None, ScanError::Syntax(3)));
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
