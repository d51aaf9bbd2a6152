//! Rings that end before the streams which waited through them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use futures_lite::future;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};

use super::{SocketRing, current};
use crate::runtime::{Listener, Stream, sleep, warm_up};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A caller's own executor.
fn executor() -> LocalExecutor {
    LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).ring_depth(16).make().unwrap()
}

async fn watched_pair() -> (Stream, TcpStream) {
    let listener = Listener::bind(LOCAL, 16).unwrap();
    let client = TcpStream::connect(listener.local_addr()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = listener.accept().await.unwrap();
    assert!(future::poll_once(stream.read()).await.is_none(), "nothing was sent yet");
    sleep(Duration::from_millis(1)).await;
    (stream, client)
}

async fn is_heard(stream: &mut Stream, client: &mut TcpStream) {
    client.write_all(b"hear").unwrap();
    let late = async {
        sleep(Duration::from_secs(10)).await;
        panic!("it was not heard")
    };
    assert_eq!(&*future::or(stream.read(), late).await.unwrap(), b"hear");
}

#[test]
fn a_stream_that_outlives_its_ring_is_heard_and_closed() {
    executor().run(async {
        warm_up().await;
        let ring = SocketRing::start(Duration::ZERO);
        let (mut stream, mut client) = watched_pair().await;
        let (silent, mut silent_client) = watched_pair().await;
        assert!(current().is_some());
        drop(ring);
        assert!(current().is_none());
        is_heard(&mut stream, &mut client).await;
        drop(silent);
        let end = thread::spawn(move || silent_client.read(&mut [0; 8]).unwrap());
        while !end.is_finished() {
            // What was dropped is closed by the reactor's next turn.
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(end.join().unwrap(), 0, "the end is told");
    });
}

#[test]
fn the_ring_lives_as_long_as_the_last_who_holds_it() {
    executor().run(async {
        warm_up().await;
        let first = SocketRing::start(Duration::ZERO);
        let second = SocketRing::start(Duration::ZERO);
        drop(first);
        let (mut stream, mut client) = watched_pair().await;
        assert!(current().is_some());
        is_heard(&mut stream, &mut client).await;
        drop(second);
        assert!(current().is_none());
    });
}

#[test]
fn a_ring_of_an_earlier_executor_is_nobodys() {
    let before = executor();
    before.run(async {
        warm_up().await;
        // Its executor is dropped while the ring is held.
        std::mem::forget(SocketRing::start(Duration::ZERO));
    });
    drop(before);
    executor().run(async {
        warm_up().await;
        assert!(current().is_none());
        let _ring = SocketRing::start(Duration::ZERO);
        let (mut stream, mut client) = watched_pair().await;
        is_heard(&mut stream, &mut client).await;
    });
}

#[test]
fn after_a_driver_that_panicked_streams_go_on_with_the_reactor() {
    executor().run(async {
        warm_up().await;
        let _ring = SocketRing::start(Duration::ZERO);
        let (mut stream, mut client) = watched_pair().await;
        let driver = current().unwrap().driver.clone();
        super::watched_over(driver.clone(), async { panic!("a fault") }).await;
        assert!(driver.has_retired());
        is_heard(&mut stream, &mut client).await;
        let (mut next, mut next_client) = watched_pair().await;
        is_heard(&mut next, &mut next_client).await;
    });
}
