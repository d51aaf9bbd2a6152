//! Writing JSON text onto a buffer, one line each message.

use serde::Serialize;

/// Appends a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("invariant: a str is always JSON and a Vec takes every byte");
}

/// Appends JSON text on one line: between tokens a line break may stand for a space, inside strings none can occur.
pub(crate) fn raw(out: &mut Vec<u8>, json: &str) {
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    one_line(&mut out[start..]);
}

/// The value as JSON text on one line.
pub(crate) fn line<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = serde_json::to_vec(value)?;
    // A value may carry raw JSON, which may carry line breaks.
    one_line(&mut bytes);
    Ok(String::from_utf8(bytes).expect("invariant: serde_json writes UTF-8"))
}

fn one_line(json: &mut [u8]) {
    if memchr::memchr2(b'\n', b'\r', json).is_none() {
        return;
    }
    for byte in json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_json_ends_up_on_one_line() {
        let mut out = Vec::new();
        raw(&mut out, "{\r\n \"a\": \"x\\ny\"\n}");
        assert_eq!(out, b"{   \"a\": \"x\\ny\" }");
        let value = serde_json::value::RawValue::from_string("[1,\n2]".to_owned()).unwrap();
        assert_eq!(line(&value).unwrap(), "[1, 2]");
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = Vec::new();
        string(&mut out, "a\"b\n\u{2028}ü");
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), "a\"b\n\u{2028}ü");
        assert!(!out.contains(&b'\n'));
    }
}
