use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, future};

use super::*;
use crate::p2p::Keypair;

#[derive(Default)]
struct Half {
    bytes: VecDeque<u8>,
    closed: bool,
    waker: Option<Waker>,
}

struct Pipe {
    read: Rc<RefCell<Half>>,
    write: Rc<RefCell<Half>>,
}

fn pipe() -> (Pipe, Pipe) {
    let (a, b) = (Rc::<RefCell<Half>>::default(), Rc::<RefCell<Half>>::default());
    (Pipe { read: a.clone(), write: b.clone() }, Pipe { read: b, write: a })
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut half = self.read.borrow_mut();
        if half.bytes.is_empty() && !half.closed {
            half.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = out.len().min(half.bytes.len());
        for (to, from) in out.iter_mut().zip(half.bytes.drain(..len)) {
            *to = from;
        }
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut half = self.write.borrow_mut();
        half.bytes.extend(bytes);
        half.waker.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut half = self.write.borrow_mut();
        half.closed = true;
        half.waker.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

#[test]
fn an_echo_goes_out_and_comes_back() {
    let (left, right) = pipe();
    let (a, b) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
    let expected = Some(b.public().to_peer_id());
    future::block_on(async {
        let options = StackOptions::default();
        let (one, two) = future::zip(
            upgrade(left, Role::Dialer { expected }, &a, &options),
            upgrade(right, Role::Listener, &b, &options),
        )
        .await;
        let ((dialer, dialer_driver, _), (listener, listener_driver, seen)) = (one.unwrap(), two.unwrap());
        assert_eq!(seen, a.public().to_peer_id());
        let taken = Rc::new(RefCell::new(Vec::new()));
        let given = taken.clone();
        let serve = async {
            loop {
                let next = taken.borrow_mut().pop();
                let Some(inbound) = next else {
                    future::yield_now().await;
                    continue;
                };
                let inbound: InboundStream = inbound;
                let (mut stream, _) = inbound.negotiate(&["/other", "/echo"]).await.unwrap();
                let mut bytes = [0; 5];
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
                stream.close().await.unwrap();
            }
        };
        let ask = async {
            for _ in 0..3 {
                let (mut stream, _) = dialer.open(&["/echo"]).await.unwrap();
                stream.write_all(b"hello").await.unwrap();
                stream.flush().await.unwrap();
                let mut back = Vec::new();
                stream.read_to_end(&mut back).await.unwrap();
                assert_eq!(back, b"hello");
            }
            dialer.close();
            future::pending::<()>().await;
        };
        let drivers = future::zip(
            dialer_driver.run(|_| panic!("nobody opens a stream here")),
            listener_driver.run(|stream| given.borrow_mut().push(stream)),
        );
        let ends = future::or(async { Some(drivers.await) }, async {
            future::zip(serve, ask).await;
            None
        })
        .await
        .unwrap();
        assert!(ends.0.is_ok() && ends.1.is_ok(), "{ends:?}");
        assert!(dialer.is_closed() && listener.is_closed());
        assert_eq!(listener.streams(), 0);
    });
}
