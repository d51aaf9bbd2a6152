//! The answer reader: an accumulation buffer and a small state machine over it.

use super::fault::ResponseFault;
use super::head::{self, AnswerHead, Framing};
use crate::http::HttpLimits;
use crate::http::chunked::{Cursor, Decoder};
use crate::http::scan::{Found, Scan};

/// Interim answers (1xx) before the real one; more are refused.
const MAX_INTERIM: u32 = 16;
/// The decoder computes with the limit; a stream has none that anybody could reach.
const NO_BODY_LIMIT: u64 = 1 << 56;

/// What was asked, as far as it says whether the answer can have a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// HEAD: the answer has no body.
    Head,
    /// Anything else.
    Other,
}

/// What a reader has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Feed more bytes, or say that the connection has ended.
    More,
    /// Once: [`ResponseReader::head`] has the head.
    Head,
    /// [`ResponseReader::take_data`] has more of the body.
    Data,
    /// The answer is complete.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Body(Framing),
    End,
}

/// Reads one answer from the bytes of one connection, however they are cut. Its work is linear in the bytes fed.
#[derive(Debug)]
pub struct ResponseReader {
    asked: Asked,
    limits: HttpLimits,
    /// What of the body is allowed; without bound once it is a stream.
    max_body: u64,
    buffer: Vec<u8>,
    scan: Scan,
    interim: u32,
    stage: Stage,
    head: Option<AnswerHead>,
    decoder: Decoder,
    data: Vec<u8>,
    /// Bytes of body so far.
    body_bytes: u64,
    /// Any byte has been fed.
    started: bool,
}

impl ResponseReader {
    /// A reader for the answer to one request. The body may have `limits.body_bytes`.
    pub fn new(asked: Asked, limits: HttpLimits) -> Self {
        Self {
            asked,
            limits,
            max_body: limits.body_bytes as u64,
            buffer: Vec::new(),
            scan: Scan::default(),
            interim: 0,
            stage: Stage::Head,
            head: None,
            decoder: Decoder::default(),
            data: Vec::new(),
            body_bytes: 0,
            started: false,
        }
    }

    /// Takes bytes from the connection. Call [`Self::poll`] until it asks for more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.started |= !bytes.is_empty();
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether anything of an answer has been seen.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// The head, once [`Step::Head`] was returned.
    pub fn head(&self) -> Option<&AnswerHead> {
        self.head.as_ref()
    }

    /// The body is a stream: its length is not limited. To be called right after [`Step::Head`].
    pub fn expect_stream(&mut self) {
        self.max_body = NO_BODY_LIMIT;
    }

    /// What of the body has come since the last call. Take it at each [`Step::Data`], before the next poll.
    pub fn take_data(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.data)
    }

    /// Whether the connection may carry the next request: the answer is complete, says so, and nothing follows it.
    pub fn is_reusable(&self) -> bool {
        let keeps = self.head.as_ref().is_some_and(|head| head.keep_alive);
        self.stage == Stage::End && keeps && self.buffer.is_empty()
    }

    /// Goes on with the bytes that were fed.
    ///
    /// # Errors
    /// [`ResponseFault`]; the reader is of no use afterwards.
    pub fn poll(&mut self) -> Result<Step, ResponseFault> {
        match self.stage {
            Stage::Head => self.poll_head(),
            Stage::Body(framing) => self.poll_body(framing),
            Stage::End => Ok(Step::End),
        }
    }

    /// The connection has ended: the end of a body that nothing else delimits, and a fault anywhere else.
    ///
    /// # Errors
    /// [`ResponseFault::Truncated`].
    pub fn end_of_input(&mut self) -> Result<Step, ResponseFault> {
        match self.stage {
            Stage::End | Stage::Body(Framing::UntilClose) => {
                self.stage = Stage::End;
                Ok(Step::End)
            }
            _ => Err(ResponseFault::Truncated),
        }
    }

    fn poll_head(&mut self) -> Result<Step, ResponseFault> {
        loop {
            let end = match self.scan.advance(&self.buffer) {
                Found::More if self.buffer.len() <= self.limits.head_bytes => return Ok(Step::More),
                Found::End(end) if end <= self.limits.head_bytes => end,
                Found::More | Found::End(_) => {
                    let max = self.limits.head_bytes as u64;
                    return Err(ResponseFault::TooLarge { limit: "max_head_bytes", max });
                }
                Found::BareLf | Found::BareCr => {
                    return Err(ResponseFault::malformed("a line of the answer's head must end in CRLF"));
                }
                Found::EmptyLine | Found::BadStart => {
                    let what = "the answer is not HTTP/1.1: it must start with a status line";
                    return Err(ResponseFault::malformed(what));
                }
            };
            let (head, framing) = head::parse(&self.buffer[..end], self.asked, &self.limits)?;
            self.buffer.drain(..end);
            self.scan = Scan::default();
            match head.status {
                101 => {
                    let what = "the answer switches protocols, which was not asked for";
                    return Err(ResponseFault::Unsupported(what.to_owned()));
                }
                100..=199 => self.skip_interim()?,
                _ => {
                    self.head = Some(head);
                    self.stage = Stage::Body(framing);
                    return Ok(Step::Head);
                }
            }
        }
    }

    fn skip_interim(&mut self) -> Result<(), ResponseFault> {
        self.interim += 1;
        if self.interim > MAX_INTERIM {
            let what = format!("more than {MAX_INTERIM} interim answers came before the real one");
            return Err(ResponseFault::malformed(what));
        }
        Ok(())
    }

    fn poll_body(&mut self, framing: Framing) -> Result<Step, ResponseFault> {
        let before = self.data.len();
        let done = match framing {
            Framing::None => true,
            Framing::Length(length) => self.take_counted(length)?,
            Framing::Chunked => self.take_chunks()?,
            Framing::UntilClose => {
                self.data.append(&mut self.buffer);
                false
            }
        };
        self.body_bytes += (self.data.len() - before) as u64;
        if self.body_bytes > self.max_body {
            return Err(self.too_large());
        }
        // Data is handed over before the end is told.
        if !self.data.is_empty() {
            return Ok(Step::Data);
        }
        if done {
            self.stage = Stage::End;
            return Ok(Step::End);
        }
        Ok(Step::More)
    }

    fn take_counted(&mut self, length: u64) -> Result<bool, ResponseFault> {
        if length > self.max_body {
            return Err(self.too_large());
        }
        let left = length - self.body_bytes;
        let taken = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.data.extend(self.buffer.drain(..taken));
        Ok(taken as u64 == left)
    }

    fn take_chunks(&mut self) -> Result<bool, ResponseFault> {
        let left = self.max_body - self.body_bytes;
        let limits = HttpLimits { body_bytes: usize::try_from(left).unwrap_or(usize::MAX), ..self.limits };
        let mut at = Cursor::default();
        let done = self.decoder.decode(&mut self.buffer, &mut at, &limits);
        let done = done.map_err(|reject| ResponseFault::of_chunks(&reject, self.max_body))?;
        self.data.extend_from_slice(&self.buffer[..at.write]);
        self.buffer.drain(..at.read);
        Ok(done)
    }

    fn too_large(&self) -> ResponseFault {
        ResponseFault::TooLarge { limit: "max_body_bytes", max: self.max_body }
    }
}
