//! Writing JSON text onto a buffer, one line each message.

use serde::Serialize;

/// Strings up to here are looked at before they are written.
const SHORT: usize = 128;
/// Room that most objects have enough of.
const OBJECT_BYTES: usize = 256;

/// Appends a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // Names and ids, which most strings are, go as they are.
    if text.len() <= SHORT && text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
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

/// Writes one JSON object, member by member.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Opens the object.
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, empty: true }
    }

    /// The place for the value of `key`, which has no character that needs escaping.
    pub(crate) fn place(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.reserve(key.len() + 4);
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A member that is a string.
    pub(crate) fn string(&mut self, key: &str, text: &str) {
        string(self.place(key), text);
    }

    /// A member that is a string, where there is one.
    pub(crate) fn maybe(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.string(key, text);
        }
    }

    /// A member that is JSON text already.
    pub(crate) fn raw(&mut self, key: &str, json: &str) {
        raw(self.place(key), json);
    }

    /// A member of any type that is always JSON, such as a `Value` or a structure of strings.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        let out = self.place(key);
        let start = out.len();
        serde_json::to_writer(&mut *out, value).expect("invariant: the caller passes what is always JSON");
        one_line(&mut out[start..]);
    }

    /// A member that is a whole number.
    pub(crate) fn number(&mut self, key: &str, number: u64) {
        let out = self.place(key);
        serde_json::to_writer(out, &number).expect("invariant: a number is always JSON");
    }

    /// Goes on with the value that was written last.
    pub(crate) fn extend(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// Closes the object.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }
}

/// The object that `write` fills, as text.
pub(crate) fn object(write: impl FnOnce(&mut Object<'_>)) -> String {
    object_of(OBJECT_BYTES, write)
}

/// The object that `write` fills, as text, with room for so many bytes from the start.
pub(crate) fn object_of(bytes: usize, write: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = Vec::with_capacity(bytes);
    let mut object = Object::open(&mut out);
    write(&mut object);
    object.close();
    String::from_utf8(out).expect("invariant: JSON text is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_written_member_by_member() {
        assert_eq!(object(|_| {}), "{}");
        let text = object(|object| {
            object.string("a", "x\"");
            object.maybe("b", None);
            object.raw("c", "[1,\n2]");
            object.value("d", &[true]);
            object.number("e", u64::MAX);
        });
        assert_eq!(text, r#"{"a":"x\"","c":[1, 2],"d":[true],"e":18446744073709551615}"#);
    }

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
        let long = format!("{}\u{1f}", "x".repeat(SHORT));
        for text in ["a\"b\n\u{2028}ü", "\\", "\u{0}", "plain", "ü", "", &long] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            assert!(!out.contains(&b'\n'));
        }
    }
}
