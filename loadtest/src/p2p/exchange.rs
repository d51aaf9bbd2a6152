//! One request over a stream and the check of its answer. `loadtest/peers/libp2p-tokio` compiles this same file, so that
//! both sides of a comparison send and accept the same bytes.

use serde_json::Value;

/// Digits of an id; fixed, so that every request has the same length.
const ID_DIGITS: usize = 10;
/// The smallest id.
pub const FIRST_ID: u64 = 1_000_000_000;
/// Largest answer that is still read.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;
const PREFIX_BYTES: usize = 4;

/// Frames of `tools/call echo` in 2026-07-28, each with an id of its own that also stands in its text, and what answers
/// them.
#[derive(Debug, Clone)]
pub struct Exchange {
    request: Holed,
    /// The last answer that was read in full.
    answer: Option<Holed>,
    next_id: u64,
}

/// Bytes that hold an id in some places.
#[derive(Debug, Clone)]
struct Holed {
    bytes: Vec<u8>,
    holes: Vec<usize>,
}

impl Holed {
    fn new(bytes: Vec<u8>, id: u64) -> Self {
        let digits = digits(id);
        let holes = (0..bytes.len().saturating_sub(ID_DIGITS - 1))
            .filter(|at| bytes[*at..].starts_with(&digits))
            .collect();
        Self { bytes, holes }
    }

    fn fill(&mut self, id: u64) -> &[u8] {
        let digits = digits(id);
        for at in &self.holes {
            self.bytes[*at..*at + ID_DIGITS].copy_from_slice(&digits);
        }
        &self.bytes
    }
}

fn digits(id: u64) -> [u8; ID_DIGITS] {
    let (mut digits, mut rest) = ([b'0'; ID_DIGITS], id);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

fn text(id: u64) -> String {
    format!("call {id}")
}

/// A frame: its length in four bytes, big-endian, and its bytes.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("invariant: what is sent here is short");
    [&length.to_be_bytes(), body].concat()
}

impl Exchange {
    /// Ids begin at `first_id`; those of two that run at once must not meet.
    #[must_use]
    pub fn new(first_id: u64) -> Self {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{first_id},"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#,
            text(first_id)
        );
        Self { request: Holed::new(frame(body.as_bytes()), first_id), answer: None, next_id: first_id }
    }

    /// The next request as a frame, and its id.
    pub fn next_request(&mut self) -> (u64, &[u8]) {
        let id = self.next_id;
        self.next_id += 1;
        (id, self.request.fill(id))
    }

    /// Whether `body`, the answer's frame without its length, answers the request `id`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, id: u64, body: &[u8]) -> Result<(), String> {
        if let Some(answer) = &mut self.answer
            && answer.fill(id) == body
        {
            return Ok(());
        }
        let json: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
        let content = serde_json::json!([{ "type": "text", "text": text(id) }]);
        if json["jsonrpc"] != "2.0" || json["id"] != id || json["result"]["content"] != content {
            let shown = String::from_utf8_lossy(&body[..body.len().min(300)]);
            return Err(format!("not the answer to {id}: {shown}"));
        }
        self.answer = Some(Holed::new(body.to_vec(), id));
        Ok(())
    }

    /// The length of a request with its prefix, in bytes.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        self.request.bytes.len()
    }

    /// The length of the last answer that was read in full, with its prefix; 0 before the first.
    #[must_use]
    pub fn answer_bytes(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.bytes.len() + PREFIX_BYTES)
    }
}

/// The length of the frame that begins with these four bytes.
///
/// # Errors
/// It is longer than an answer may be.
pub fn frame_length(prefix: [u8; PREFIX_BYTES]) -> Result<usize, String> {
    let length = u32::from_be_bytes(prefix) as usize;
    if length > MAX_ANSWER_BYTES { Err(format!("a frame of {length} bytes")) } else { Ok(length) }
}

/// An answer to any request of an [`Exchange`], as a frame of `answer_bytes` or of the smallest length that one can have.
#[must_use]
pub fn canned_answer(answer_bytes: usize) -> Vec<u8> {
    let with = |filler: usize| {
        let filler = "x".repeat(filler);
        let text = text(FIRST_ID);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{FIRST_ID},"result":{{"content":[{{"type":"text","text":"{text}"}}],"resultType":"complete","filler":"{filler}"}}}}"#
        );
        frame(body.as_bytes())
    };
    with(answer_bytes.saturating_sub(with(0).len()))
}

/// The answers of a server that only copies an id from the request into bytes that are always the same.
#[derive(Debug, Clone)]
pub struct Canned(Holed);

impl Canned {
    /// Answers of so many bytes.
    #[must_use]
    pub fn new(answer_bytes: usize) -> Self {
        Self(Holed::new(canned_answer(answer_bytes), FIRST_ID))
    }

    /// The frame that answers a request, whose id stands where [`Exchange`] puts it.
    pub fn answer(&mut self, request: &[u8]) -> Option<&[u8]> {
        let at = br#"{"jsonrpc":"2.0","id":"#.len();
        let digits = std::str::from_utf8(request.get(at..at + ID_DIGITS)?).ok()?;
        Some(self.0.fill(digits.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_answer_is_right_and_a_neighbours_is_not() {
        let mut exchange = Exchange::new(FIRST_ID + 5);
        let mut canned = Canned::new(300);
        for _ in 0..3 {
            let (id, request) = exchange.next_request();
            let length = frame_length(request[..4].try_into().unwrap()).unwrap();
            assert_eq!(length, request.len() - 4);
            let json: Value = serde_json::from_slice(&request[4..]).unwrap();
            assert_eq!(json["id"], id);
            assert_eq!(json["params"]["arguments"]["message"], text(id));
            let answer = canned.answer(&request[4..]).unwrap()[4..].to_vec();
            assert_eq!(exchange.check(id, &answer), Ok(()));
            assert!(exchange.check(id + 1, &answer).unwrap_err().contains("not the answer"));
            assert_eq!(exchange.answer_bytes(), 300);
        }
        assert!(frame_length([255; 4]).is_err());
    }
}
