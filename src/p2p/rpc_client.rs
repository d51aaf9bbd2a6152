//! The task queue RPC as its client: a line written, a line read, on a stream of its own.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, future};
use serde_json::{Map, Value};

use super::line::{LineError, LineReader};
use crate::runtime::sleep;

/// Bytes that are read at once.
const READ_BYTES: usize = 4 << 10;

/// The bounds of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcOptions {
    /// How long all of it may take, opening the stream included.
    pub timeout: Duration,
    /// Bytes of the request's line and of the answer's, each with its newline.
    pub max_line_bytes: usize,
}

impl Default for RpcOptions {
    /// Ten seconds, and lines of 1 MiB.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), max_line_bytes: 1 << 20 }
    }
}

/// Why there is no answer. An answer that says `"ok": false` is one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RpcError {
    /// No stream was opened. The text says why.
    Open(String),
    /// It took longer than it may.
    TimedOut(Duration),
    /// The peer ended the stream before its answer was complete.
    Closed,
    /// The request has more bytes than a line may have, so it was not sent.
    RequestTooLarge {
        /// Its bytes, with the newline.
        bytes: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The answer is longer than a line may be.
    AnswerTooLarge {
        /// How many bytes are allowed.
        max: usize,
    },
    /// The answer is not one line with a JSON object. The text says what is wrong.
    Malformed(String),
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(why) => f.write_str(why),
            Self::TimedOut(after) => write!(f, "no answer within {} ms", after.as_millis()),
            Self::Closed => f.write_str("the peer ended the stream before it had answered"),
            Self::RequestTooLarge { bytes, max } => {
                write!(f, "the request has {bytes} bytes; a line has at most {max} (max_p2p_line_bytes)")
            }
            Self::AnswerTooLarge { max } => {
                write!(f, "the answer has more than {max} bytes (max_p2p_line_bytes)")
            }
            Self::Malformed(why) => write!(f, "the answer is malformed: {why}"),
        }
    }
}

impl std::error::Error for RpcError {}

/// Asks once: opens a stream, writes the request, reads the answer.
///
/// # Errors
/// [`RpcError`]. The stream is gone in any case; dropping the future gives the request up.
pub async fn call<S, E>(
    open: impl Future<Output = Result<S, E>>,
    request: &Map<String, Value>,
    options: RpcOptions,
) -> Result<Map<String, Value>, RpcError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: fmt::Display,
{
    let mut line = serde_json::to_vec(request).expect("invariant: a Value is always JSON");
    line.push(b'\n');
    object(&call_line(open, &line, options).await?)
}

/// As [`call`], for who writes and reads the lines: `line` ends in a newline, the answer does not, and may be anything.
///
/// # Errors
/// [`RpcError`], as for [`call`].
pub async fn call_line<S, E>(
    open: impl Future<Output = Result<S, E>>,
    line: &[u8],
    options: RpcOptions,
) -> Result<Vec<u8>, RpcError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: fmt::Display,
{
    let (bytes, max) = (line.len(), options.max_line_bytes);
    if bytes > max {
        return Err(RpcError::RequestTooLarge { bytes, max });
    }
    let late = async {
        sleep(options.timeout).await;
        Err(RpcError::TimedOut(options.timeout))
    };
    let work = async {
        let stream = open.await.map_err(|error| RpcError::Open(error.to_string()))?;
        ask(stream, line, max).await
    };
    future::or(work, late).await
}

fn object(answer: &[u8]) -> Result<Map<String, Value>, RpcError> {
    serde_json::from_slice(answer)
        .map_err(|error| RpcError::Malformed(format!("it is no JSON object: {error}")))
}

/// One line out, one line back, without a word about time.
async fn ask<S>(mut stream: S, line: &[u8], max: usize) -> Result<Vec<u8>, RpcError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let closed = |_| RpcError::Closed;
    stream.write_all(line).await.map_err(closed)?;
    stream.flush().await.map_err(closed)?;
    let mut reader = LineReader::new(max);
    let mut buffer = [0; READ_BYTES];
    loop {
        let count = stream.read(&mut buffer).await.map_err(closed)?;
        if count == 0 {
            return Err(RpcError::Closed);
        }
        match reader.feed(&buffer[..count]) {
            Ok(false) => {}
            Ok(true) => break,
            Err(LineError::TooLong) => return Err(RpcError::AnswerTooLarge { max }),
            Err(LineError::MoreThanALine) => {
                return Err(RpcError::Malformed("something follows its newline".to_owned()));
            }
        }
    }
    // The answer is there; that the end is told is a courtesy.
    let _ = stream.close().await;
    Ok(reader.into_line())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

    use futures_lite::future::{block_on, zip};
    use serde_json::json;

    use super::*;
    use crate::p2p::pipe::pipe;

    /// What becomes of a request whose peer answers with these bytes and then ends the stream.
    fn answered(answer: &[u8]) -> Result<Value, RpcError> {
        let (near, mut far) = pipe();
        let peer = async move {
            let mut heard = Vec::new();
            let mut byte = [0];
            while heard.last() != Some(&b'\n') {
                far.read_exact(&mut byte).await.unwrap();
                heard.push(byte[0]);
            }
            assert_eq!(heard, b"{\"op\":\"status\"}\n");
            let _ = far.write_all(answer).await;
        };
        let answer = block_on(zip(peer, ask(near, b"{\"op\":\"status\"}\n", 256))).1?;
        object(&answer).map(Value::Object)
    }

    #[test]
    fn a_line_is_answered_by_a_line() {
        assert_eq!(answered(b"{\"ok\":true}\n"), Ok(json!({ "ok": true })));
        let refused = answered(b"{\"ok\":false,\"error\":\"unauthorized\"}\r\n").unwrap();
        assert_eq!(refused["error"], "unauthorized");
    }

    #[test]
    fn what_is_no_answer_is_said() {
        assert_eq!(answered(b""), Err(RpcError::Closed));
        assert_eq!(answered(b"{\"ok\":true}"), Err(RpcError::Closed));
        assert_eq!(answered(&[b'x'; 300]), Err(RpcError::AnswerTooLarge { max: 256 }));
        for (answer, why) in [
            (&b"[]\n"[..], "no JSON object"),
            (b"\n", "no JSON object"),
            (b"{\"ok\":true}\n{}", "follows its newline"),
        ] {
            let error = answered(answer).unwrap_err();
            assert!(matches!(&error, RpcError::Malformed(said) if said.contains(why)), "{error}");
        }
    }

    #[test]
    fn a_request_that_is_too_long_is_not_sent() {
        let request = json!({ "op": "x".repeat(100) });
        let options = RpcOptions { max_line_bytes: 64, ..RpcOptions::default() };
        let never = std::future::pending::<Result<crate::p2p::pipe::Pipe, RpcError>>();
        let error = block_on(call(never, request.as_object().unwrap(), options)).unwrap_err();
        assert_eq!(error, RpcError::RequestTooLarge { bytes: 110, max: 64 });
    }
}
