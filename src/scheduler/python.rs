//! JSON text as Python's `json.dumps` writes it, because peers compare digests of it.

/// Appends a string in quotes, with everything but printable ASCII escaped.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            _ => escape(out, character),
        }
    }
    out.push('"');
}

/// One `\uXXXX`, or the two of a surrogate pair.
fn escape(out: &mut String, character: char) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for unit in character.encode_utf16(&mut [0; 2]) {
        out.push_str("\\u");
        for shift in [12, 8, 4, 0] {
            out.push(char::from(DIGITS[usize::from(*unit >> shift) & 15]));
        }
    }
}

/// The bytes that [`string`] appends for this text.
pub(super) fn string_bytes(text: &str) -> usize {
    let bytes = |character| match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        ' '..='~' => 1,
        other => 6 * other.len_utf16(),
    };
    2 + text.chars().map(bytes).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped_as_python_escapes_it() {
        let text = "a\"\\/\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}é机😀~";
        let mut out = String::new();
        string(&mut out, text);
        assert_eq!(out, r#""a\"\\/\n\r\t\b\f\u0000\u001f\u007f\u00e9\u673a\ud83d\ude00~""#);
        assert_eq!(string_bytes(text), out.len());
    }
}
