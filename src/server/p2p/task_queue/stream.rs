//! One stream: its line, the answer, and the orderly end.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::{AsyncRead, AsyncWrite, AsyncWriteExt, FutureExt};

use super::TaskQueueHost;
use crate::limits::Limit;
use crate::p2p::Remote;
use crate::p2p::line::{LineError, LineReader};
use crate::p2p::task_queue::Answered;
use crate::runtime::Deadline;
use crate::server::budget::Share;
use crate::server::p2p::mcp::PeerGate;
use crate::server::roster::{Member, Phase};

/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;
/// What a line or an answer may take without asking the process's budget; the streams of the process bound the sum.
const FREE_BYTES: usize = 4 << 10;
/// What the budget gives everybody.
const BUDGET_FREE_BYTES: usize = 64 << 10;
/// Of a line that is refused, this much of what still comes is read and thrown away: a client that is busy writing would
/// not see the answer otherwise.
const LINGER_BYTES: usize = 4 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);

thread_local! {
    /// What the streams of this core read into, one after the other.
    static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What became of the wait for a line.
enum Line {
    /// It is there.
    Complete,
    Refused(LineError),
    /// There are no bytes left for it.
    NoBytes,
    /// The peer closed its side first: there is nothing to answer.
    Ended,
    /// It took too long, or the server stops, or the connection is gone.
    Lost,
}

/// Serves one stream to its end: one line is read and answered, then the stream is closed. Dropping `io` early resets it.
/// It must be polled by a task of the core.
pub(crate) async fn serve_task_queue_stream<Io>(
    host: Rc<TaskQueueHost>,
    mut io: Io,
    remote: Rc<Remote>,
    gate: Rc<dyn PeerGate>,
) where
    Io: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let limits = &host.core.shared.limits;
    let member = host.core.roster.enter(true);
    let deadline = Deadline::new();
    deadline.set_after(limits.duration(Limit::P2pRequestTime));
    let mut share = Share::of_peer(host.core.shared.budget.clone());
    let mut reader = LineReader::new(host.queue.max_line_bytes());
    let line = read_line(&host, &mut io, &mut reader, &mut share, &member, &deadline).await;
    deadline.clear();
    member.note_request();
    let begun_at = Instant::now();
    let (answered, lingers) = match line {
        Line::Complete => match gate.admit(begun_at) {
            Ok(()) => match while_wanted(&mut io, host.answer(reader.line(), &remote)).await {
                Some(answered) => (answered, false),
                None => return,
            },
            Err(limit) => (host.refuse_for(limit, begun_at), false),
        },
        Line::Refused(error) => (host.refused(host.queue.refuse_line(error), begun_at), true),
        Line::NoBytes => (host.refuse_for(Limit::BufferedBytes, begun_at), true),
        Line::Ended => {
            let _ = within(&deadline, limits.duration(Limit::WriteTime), io.close()).await;
            return;
        }
        Line::Lost => return,
    };
    drop(reader);
    let answered = match share.cover(accounted(answered.json.len())) {
        true => answered,
        false => host.refuse_for(Limit::BufferedBytes, begun_at),
    };
    if write(&host, &mut io, answered, &deadline).await.is_ok() && lingers {
        let _ = within(&deadline, LINGER_TIME, linger(&mut io)).await;
    }
}

impl TaskQueueHost {
    fn refuse_for(&self, limit: Limit, begun_at: Instant) -> Answered {
        self.refused(self.queue.refuse_for(limit), begun_at)
    }

    fn refused(&self, answered: Answered, begun_at: Instant) -> Answered {
        self.note(&answered, begun_at);
        answered
    }
}

/// What the budget is asked for, so that the little that every stream takes costs it nothing.
fn accounted(bytes: usize) -> usize {
    if bytes <= FREE_BYTES { 0 } else { bytes + BUDGET_FREE_BYTES }
}

