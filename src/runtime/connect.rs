//! Dialling: one address, or the first of several that answers.
//!
//! A connect is begun without waiting and its end awaited as readiness, so a dial that is dropped leaves nothing with
//! the ring but a wait.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::stream::Stream;
use super::timer::Timer;

/// The next address is tried after this long, even if the one before has not failed yet (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);
/// A peer that has been silent for so long is asked whether it is still there; otherwise a stream that only waits for
/// events would never learn that the other machine is gone.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Addresses tried for one connection; more are ignored.
const MAX_ADDRESSES: usize = 16;

/// Why none of the addresses could be connected to.
#[derive(Debug)]
pub struct ConnectError {
    /// What each address that failed said.
    pub failures: Vec<(SocketAddr, io::Error)>,
    /// Whether time ran out before all had failed.
    pub timed_out: bool,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (addr, error)) in self.failures.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{addr}: {error}")?;
        }
        match (self.timed_out, self.failures.is_empty()) {
            (true, true) => f.write_str("no answer in time"),
            (true, false) => f.write_str(", and no answer in time from the others"),
            (false, true) => f.write_str("there is no address to connect to"),
            (false, false) => Ok(()),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Dials one address, for as long as it takes. Cancel safe.
pub(super) async fn dial(addr: SocketAddr) -> io::Result<Stream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4))?;
    match socket.connect(&addr.into()) {
        Ok(()) => {}
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => {}
        Err(error) => return Err(error),
    }
    let mut stream = Stream::from_owned(socket.into(), addr);
    poll_fn(|cx| stream.poll_connected(cx)).await?;
    Ok(stream)
}

/// Connects to the first of `addresses` that answers. They are tried in their order, a quarter of a second apart or as
/// soon as the one before fails; the losers are closed. Cancel safe.
///
/// # Errors
/// [`ConnectError`] when all have failed or `timeout` has passed.
///
/// # Panics
/// On a thread that runs no executor.
pub async fn connect_any(addresses: &[SocketAddr], timeout: Duration) -> Result<Stream, ConnectError> {
    let mut race = Race {
        waiting: addresses.iter().copied().take(MAX_ADDRESSES).collect(),
        running: Vec::new(),
        failures: Vec::new(),
        next: None,
        end: Timer::after(timeout),
    };
    poll_fn(|cx| race.poll(cx)).await
}

type Dial = Pin<Box<dyn Future<Output = io::Result<Stream>>>>;

struct Race {
    waiting: VecDeque<SocketAddr>,
    running: Vec<(SocketAddr, Dial)>,
    failures: Vec<(SocketAddr, io::Error)>,
    /// When the next one starts although none has failed.
    next: Option<Timer>,
    end: Timer,
}

impl Race {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectError>> {
        loop {
            if let Some(stream) = self.poll_running(cx) {
                return Poll::Ready(Ok(stream));
            }
            let due = self.next.as_mut().is_none_or(|next| Pin::new(next).poll(cx).is_ready());
            match self.waiting.pop_front() {
                Some(addr) if due || self.running.is_empty() => {
                    self.running.push((addr, Box::pin(dial(addr))));
                    self.next = Some(Timer::after(STAGGER));
                }
                None if self.running.is_empty() => return Poll::Ready(Err(self.give_up(false))),
                undue => {
                    undue.into_iter().for_each(|addr| self.waiting.push_front(addr));
                    break;
                }
            }
        }
        match Pin::new(&mut self.end).poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(self.give_up(true))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The first connection that has come about. One that has failed lets the next one start at once.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<Stream> {
        let mut index = 0;
        while let Some((addr, dial)) = self.running.get_mut(index) {
            match dial.as_mut().poll(cx) {
                Poll::Ready(Ok(stream)) => return Some(stream),
                Poll::Ready(Err(error)) => {
                    self.failures.push((*addr, error));
                    drop(self.running.swap_remove(index));
                    self.next = None;
                }
                Poll::Pending => index += 1,
            }
        }
        None
    }

    fn give_up(&mut self, timed_out: bool) -> ConnectError {
        self.running.clear();
        ConnectError { failures: std::mem::take(&mut self.failures), timed_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_each_address_and_what_it_said() {
        let refused =
            (SocketAddr::from(([127, 0, 0, 1], 9)), io::Error::from(io::ErrorKind::ConnectionRefused));
        let error = ConnectError { failures: vec![refused], timed_out: true };
        assert_eq!(
            error.to_string(),
            "127.0.0.1:9: connection refused, and no answer in time from the others"
        );
        let empty = ConnectError { failures: Vec::new(), timed_out: false };
        assert_eq!(empty.to_string(), "there is no address to connect to");
    }
}
