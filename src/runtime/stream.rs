//! A TCP stream in the shape of the ring: buffers come out, owned bytes go in.
//!
//! Reading and writing try the socket at once and wait for readiness through a ring only when it would block, so a
//! read or flush that is dropped half way loses nothing. What may be read is heard of from the core's own ring for
//! sockets where it has one, everything else from the reactor. A stream has one waiter a direction: exactly one task reads
//! it and writes it.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite, future};
use glommio::net::TcpStream;
use socket2::SockRef;

use super::buf::{self, Buf};
use super::connect;
use super::readiness::Watch;
use super::timer::Timer;

/// Staged vectors that one gathered send takes at most.
const GATHER: usize = 16;

/// How a stream hears that it may read.
#[derive(Debug)]
enum Reading {
    /// It never had to wait.
    Untried,
    /// From the ring for sockets.
    Watched(Watch),
    /// From the reactor.
    Reactor,
}

/// One accepted or dialled TCP connection of this core.
pub struct Stream {
    /// Dropped first: the poll holds on to the socket.
    reading: Reading,
    socket: TcpStream,
    peer: SocketAddr,
    staged: VecDeque<Vec<u8>>,
    /// Bytes of the first staged vector that are already sent.
    sent: usize,
    staged_bytes: usize,
}

