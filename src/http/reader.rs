//! The request reader: an accumulation buffer and a small state machine over it.

use super::buffers;
use super::chunked::{Cursor, Decoder};
use super::fields::{Fields, Known};
use super::framing::Framing;
use super::head::{self, Head};
use super::reject::Reject;
use super::request::{Method, Request};
use super::scan::{Found, Scan};
use crate::limits::{Limit, Limits};

/// A buffer that has grown past this is given back with the request it grew for.
const MAX_KEPT_BYTES: usize = 64 << 10;

/// The limits that a reader enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Bytes of a request head, its empty line among them; also of the trailers of a chunked body.
    pub head_bytes: usize,
    /// Header fields of one request, at most 256.
    pub headers: usize,
    /// Bytes of a body, decoded.
    pub body_bytes: usize,
}

impl From<&Limits> for HttpLimits {
    fn from(limits: &Limits) -> Self {
        let size = |limit| usize::try_from(limits.value(limit)).unwrap_or(usize::MAX);
        HttpLimits {
            head_bytes: size(Limit::HeadBytes),
            headers: size(Limit::Headers),
            body_bytes: size(Limit::BodyBytes),
        }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits::from(&Limits::default())
    }
}

/// How far the reader has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// More bytes of a head are needed. `started` is false between requests: the connection is idle.
    NeedHead {
        /// True once a byte of the head has arrived.
        started: bool,
    },
    /// The head is complete, more bytes of the body are needed.
    NeedBody {
        /// True once, when the client waits for [`super::CONTINUE`] and has sent nothing of the body.
        expect_continue: bool,
    },
    /// [`RequestReader::request`] has the request.
    Ready,
    /// The request is refused. With `close` unset its end is known: answer, call [`RequestReader::consume`] and go on.
    /// With `close` set the reader takes nothing more.
    Reject(Reject),
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Stage {
    #[default]
    Head,
    Body,
    /// The request is complete; it is refused if there is a reason.
    Complete(Option<Box<Reject>>),
    /// The connection has no more requests.
    Dead(Box<Reject>),
}

/// Reads requests from the bytes of one connection, however they are cut.
///
/// It does work linear in the bytes fed. While it holds no bytes it holds no buffer.
#[derive(Debug)]
pub struct RequestReader {
    limits: HttpLimits,
    buffer: Vec<u8>,
    /// Where the current request starts in `buffer`; offsets below are relative to it.
    start: usize,
    stage: Stage,
    scan: Scan,
    /// The one empty line that is allowed before a request has been skipped.
    skipped_line: bool,
    head: Head,
    head_bytes: usize,
    decoder: Decoder,
    /// Reading and writing positions in the body.
    body: Cursor,
    /// The caller has been told whether the client waits for `100 Continue`.
    announced: bool,
    joined_accept: Vec<u8>,
    /// Bytes looked at or moved, of all requests together.
    work: u64,
}

impl RequestReader {
    /// A reader for one connection.
    pub fn new(limits: HttpLimits) -> Self {
        RequestReader {
            limits,
            buffer: Vec::new(),
            start: 0,
            stage: Stage::Head,
            scan: Scan::default(),
            skipped_line: false,
            head: Head::default(),
            head_bytes: 0,
            decoder: Decoder::default(),
            body: Cursor::default(),
            announced: false,
            joined_accept: Vec::new(),
            work: 0,
        }
    }

    /// Takes bytes from the connection. Call [`Self::poll`] afterwards.
    pub fn feed(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || matches!(self.stage, Stage::Dead(_)) {
            return;
        }
        if self.buffer.capacity() == 0 {
            self.buffer = buffers::take();
        }
        let grows = self.buffer.len() + bytes.len() > self.buffer.capacity();
        // Moving is paid for by the requests that were consumed: at least as many bytes.
        if grows && self.start > self.buffer.len() / 2 {
            self.work += self.buffered() as u64;
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes held: of the current request and of what follows it.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Bytes held that belong to requests after the one that is ready; 0 while none is.
    pub fn read_ahead(&self) -> usize {
        match self.stage {
            Stage::Complete(_) => self.buffered() - self.head_bytes - self.body.read,
            _ => 0,
        }
    }

    /// Bytes of memory held, for a budget of the process.
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity() + self.joined_accept.capacity()
    }

    /// Bytes looked at or moved so far: at most a small multiple of the bytes fed, however they were cut.
    #[doc(hidden)]
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Goes as far as the bytes allow.
    pub fn poll(&mut self) -> Progress {
        loop {
            let step = match &self.stage {
                Stage::Head => self.poll_head(),
                Stage::Body => self.poll_body(),
                Stage::Complete(None) => return Progress::Ready,
                Stage::Complete(Some(reject)) | Stage::Dead(reject) => {
                    return Progress::Reject((**reject).clone());
                }
            };
            match step {
                Ok(Some(progress)) => return progress,
                Ok(None) => {}
                Err(reject) => self.die(reject),
            }
        }
    }

    /// The request that [`Self::poll`] called ready.
    ///
    /// # Panics
    /// When no request is ready.
    pub fn request(&self) -> Request<'_> {
        assert!(matches!(self.stage, Stage::Complete(None)), "request() needs Progress::Ready");
        let bytes = &self.buffer[self.start..];
        let (head, body) = bytes.split_at(self.head_bytes);
        let (target, path, query) = self.head.target.text(head);
        Request {
            method: self.head.method,
            target,
            path,
            query,
            http_1_0: self.head.http_1_0,
            keep_alive: self.head.keep_alive,
            fields: Fields::new(head, self.head.lines_start as usize, &self.head.picked, &self.joined_accept),
            body: &body[..self.body.write],
        }
    }

