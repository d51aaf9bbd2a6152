//! Reads the head of one answer: httparse for the grammar, then how long the body is (RFC 9112, 6.3).

use std::fmt;

use super::fault::ResponseFault;
use super::reader::Asked;
use crate::http::HttpLimits;

/// The head of an answer. Header values are kept as sent, without white space around them.
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// The status, from 100 to 599.
    pub status: u16,
    /// True for HTTP/1.0.
    pub http_1_0: bool,
    /// The body's length, where the head says it.
    pub content_length: Option<u64>,
    /// Whether the connection may carry another request after this answer.
    pub keep_alive: bool,
    fields: Vec<(String, Vec<u8>)>,
}

/// How the body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

impl AnswerHead {
    /// The first field of this name, whatever its case.
    pub fn find(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The first field of this name, where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.find(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Every field of this name, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let same = move |(known, _): &&(String, Vec<u8>)| known.eq_ignore_ascii_case(name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_slice())
    }

    /// The tokens of a list field, in lower case.
    fn tokens(&self, name: &str) -> Vec<String> {
        let elements = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        let words = elements.map(|word| String::from_utf8_lossy(word.trim_ascii()).to_ascii_lowercase());
        words.filter(|word| !word.is_empty()).collect()
    }
}

impl fmt::Debug for AnswerHead {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.status)?;
        f.debug_list().entries(self.fields.iter().map(|(name, _)| name)).finish()
    }
}

/// Reads `bytes`, which end with the head's empty line.
pub(super) fn parse(
    bytes: &[u8],
    asked: Asked,
    limits: &HttpLimits,
) -> Result<(AnswerHead, Framing), ResponseFault> {
    let mut slots = vec![httparse::EMPTY_HEADER; limits.headers];
    let mut response = httparse::Response::new(&mut slots);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(ResponseFault::TooLarge { limit: "max_headers", max: limits.headers as u64 });
        }
        Ok(_) => return Err(ResponseFault::malformed("the head of the answer ends too early")),
        Err(error) => return Err(ResponseFault::malformed(format!("the head of the answer: {error}"))),
    }
    let (Some(version), Some(status)) = (response.version, response.code) else {
        return Err(ResponseFault::malformed("the answer has no status line"));
    };
    if !(100..=599).contains(&status) {
        return Err(ResponseFault::malformed(format!("the status is {status}; it must be from 100 to 599")));
    }
    let field = |header: &httparse::Header<'_>| (header.name.to_owned(), header.value.trim_ascii().to_vec());
    let fields = response.headers.iter().map(field).collect();
    let mut head =
        AnswerHead { status, http_1_0: version == 0, content_length: None, keep_alive: false, fields };
    let framing = frame(&mut head, asked)?;
    let closes = head.tokens("connection").iter().any(|token| token == "close");
    head.keep_alive = !head.http_1_0 && !closes && framing != Framing::UntilClose;
    Ok((head, framing))
}

fn frame(head: &mut AnswerHead, asked: Asked) -> Result<Framing, ResponseFault> {
    head.content_length = content_length(head)?;
    let codings = head.tokens("transfer-encoding");
    if matches!(head.status, 100..=199 | 204 | 304) || asked == Asked::Head {
        return Ok(Framing::None);
    }
    match head.tokens("content-encoding").iter().find(|coding| *coding != "identity") {
        Some(coding) => {
            let what = format!("the answer has Content-Encoding {coding:?}, which was not asked for");
            return Err(ResponseFault::Unsupported(what));
        }
        None if codings.is_empty() => {}
        None if head.content_length.is_some() => {
            let what = "Content-Length and Transfer-Encoding must not be sent together";
            return Err(ResponseFault::malformed(what));
        }
        None if head.http_1_0 => {
            return Err(ResponseFault::malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        None if codings == ["chunked"] => return Ok(Framing::Chunked),
        None => {
            let what = format!(
                "the answer has Transfer-Encoding {codings:?}; the only one that is understood is chunked"
            );
            return Err(ResponseFault::Unsupported(what));
        }
    }
    Ok(head.content_length.map_or(Framing::UntilClose, Framing::Length))
}

/// The one value of Content-Length; equal values may be repeated (RFC 9112, 6.3).
fn content_length(head: &AnswerHead) -> Result<Option<u64>, ResponseFault> {
    let mut length = None;
    for value in head.all("content-length").flat_map(|value| value.split(|byte| *byte == b',')) {
        let digits = value.trim_ascii();
        let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
        let all_digits = digits.iter().all(u8::is_ascii_digit);
        match (number, length) {
            (Some(number), None) if all_digits => length = Some(number),
            (Some(number), Some(known)) if all_digits && number == known => {}
            _ => return Err(ResponseFault::malformed("Content-Length must be one decimal number")),
        }
    }
    Ok(length)
}
