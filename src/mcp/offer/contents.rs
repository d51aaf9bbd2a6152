//! What reading a resource yields.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::mcp::message::era::Revision;
use crate::mcp::message::json::Object;

/// The contents of a resource, or of one of several that a read yields.
///
/// A `String` or `&str` becomes a text, a `Vec<u8>` becomes bytes, a `Vec<Contents>` several; see [`IntoContents`].
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    pub(crate) body: Body,
    /// Without one, the URI that was asked for.
    pub(crate) uri: Option<String>,
    /// Without one, the type that the resource was registered with.
    pub(crate) mime_type: Option<String>,
    pub(crate) meta: Option<Map<String, Value>>,
}

/// What contents are made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Text(Cow<'static, str>),
    Bytes(Vec<u8>),
}

impl Contents {
    /// A text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Contents {
        Contents::new(Body::Text(text.into()))
    }

    /// Bytes; they travel in Base64.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Contents {
        Contents::new(Body::Bytes(bytes.into()))
    }

    fn new(body: Body) -> Contents {
        Contents { body, uri: None, mime_type: None, meta: None }
    }

    /// The MIME type, where it is not the one that the resource was registered with.
    #[must_use]
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Contents {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// The URI, where it is not the one that was asked for, such as that of a file in a directory that was read.
    #[must_use]
    pub fn uri(mut self, uri: impl Into<String>) -> Contents {
        self.uri = Some(uri.into());
        self
    }

    /// Adds an entry to the contents' `_meta`, which clients of 2025-06-18 and later get.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Contents {
        self.meta.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    /// Appends the contents as JSON, with what the resource says where they say nothing themselves.
    pub(crate) fn write(&self, out: &mut Vec<u8>, revision: Revision, uri: &str, mime_type: Option<&str>) {
        let mut object = Object::open(out);
        object.string("uri", self.uri.as_deref().unwrap_or(uri));
        object.maybe("mimeType", self.mime_type.as_deref().or(mime_type));
        match &self.body {
            Body::Text(text) => object.string("text", text),
            Body::Bytes(bytes) => {
                let out = object.place("blob");
                out.push(b'"');
                let start = out.len();
                out.resize(start + bytes.len().div_ceil(3) * 4, 0);
                let written = STANDARD.encode_slice(bytes, &mut out[start..]);
                written.expect("invariant: the place was made for just this many");
                out.push(b'"');
            }
        }
        if let Some(meta) = self.meta.as_ref().filter(|_| revision >= Revision::V2025_06_18) {
            object.value("_meta", meta);
        }
        object.close();
    }
}

/// What a resource's handler may return.
pub trait IntoContents {
    /// The contents to send, in order. None at all means that the resource exists and is empty; for one that does not
    /// exist return [`CallError::resource_not_found`](crate::mcp::CallError::resource_not_found).
    fn into_contents(self) -> Vec<Contents>;
}

impl IntoContents for Contents {
    fn into_contents(self) -> Vec<Contents> {
        vec![self]
    }
}

impl IntoContents for Vec<Contents> {
    fn into_contents(self) -> Vec<Contents> {
        self
    }
}

impl IntoContents for String {
    fn into_contents(self) -> Vec<Contents> {
        vec![Contents::text(self)]
    }
}

impl IntoContents for &'static str {
    fn into_contents(self) -> Vec<Contents> {
        vec![Contents::text(self)]
    }
}

impl IntoContents for Vec<u8> {
    fn into_contents(self) -> Vec<Contents> {
        vec![Contents::bytes(self)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(contents: &Contents, revision: Revision, mime_type: Option<&str>) -> Value {
        let mut out = Vec::new();
        contents.write(&mut out, revision, "test://asked", mime_type);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn what_contents_do_not_say_the_resource_says() {
        let plain = written(&Contents::text("a\"b"), Revision::V2026_07_28, Some("text/plain"));
        assert_eq!(plain, json!({"uri": "test://asked", "mimeType": "text/plain", "text": "a\"b"}));
        let own = Contents::bytes([0, 1, 2, 255]).uri("test://own").mime_type("a/b").meta("k", 1);
        let expected = json!({"uri": "test://own", "mimeType": "a/b", "blob": "AAEC/w==", "_meta": {"k": 1}});
        assert_eq!(written(&own, Revision::V2025_06_18, Some("text/plain")), expected);
        assert_eq!(
            written(&Contents::text(""), Revision::V2025_11_25, None),
            json!({"uri": "test://asked", "text": ""})
        );
    }

    #[test]
    fn plain_values_become_contents() {
        assert_eq!("a".into_contents(), [Contents::text("a")]);
        assert_eq!(String::from("a").into_contents(), [Contents::text("a")]);
        assert_eq!(vec![1_u8].into_contents(), [Contents::bytes([1])]);
        assert_eq!(vec![Contents::text("a"), Contents::text("b")].into_contents().len(), 2);
    }
}