impl Stream {
    /// Dials `addr` and gives up after `timeout`. Cancel safe. Small writes are sent at once (NODELAY).
    ///
    /// # Errors
    /// What the kernel says; [`io::ErrorKind::TimedOut`] when the time is over.
    pub async fn connect(addr: SocketAddr, timeout: Duration) -> io::Result<Stream> {
        let late = async {
            Timer::after(timeout).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, "connection timed out"))
        };
        future::or(connect::dial(addr), late).await
    }

    /// Ready once the connect that the socket was given has ended.
    pub(super) fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sending nothing would block while the connect goes on, and then says how it ended.
        match ready!(Pin::new(&mut self.socket).poll_write(cx, &[])) {
            Ok(_) => Poll::Ready(self.socket_ref().take_error()?.map_or(Ok(()), Err)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Takes over a stream that was connected elsewhere, and sets NODELAY.
    ///
    /// # Errors
    /// When the stream is no longer connected.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Stream> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok(Self::from_owned(stream.into(), peer))
    }

    /// Takes over a connected socket whose options are set.
    pub(super) fn from_owned(socket: OwnedFd, peer: SocketAddr) -> Stream {
        // SAFETY: `into_raw_fd` gives up the only owner of the descriptor, and the new stream becomes it.
        Self::from_socket(unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) }, peer)
    }

    fn from_socket(socket: TcpStream, peer: SocketAddr) -> Stream {
        Stream { reading: Reading::Untried, socket, peer, staged: VecDeque::new(), sent: 0, staged_bytes: 0 }
    }

    fn socket_ref(&self) -> SockRef<'_> {
        SockRef::from(self)
    }

    /// The other side's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The address of this side: a system call.
    ///
    /// # Errors
    /// What the kernel says, for instance of a socket that was reset.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.socket_ref().local_addr()?;
        addr.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
    }

    /// The next bytes, at most [`super::BUF_BYTES`] of them; the empty buffer is the end of the stream. Cancel safe.
    ///
    /// # Errors
    /// What the kernel says, [`io::ErrorKind::ConnectionReset`] above all.
    pub async fn read(&mut self) -> io::Result<Buf> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// As [`Stream::read`]. A stream that waits holds no buffer.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Buf>> {
        if let Reading::Watched(watch) = &self.reading
            && !watch.is_ready()
            && watch.wait(self.as_fd(), cx)
        {
            return Poll::Pending;
        }
        let mut buf = Buf::lend();
        loop {
            match ready!(self.poll_receive(cx, buf.space())) {
                Ok(0) => return Poll::Ready(Ok(Buf::empty())),
                Ok(len) => {
                    buf.show(len);
                    return Poll::Ready(Ok(buf));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Reading::Reactor = self.reading {
            return Pin::new(&mut self.socket).poll_read(cx, space);
        }
        match self.receive_now(space) {
            Ok(len) => {
                if let Reading::Watched(watch) = &self.reading
                    && len < space.len()
                {
                    watch.drained();
                }
                Poll::Ready(Ok(len))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.poll_readable(cx, space),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Waits for more, where there was nothing.
    fn poll_readable(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Reading::Untried = self.reading {
            self.reading = Watch::new(self.as_fd()).map_or(Reading::Reactor, Reading::Watched);
        }
        if let Reading::Watched(watch) = &self.reading {
            if watch.wait(self.as_fd(), cx) {
                return Poll::Pending;
            }
            self.reading = Reading::Reactor;
        }
        Pin::new(&mut self.socket).poll_read(cx, space)
    }

    /// One non-blocking receive.
    fn receive_now(&self, space: &mut [u8]) -> io::Result<usize> {
        let fd = self.socket.as_raw_fd();
        // SAFETY: the kernel writes at most `space.len()` bytes to `space`, which is ours alone meanwhile.
        let len = unsafe { libc::recv(fd, space.as_mut_ptr().cast(), space.len(), libc::MSG_DONTWAIT) };
        usize::try_from(len).map_err(|_| io::Error::last_os_error())
    }

    /// Stages bytes: accepted, not yet sent. An empty vector comes back, with room for the next answer where the core
    /// has one to spare.
    pub fn write(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        self.staged_bytes += bytes.len();
        self.staged.push_back(bytes);
        buf::lend_vec()
    }

    /// Bytes staged and not yet taken by the kernel.
    pub fn staged(&self) -> usize {
        self.staged_bytes
    }

    /// Sends all that is staged, in one system call where the kernel takes it. Cancel safe: what was not sent stays
    /// staged.
    ///
    /// # Errors
    /// What the kernel says, [`io::ErrorKind::BrokenPipe`] and [`io::ErrorKind::ConnectionReset`] above all.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// As [`Stream::flush`].
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = self.staged.front() {
            let sent = match self.send_now() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Tries once more and then waits for room through the ring.
                    let rest = &first[self.sent..];
                    ready!(Pin::new(&mut self.socket).poll_write(cx, rest))
                }
                result => result,
            };
            match sent {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(len) => self.forget_sent(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// One non-blocking send of what is staged. SIGPIPE is never raised.
    fn send_now(&self) -> io::Result<usize> {
        const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let socket = self.socket_ref();
        let mut staged = self.staged.iter();
        let first = staged.next().map_or(&[][..], |first| &first[self.sent..]);
        if self.staged.len() == 1 {
            return socket.send_with_flags(first, FLAGS);
        }
        let mut slices = [IoSlice::new(&[]); GATHER];
        slices[0] = IoSlice::new(first);
        for (slice, bytes) in slices[1..].iter_mut().zip(staged) {
            *slice = IoSlice::new(bytes);
        }
        socket.send_vectored_with_flags(&slices[..self.staged.len().min(GATHER)], FLAGS)
    }

    fn forget_sent(&mut self, mut len: usize) {
        self.staged_bytes -= len;
        while let Some(first) = self.staged.front() {
            let left = first.len() - self.sent;
            if len < left {
                self.sent += len;
                return;
            }
            len -= left;
            self.sent = 0;
            if let Some(done) = self.staged.pop_front() {
                buf::give_back_vec(done);
            }
        }
    }

    /// Tells the peer that nothing more will be sent (FIN). Reading goes on.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] when the peer has gone.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.socket_ref().shutdown(Shutdown::Write)
    }

    /// Forgets what is staged. Of a vector that has begun to go out, the rest is missing: nothing more can be said on
    /// this stream.
    pub fn discard_staged(&mut self) {
        self.staged.clear();
        (self.sent, self.staged_bytes) = (0, 0);
    }

    /// Has the kernel give the connection up when what was sent is not acknowledged for so long: a peer that vanished
    /// without a word is then found by what is sent to it, not only after a quarter of an hour.
    ///
    /// # Errors
    /// What the kernel says, for instance of a socket that was reset.
    pub fn give_up_unacknowledged(&self, after: Duration) -> io::Result<()> {
        self.socket_ref().set_tcp_user_timeout(Some(after))
    }

    /// Ends the connection with a reset; what is staged or unread on either side is lost.
    pub fn abort(mut self) {
        self.discard_staged();
        // A socket that refuses the option is closed in the ordinary way.
        let _ = self.socket_ref().set_linger(Some(Duration::ZERO));
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `self.socket` owns the descriptor, and it is borrowed for as long as the result lives.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

/// A plain drop sends what a non-blocking send still takes, then closes.
impl Drop for Stream {
    fn drop(&mut self) {
        while !self.staged.is_empty() {
            match self.send_now() {
                Ok(len) if len > 0 => self.forget_sent(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("fd", &self.socket.as_raw_fd())
            .field("peer", &self.peer)
            .field("staged", &self.staged_bytes)
            .finish()
    }
}
