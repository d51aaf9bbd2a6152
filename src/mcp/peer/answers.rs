//! How an answer leaves: within the frame that the peer reads, and in the words that old peers know.

use std::borrow::Cow;

use serde_json::Value;

use crate::mcp::message::answer::{Label, write_error};
use crate::mcp::message::errors::ErrorKind;
use crate::mcp::message::json;
use crate::mcp::peer::options::PeerOptions;

/// What a peer can read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerForm {
    pub(super) is_old: bool,
    max_bytes: usize,
}

impl AnswerForm {
    pub(super) fn new(is_old: bool, options: &PeerOptions) -> AnswerForm {
        let max_bytes = if is_old { options.max_old_answer_bytes } else { options.max_answer_bytes };
        AnswerForm { is_old, max_bytes }
    }

    /// Whether the peer may be told of more than its answers.
    pub(crate) fn takes_events(self) -> bool {
        !self.is_old
    }

    /// Brings the answer that was written to `out` from `start` on into the peer's form; what to count. `id` is the
    /// request's as JSON text, `None` for a batch.
    pub(crate) fn finish(self, out: &mut Vec<u8>, start: usize, id: Option<&str>, label: Label) -> Label {
        if self.is_old
            && let Some((code, word)) = label.error.and_then(old_error)
        {
            rewrite(out, start, id, code, word);
        }
        let bytes = out.len() - start;
        if bytes <= self.max_bytes {
            return label;
        }
        out.truncate(start);
        let kind = ErrorKind::FrameTooLarge;
        let max = self.max_bytes;
        let message = format!(
            "The answer would have {bytes} bytes, and a frame to this peer has at most {max}; ask for less at once"
        );
        write_error(out, id, kind.code(None), &message, None);
        Label { error: Some(kind), ..label }
    }
}

/// The code and the word under which old peers know a failure; `None` where the answer stays as it is.
fn old_error(kind: ErrorKind) -> Option<(i32, &'static str)> {
    match kind {
        ErrorKind::UnknownTool => Some((-32002, "unknown_tool")),
        ErrorKind::MethodNotFound => Some((-32601, "method_not_found")),
        _ if kind.info().code == Some(-32602) => Some((-32602, "invalid_params")),
        _ => None,
    }
}

/// Puts an old peer's error in the place of the one that was written; its sentence becomes the detail.
fn rewrite(out: &mut Vec<u8>, start: usize, id: Option<&str>, code: i32, word: &str) {
    let answer: Value = serde_json::from_slice(&out[start..]).unwrap_or_default();
    out.truncate(start);
    write_old_error(out, id, code, word, answer["error"]["message"].as_str());
}

/// Appends an error as old peers know it, with null where there is no id.
pub(super) fn write_old_error(
    out: &mut Vec<u8>,
    id: Option<&str>,
    code: i32,
    word: &str,
    detail: Option<&str>,
) {
    let data = detail.map(|detail| {
        let mut data = br#"{"detail":"#.to_vec();
        json::string(&mut data, detail);
        data.push(b'}');
        data
    });
    let data = data.as_deref().map(String::from_utf8_lossy);
    let id: Cow<'_, str> = id.unwrap_or("null").into();
    write_error(out, Some(&id), code, word, data.as_deref());
}
