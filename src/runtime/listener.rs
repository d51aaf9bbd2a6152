//! A listening socket of one core.
//!
//! It waits until the socket is readable and then accepts, rather than leave an accept with the ring: an accept in
//! flight that is dropped loses its connection and leaks a descriptor, a dropped wait loses nothing.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::AsyncRead;
use glommio::net::TcpStream;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::stream::Stream;

/// Creates a socket and binds it. `shared` lets the other cores' sockets have the same address (SO_REUSEPORT). An IPv6
/// address takes IPv6 only.
fn bound_socket(addr: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Accepted streams inherit it, which saves a system call on each.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn local_addr(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

/// Binds `addr` without listening, so that port 0 becomes one port that every core can then bind. Keep the socket
/// until they all have; it receives no connections.
///
/// # Errors
/// What the kernel says: the address is not this machine's, or not allowed; [`io::ErrorKind::AddrInUse`] also when the
/// one who listens there already would share it, because two servers that share a port by accident look like one that
/// fails half the time.
pub fn bind_reserved(addr: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    if addr.port() != 0 {
        // A socket that does not share is refused next to any listener.
        drop(bound_socket(addr, false)?);
    }
    let socket = bound_socket(addr, true)?;
    let addr = local_addr(&socket)?;
    Ok((socket, addr))
}

/// A listening socket of this core. One task accepts from it.
#[derive(Debug)]
pub struct Listener {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: Socket,
    addr: SocketAddr,
    stopping: Cell<bool>,
    /// Stands for the listening socket at the reactor while the accepting task waits.
    probe: RefCell<Option<TcpStream>>,
    waiter: RefCell<Option<Waker>>,
}

impl Listener {
    /// Binds and listens with room for `backlog` connections that were not accepted yet.
    ///
    /// # Errors
    /// What the kernel says: the address is taken, not this machine's, or not allowed.
    pub fn bind(addr: SocketAddr, backlog: u32) -> io::Result<Listener> {
        let socket = bound_socket(addr, true)?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let addr = local_addr(&socket)?;
        let (stopping, probe, waiter) = (Cell::new(false), RefCell::new(None), RefCell::new(None));
        Ok(Listener { shared: Rc::new(Shared { socket, addr, stopping, probe, waiter }) })
    }

    /// The bound address, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// The next connection. Cancel safe.
    ///
    /// # Errors
    /// When descriptors or memory ran out (EMFILE, ENFILE, ENOBUFS, ENOMEM): the caller pauses before it asks again.
    /// After [`ListenerStopper::stop`], once nothing is left to accept: [`io::ErrorKind::InvalidInput`], see
    /// [`Listener::is_stopped`].
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            if let Some(stream) = self.try_accept()? {
                return Ok(stream);
            }
            if self.shared.stopping.get() {
                // From here on the kernel refuses clients instead of letting them wait for nobody.
                self.shared.socket.shutdown(Shutdown::Both)?;
                return Err(stopped());
            }
            poll_fn(|cx| self.shared.poll_readable(cx)).await?;
        }
    }

    /// A connection that is ready to be accepted, if there is one.
    ///
    /// # Errors
    /// As [`Listener::accept`].
    pub fn try_accept(&self) -> io::Result<Option<Stream>> {
        loop {
            match self.shared.socket.accept() {
                Ok((socket, peer)) => {
                    let peer = peer.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
                    return Ok(Some(Stream::from_owned(socket.into(), peer)));
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(None),
                    // A connection that died in the queue, or a signal, is no reason to stop.
                    Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// The handle that stops this listener.
    pub fn stopper(&self) -> ListenerStopper {
        ListenerStopper { shared: Rc::clone(&self.shared) }
    }

    /// Whether it was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopping.get()
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the listener was stopped")
}

impl Shared {
    /// Ready when there may be a connection to accept, or when the listener is to stop.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stopping.get() {
            return Poll::Ready(Ok(()));
        }
        let mut probe = self.probe.borrow_mut();
        if probe.is_none() {
            // The reactor has no wait for a bare descriptor. A stream made of a copy of the descriptor waits for
            // readability at once; reading it then fails (a listening socket has no bytes), and that is the signal.
            let copy = self.socket.try_clone()?.into_raw_fd();
            // SAFETY: `into_raw_fd` gives up the only owner of the copy, and the probe becomes it.
            *probe = Some(unsafe { TcpStream::from_raw_fd(copy) });
        }
        let waiting = probe.as_mut().expect("invariant: filled just above");
        if Pin::new(waiting).poll_read(cx, &mut [0]).is_pending() {
            *self.waiter.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        *probe = None;
        Poll::Ready(Ok(()))
    }
}

/// Stops a [`Listener`] of this core.
#[derive(Debug, Clone)]
pub struct ListenerStopper {
    shared: Rc<Shared>,
}

impl ListenerStopper {
    /// Lets no new handshake begin, has [`Listener::accept`] return what the kernel has already taken, and then end
    /// with an error.
    pub fn stop(&self) {
        if self.shared.stopping.replace(true) {
            return;
        }
        // Without the filter a client could still complete its handshake between the last accept and the shutdown.
        let _ = self.shared.socket.attach_filter(&DROP_SYN);
        self.shared.probe.borrow_mut().take();
        if let Some(waiter) = self.shared.waiter.borrow_mut().take() {
            waiter.wake();
        }
    }
}

/// A socket filter over TCP segments: one whose flags (byte 13) hold SYN is dropped, every other one passes whole.
const DROP_SYN: [SockFilter; 4] = {
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const JUMP_IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
};