    /// Drops the request that was ready, or refused without closing. The bytes after it stay.
    pub fn consume(&mut self) {
        if !matches!(self.stage, Stage::Complete(_)) {
            return;
        }
        self.start += self.head_bytes + self.body.read;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        if self.buffer.capacity() > MAX_KEPT_BYTES && self.buffered() <= MAX_KEPT_BYTES / 2 {
            let mut smaller = buffers::take();
            smaller.extend_from_slice(&self.buffer[self.start..]);
            self.start = 0;
            self.buffer = smaller;
        }
        self.stage = Stage::Head;
        self.scan = Scan::default();
        self.skipped_line = false;
        self.head_bytes = 0;
        self.body = Cursor::default();
        self.announced = false;
        self.joined_accept = Vec::new();
    }

    fn poll_head(&mut self) -> Result<Option<Progress>, Reject> {
        if !self.skipped_line && self.buffer[self.start..].starts_with(b"\r\n") {
            self.skipped_line = true;
            self.start += 2;
        }
        if self.buffered() == 0 {
            self.release();
            return Ok(Some(Progress::NeedHead { started: false }));
        }
        let end = self.buffer.len().min(self.start + self.limits.head_bytes);
        let window = &self.buffer[self.start..end];
        let seen = self.scan.seen();
        let found = self.scan.advance(window);
        self.work += 1 + (self.scan.seen() - seen) as u64;
        match found {
            Found::End(head_bytes) => {
                self.work += head_bytes as u64;
                self.head_bytes = head_bytes;
                head::parse(&window[..head_bytes], &self.limits, &mut self.head)?;
                self.begin_body()?;
                Ok(None)
            }
            Found::More if window.len() == self.limits.head_bytes => Err(self.head_too_large()),
            Found::More => Ok(Some(Progress::NeedHead { started: true })),
            found => Err(refuse_line(found)),
        }
    }

    /// The head is read. A fault in it is answered after the body, or at once where the client waits to be asked for it.
    fn begin_body(&mut self) -> Result<(), Reject> {
        if self.head.several_accepts {
            self.join_accepts();
        }
        let Some(fault) = self.head.fault else {
            self.stage = Stage::Body;
            return Ok(());
        };
        let body_in_doubt =
            self.head.framing != Framing::Length(0) && self.head.picked.span(Known::Expect).is_set();
        if body_in_doubt || !self.head.keep_alive || self.head.http_1_0 {
            return Err(self.refusal(fault).closing());
        }
        self.stage = Stage::Body;
        Ok(())
    }

    fn poll_body(&mut self) -> Result<Option<Progress>, Reject> {
        let body_start = self.start + self.head_bytes;
        let arrived = self.buffer.len() - body_start;
        let complete = match self.head.framing {
            Framing::Length(length) => {
                let complete = arrived >= length;
                if complete {
                    self.body = Cursor { read: length, write: length };
                }
                complete
            }
            Framing::Chunked => {
                let seen = self.body.read;
                let complete =
                    self.decoder.decode(&mut self.buffer[body_start..], &mut self.body, &self.limits)?;
                self.work += (self.body.read - seen) as u64;
                if !complete {
                    // All raw bytes are read; only the data is worth keeping.
                    self.buffer.truncate(body_start + self.body.write);
                    self.body.read = self.body.write;
                }
                complete
            }
        };
        if complete {
            self.decoder = Decoder::default();
            self.stage = Stage::Complete(self.head.fault.map(|fault| Box::new(self.refusal(fault))));
            return Ok(None);
        }
        let first = !std::mem::replace(&mut self.announced, true);
        let expect_continue = first && self.head.expect_continue && arrived == 0;
        Ok(Some(Progress::NeedBody { expect_continue }))
    }

    fn refusal(&self, fault: head::Fault) -> Reject {
        Reject { head_only: self.head.method == Method::Head, ..head::refuse_fault(fault) }
    }

    /// Several Accept fields mean what one with commas means.
    fn join_accepts(&mut self) {
        let head = &self.buffer[self.start..self.start + self.head_bytes];
        let fields = Fields::new(head, self.head.lines_start as usize, &self.head.picked, b"");
        let accepts = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept"));
        self.joined_accept = accepts.map(|(_, value)| value).collect::<Vec<_>>().join(&b", "[..]);
    }

    fn head_too_large(&self) -> Reject {
        let max = self.limits.head_bytes as u64;
        let name = Limit::HeadBytes.name();
        let reject = if self.scan.past_request_line() {
            Reject::new(
                431,
                "head_too_large",
                format!("the request head is larger than {max} bytes ({name})"),
            )
        } else {
            Reject::new(
                414,
                "target_too_long",
                format!("the request line is longer than {max} bytes ({name})"),
            )
        };
        reject.limited(Limit::HeadBytes, max).closing()
    }

    fn die(&mut self, reject: Reject) {
        self.stage = Stage::Dead(Box::new(reject));
        self.start = 0;
        self.buffer.clear();
        self.release();
    }

    /// Gives the buffer back while it holds nothing.
    fn release(&mut self) {
        self.start = 0;
        self.joined_accept = Vec::new();
        if self.buffer.capacity() > 0 {
            buffers::give(std::mem::take(&mut self.buffer));
        }
    }
}

impl Drop for RequestReader {
    fn drop(&mut self) {
        self.release();
    }
}

fn refuse_line(found: Found) -> Reject {
    let (code, message) = match found {
        Found::BareLf => ("bare_lf", "a line of the request head must end in CRLF, not in LF alone"),
        Found::BareCr => ("bare_cr", "a CR in the request head must be followed by LF"),
        Found::EmptyLine => ("empty_line", "at most one empty line may come before a request"),
        _ => ("bad_request_line", "this port speaks HTTP/1.1: a request starts with its method"),
    };
    Reject::new(400, code, message).closing()
}
