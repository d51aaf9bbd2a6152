//! Decodes the chunked transfer coding (RFC 9112, 7.1), in place.
//!
//! A state machine that takes every byte when it comes: no line is ever looked at twice, and nothing but data is kept.
//! Extensions and trailers are bounded and ignored.

use super::framing::body_too_large;
use super::reader::HttpLimits;
use super::reject::Reject;
use super::scan::is_token_byte;
use crate::limits::Limit;

/// Bytes of chunk extensions in one body.
const MAX_EXTENSION_BYTES: usize = 4 << 10;
/// Hexadecimal digits of a chunk size, leading zeros among them.
const MAX_SIZE_DIGITS: u8 = 16;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the next digit of a size.
    #[default]
    Size,
    /// In a chunk extension.
    Extension,
    /// A size line's CR has been seen.
    SizeLf,
    /// In the data, of which this many bytes are to come.
    Data(usize),
    /// After the data.
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    /// In a trailer's name.
    TrailerName,
    /// In a trailer's value.
    Trailer,
    /// A trailer line's CR has been seen.
    TrailerLf,
    /// The CR of the last line has been seen.
    EndLf,
    Done,
}

/// Where reading and writing stand, counted from the start of the body.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Cursor {
    /// Raw bytes taken.
    pub(super) read: usize,
    /// Bytes of data kept, at the front.
    pub(super) write: usize,
}

/// The decoder of one body.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Decoder {
    state: State,
    size: usize,
    digits: u8,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailers: usize,
}

impl Decoder {
    /// Decodes what follows `at.read` in `body`, moving data down to `at.write`. Stops after the body's last byte.
    ///
    /// True when the body is complete; otherwise everything has been read.
    pub(super) fn decode(
        &mut self,
        body: &mut [u8],
        at: &mut Cursor,
        limits: &HttpLimits,
    ) -> Result<bool, Reject> {
        while at.read < body.len() && self.state != State::Done {
            if let State::Data(left) = self.state {
                let taken = left.min(body.len() - at.read);
                body.copy_within(at.read..at.read + taken, at.write);
                at.read += taken;
                at.write += taken;
                self.state = if taken == left { State::DataCr } else { State::Data(left - taken) };
                continue;
            }
            self.state = self.step(body[at.read], at.write, limits)?;
            at.read += 1;
        }
        Ok(self.state == State::Done)
    }

    /// Takes one byte that is not data. `decoded` is how much of the body there is.
    fn step(&mut self, byte: u8, decoded: usize, limits: &HttpLimits) -> Result<State, Reject> {
        match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeLf),
            (State::Size, b';') if self.digits > 0 => self.extension(),
            (State::Size, _) => self.digit(byte, decoded, limits),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, b'\t' | b' '..=0x7e | 0x80..) => self.extension(),
            (State::SizeLf, b'\n') => Ok(self.end_of_size()),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerName, b':') => Ok(State::Trailer),
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => self.trailer(limits),
            (State::Trailer, b'\t' | b' '..=0x7e | 0x80..) => self.trailer(limits),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::EndLf, b'\n') => Ok(State::Done),
            _ => Err(bad_chunk("a line of the chunked body is malformed or does not end in CRLF")),
        }
    }

    fn digit(&mut self, byte: u8, decoded: usize, limits: &HttpLimits) -> Result<State, Reject> {
        let Some(value) = (byte as char).to_digit(16) else {
            return Err(bad_chunk("a chunk size must be hexadecimal digits"));
        };
        self.digits += 1;
        if self.digits > MAX_SIZE_DIGITS {
            return Err(bad_chunk("a chunk size has at most 16 digits"));
        }
        // The size stays at or below the limit before each digit, so this cannot overflow.
        self.size = self.size * 16 + value as usize;
        if self.size > limits.body_bytes.saturating_sub(decoded) {
            return Err(body_too_large(limits));
        }
        Ok(State::Size)
    }

    fn end_of_size(&mut self) -> State {
        self.digits = 0;
        match std::mem::take(&mut self.size) {
            0 => State::TrailerStart,
            size => State::Data(size),
        }
    }

    fn extension(&mut self) -> Result<State, Reject> {
        self.extension_bytes += 1;
        if self.extension_bytes > MAX_EXTENSION_BYTES {
            return Err(bad_chunk("the chunk extensions of a body take at most 4096 bytes"));
        }
        Ok(State::Extension)
    }

    fn trailer(&mut self, limits: &HttpLimits) -> Result<State, Reject> {
        self.trailer_bytes += 1;
        self.trailers += usize::from(self.state == State::TrailerStart);
        if self.trailer_bytes > limits.head_bytes {
            let max = limits.head_bytes as u64;
            let message = format!("the trailers are larger than {max} bytes ({})", Limit::HeadBytes.name());
            return Err(Reject::new(431, "trailers_too_large", message)
                .limited(Limit::HeadBytes, max)
                .closing());
        }
        if self.trailers > limits.headers {
            let max = limits.headers as u64;
            let message = format!("the body has more than {max} trailers ({})", Limit::Headers.name());
            return Err(Reject::new(431, "too_many_trailers", message)
                .limited(Limit::Headers, max)
                .closing());
        }
        Ok(if self.state == State::Trailer { State::Trailer } else { State::TrailerName })
    }
}

fn bad_chunk(message: &'static str) -> Reject {
    Reject::new(400, "bad_chunk", message).closing()
}
