//! Streams that wait for what they may read: through the ring for sockets, and through the reactor where there is none.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future;
use ringmesh::runtime::{
    BoxError, ExecutorSettings, Listener, Queue, Scope, ScopeOptions, Stream, sleep, spawn_executor, warm_up,
    yield_now,
};
use runtime_support::joined;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const SECOND: Duration = Duration::from_secs(1);

/// Runs `test` with the ring and without it.
fn both_ways<Fut: Future<Output = ()> + 'static>(test: impl Fn() -> Fut + Send + Clone + 'static) {
    for socket_ring in [true, false] {
        let settings = ExecutorSettings { socket_ring, ..ExecutorSettings::default() };
        run(settings, test.clone());
    }
}

fn run<Fut: Future<Output = ()> + 'static>(
    settings: ExecutorSettings,
    test: impl FnOnce() -> Fut + Send + 'static,
) {
    let main = move || async move {
        warm_up().await;
        let late = async {
            sleep(30 * SECOND).await;
            panic!("the test did not end in half a minute")
        };
        future::or(test(), late).await
    };
    spawn_executor(None, "test", &settings, main).unwrap().join().unwrap();
}

async fn pair(listener: &Listener) -> (Stream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr()).unwrap();
    client.set_read_timeout(Some(10 * SECOND)).unwrap();
    (listener.accept().await.unwrap(), client)
}

/// Has the stream wait, so that it is watched.
async fn watch(stream: &mut Stream) {
    let read = future::or(async { Some(stream.read().await) }, async {
        sleep(Duration::from_millis(1)).await;
        None
    });
    assert!(read.await.is_none(), "nothing was sent yet");
}

#[test]
fn bytes_and_the_end_that_come_together_are_both_heard() {
    both_ways(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let (mut stream, mut client) = pair(&listener).await;
        watch(&mut stream).await;
        // The core does not look before both have come.
        client.write_all(b"last words").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(&*stream.read().await.unwrap(), b"last words");
        assert!(stream.read().await.unwrap().is_empty());
        assert!(stream.read().await.unwrap().is_empty(), "the end stays the end");
    });
}

#[test]
fn the_end_after_a_while_is_heard() {
    both_ways(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let (mut stream, mut client) = pair(&listener).await;
        for n in 0..20_u8 {
            watch(&mut stream).await;
            client.write_all(&[n; 3]).unwrap();
            assert_eq!(&*stream.read().await.unwrap(), &[n; 3]);
        }
        watch(&mut stream).await;
        drop(client);
        assert!(stream.read().await.unwrap().is_empty());
    });
}

