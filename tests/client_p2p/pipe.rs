//! Two ends of a stream in memory, and a peer at the far one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use serde_json::{Value, json};

/// Bytes that lie between the two ends in one direction, at most.
const ROOM: usize = 32 << 10;

#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    is_over: bool,
    /// Ended by closing, not by dropping.
    was_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn end(&mut self) {
        self.is_over = true;
        self.wake();
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

/// One end. Dropping it ends both directions.
pub(crate) struct End {
    inward: Rc<RefCell<Pipe>>,
    outward: Rc<RefCell<Pipe>>,
    is_closing: bool,
}

impl End {
    /// Whether the other end has closed its side in order.
    pub(crate) fn was_closed(&self) -> bool {
        self.inward.borrow().was_closed
    }
}

/// Two ends of one stream.
pub(crate) fn pair() -> (End, End) {
    let (one, two) = (Rc::<RefCell<Pipe>>::default(), Rc::<RefCell<Pipe>>::default());
    let near = End { inward: Rc::clone(&one), outward: Rc::clone(&two), is_closing: false };
    (near, End { inward: two, outward: one, is_closing: false })
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.inward.borrow_mut();
        if pipe.bytes.is_empty() {
            if pipe.is_over {
                return Poll::Ready(Ok(0));
            }
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = out.len().min(pipe.bytes.len());
        out[..count].iter_mut().zip(pipe.bytes.drain(..count)).for_each(|(to, from)| *to = from);
        pipe.wake();
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.outward.borrow_mut();
        if pipe.is_over {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(ROOM - pipe.bytes.len());
        if count == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        pipe.bytes.extend(&bytes[..count]);
        pipe.wake();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Takes two turns, as it may where a connection has other things to write.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_closing, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut pipe = self.outward.borrow_mut();
        pipe.was_closed = true;
        pipe.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.inward.borrow_mut().end();
        self.outward.borrow_mut().end();
    }
}

/// The far end, as a server uses it.
pub(crate) struct Far {
    pub(crate) end: End,
    /// Which stream it is, counted from 1.
    pub(crate) number: usize,
    pub(crate) seen: Rc<RefCell<Vec<(usize, Value)>>>,
}

impl Far {
    /// The next message; `None` at the end.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        let mut length = [0; 4];
        self.end.read_exact(&mut length).await.ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.end.read_exact(&mut frame).await.ok()?;
        let message: Value = serde_json::from_slice(&frame).unwrap();
        self.seen.borrow_mut().push((self.number, message.clone()));
        Some(message)
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.bytes(message.to_string().as_bytes()).await;
    }

    /// A frame of any bytes.
    pub(crate) async fn bytes(&mut self, frame: &[u8]) {
        let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
        bytes.extend(frame);
        // Whether the client is still there is what some tests are about.
        let _ = self.end.write_all(&bytes).await;
    }

    pub(crate) async fn result(&mut self, request: &Value, result: Value) {
        self.say(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
    }

    pub(crate) async fn error(&mut self, request: &Value, code: i64, message: &str) {
        let error = json!({ "code": code, "message": message });
        self.say(json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })).await;
    }

    pub(crate) async fn note(&mut self, method: &str, params: Value) {
        let method = format!("notifications/{method}");
        self.say(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }
}