async fn read_line<Io: AsyncRead + Unpin>(
    host: &TaskQueueHost,
    io: &mut Io,
    reader: &mut LineReader,
    share: &mut Share,
    member: &Member,
    deadline: &Deadline,
) -> Line {
    poll_fn(|cx| {
        loop {
            member.watch(cx);
            if matches!(member.phase(), Phase::Closing | Phase::Cancelling) {
                return Poll::Ready(Line::Lost);
            }
            let mut input = INPUT.take();
            input.resize(READ_BYTES, 0);
            let polled = Pin::new(&mut *io).poll_read(cx, &mut input);
            let fed = match &polled {
                Poll::Ready(Ok(bytes)) if *bytes > 0 => {
                    host.core.metrics().bytes_received(*bytes);
                    Some(reader.feed(&input[..*bytes]))
                }
                _ => None,
            };
            INPUT.set(input);
            match (polled, fed) {
                (_, Some(Ok(true))) => return Poll::Ready(Line::Complete),
                (_, Some(Err(error))) => return Poll::Ready(Line::Refused(error)),
                (_, Some(Ok(false))) if share.cover(accounted(reader.held_bytes())) => {}
                (_, Some(Ok(false))) => return Poll::Ready(Line::NoBytes),
                (Poll::Ready(Ok(_)), None) => return Poll::Ready(Line::Ended),
                (Poll::Ready(Err(_)), None) => return Poll::Ready(Line::Lost),
                (Poll::Pending, None) => break,
            }
        }
        match deadline.poll_expired(cx) {
            Poll::Ready(()) => {
                host.core.metrics().hit(Limit::P2pRequestTime);
                Poll::Ready(Line::Lost)
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Works on the answer for as long as somebody waits for it; `None` when the peer has reset the stream. What it still says
/// is thrown away.
async fn while_wanted<Io: AsyncRead + Unpin>(
    io: &mut Io,
    answer: impl Future<Output = Answered>,
) -> Option<Answered> {
    let mut left = LINGER_BYTES;
    let gone = poll_fn(|cx| {
        while left > 0 {
            match poll_input(io, cx) {
                Poll::Ready(Ok(0)) => left = 0,
                Poll::Ready(Ok(bytes)) => left = left.saturating_sub(bytes),
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    });
    async { Some(answer.await) }.or(gone).await
}

/// Reads some bytes that nobody looks at.
fn poll_input<Io: AsyncRead + Unpin>(io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut input = INPUT.take();
    input.resize(READ_BYTES, 0);
    let polled = Pin::new(io).poll_read(cx, &mut input);
    INPUT.set(input);
    polled
}

/// Sends the answer and closes the stream.
async fn write<Io: AsyncWrite + Unpin>(
    host: &TaskQueueHost,
    io: &mut Io,
    answered: Answered,
    deadline: &Deadline,
) -> io::Result<()> {
    let mut line = answered.json;
    line.push(b'\n');
    let sending = async {
        io.write_all(&line).await?;
        io.close().await
    };
    let time = host.core.shared.limits.duration(Limit::WriteTime);
    let sent = within(deadline, time, sending).await;
    match &sent {
        Ok(()) => host.core.metrics().bytes_sent(line.len()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => host.core.metrics().hit(Limit::WriteTime),
        Err(_) => {}
    }
    sent
}

async fn linger<Io: AsyncRead + Unpin>(io: &mut Io) -> io::Result<()> {
    let mut left = LINGER_BYTES;
    while left > 0 {
        let bytes = poll_fn(|cx| poll_input(io, cx)).await?;
        if bytes == 0 {
            break;
        }
        left = left.saturating_sub(bytes);
    }
    Ok(())
}

/// Bounds the time of a step.
async fn within<T>(
    deadline: &Deadline,
    time: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    deadline.set_after(time);
    let expired = async {
        deadline.expired().await;
        Err(io::ErrorKind::TimedOut.into())
    };
    step.or(expired).await
}