#[test]
fn a_reset_is_heard_by_one_that_waits() {
    both_ways(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let (mut stream, client) = pair(&listener).await;
        watch(&mut stream).await;
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(stream.read().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_stream_that_was_watched_closes_its_connection_when_it_is_dropped() {
    both_ways(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let (mut stream, mut client) = pair(&listener).await;
        watch(&mut stream).await;
        drop(stream);
        let end = thread::spawn(move || client.read(&mut [0; 8]).unwrap());
        assert_eq!(joined(end).await, 0);

        let (mut stream, mut client) = pair(&listener).await;
        watch(&mut stream).await;
        stream.abort();
        let end = thread::spawn(move || client.read(&mut [0; 8]).unwrap_err().kind());
        assert_eq!(joined(end).await, io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_stream_closes_its_connection_also_when_more_came_just_before() {
    both_ways(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        for _ in 0..20 {
            let (mut stream, mut client) = pair(&listener).await;
            watch(&mut stream).await;
            // The core has not looked yet when it takes the poll back.
            client.write_all(b"nobody will read this").unwrap();
            drop(stream);
            let end = thread::spawn(move || client.read(&mut [0; 8]).map_err(|error| error.kind()));
            assert_eq!(joined(end).await, Err(io::ErrorKind::ConnectionReset));
        }
    });
}

#[test]
fn places_are_used_again_and_hear_only_of_their_own() {
    both_ways(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        for n in 0..300_u32 {
            let (mut stream, mut client) = pair(&listener).await;
            if n % 2 == 0 {
                watch(&mut stream).await;
            }
            client.write_all(&n.to_le_bytes()).unwrap();
            if n % 3 == 0 {
                drop(stream);
                continue;
            }
            assert_eq!(&*stream.read().await.unwrap(), &n.to_le_bytes());
        }
    });
}

#[test]
fn more_streams_than_the_ring_has_room_for_are_all_heard() {
    // More than the kernel is handed in one turn, and than it has completions for.
    const STREAMS: usize = 2_200;
    raise_descriptor_limit(2 * STREAMS as u64 + 200);
    both_ways(|| async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let mut pairs = Vec::new();
        for _ in 0..STREAMS {
            pairs.push(pair(&listener).await);
        }
        // All wait at once, and only the last one hears of something.
        for (stream, _) in &mut pairs {
            assert!(future::poll_once(stream.read()).await.is_none());
        }
        sleep(Duration::from_millis(1)).await;
        let (stream, client) = pairs.last_mut().unwrap();
        client.write_all(&[9]).unwrap();
        assert_eq!(&*stream.read().await.unwrap(), &[9]);
        // All wait at once, and then all have something at once, before the core looks.
        for round in 0..3_u8 {
            for (stream, _) in &mut pairs {
                let nothing = future::poll_once(stream.read()).await;
                assert!(nothing.is_none());
            }
            sleep(Duration::from_millis(1)).await;
            for (_, client) in &mut pairs {
                client.write_all(&[round]).unwrap();
            }
            for (stream, _) in &mut pairs {
                assert_eq!(&*stream.read().await.unwrap(), &[round]);
            }
        }
    });
}

#[test]
fn streams_that_come_and_go_in_silence_use_nothing_up() {
    run(ExecutorSettings::default(), || async {
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let (mut witness, mut client) = pair(&listener).await;
        watch(&mut witness).await;
        let (_held, other) = pair(&listener).await;
        // The reactor counts in 16 bits who waits for it.
        for n in 0..40_000 {
            let mut silent = Stream::from_std(other.try_clone().unwrap()).unwrap();
            assert!(future::poll_once(silent.read()).await.is_none(), "{n}");
            yield_now().await;
            drop(silent);
            yield_now().await;
        }
        client.write_all(b"still there?").unwrap();
        assert_eq!(&*witness.read().await.unwrap(), b"still there?");
    });
}

#[test]
fn a_pair_that_never_rests_leaves_everything_else_its_turn() {
    for spin_us in [0, 30, 1_000] {
        let adaptive_spin = Duration::from_micros(spin_us);
        run(ExecutorSettings { adaptive_spin, ..ExecutorSettings::default() }, || async {
            let listener = Listener::bind(LOCAL, 16).unwrap();
            let (mut stream, mut client) = pair(&listener).await;
            let echo = thread::spawn(move || {
                let mut byte = [0];
                while client.read(&mut byte).unwrap() == 1 {
                    client.write_all(&byte).unwrap();
                }
            });
            let until = Instant::now() + Duration::from_millis(300);
            let options = ScopeOptions { queue: Queue::P2p, ..ScopeOptions::named("others") };
            let turns = Rc::new(Cell::new(0_u32));
            let counted = Rc::clone(&turns);
            let rounds = Scope::run(options, |scope| async move {
                let timer = async move {
                    while Instant::now() < until {
                        sleep(Duration::from_millis(1)).await;
                        counted.set(counted.get() + 1);
                    }
                };
                scope.spawn("timer", timer)?;
                let mut rounds = 0_u32;
                while Instant::now() < until {
                    drop(stream.write(vec![1]));
                    stream.flush().await?;
                    assert_eq!(&*stream.read().await?, &[1]);
                    rounds += 1;
                }
                stream.shutdown_write()?;
                assert!(stream.read().await?.is_empty());
                Ok::<u32, BoxError>(rounds)
            })
            .await
            .unwrap();
            let turns = turns.get();
            assert!(rounds > 10 && turns > 5, "{rounds} rounds, {turns} turns");
            joined(echo).await;
        });
    }
}

fn raise_descriptor_limit(wanted: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes and reads the one structure that it is given.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        assert!(limit.rlim_max >= wanted, "this test needs {wanted} descriptors");
        limit.rlim_cur = limit.rlim_cur.max(wanted);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}
