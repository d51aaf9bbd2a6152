//! Streams against real sockets on the loopback interface.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod runtime_support;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use ringmesh::runtime::{AsyncStream, BUF_BYTES, Listener, Stream, bind_reserved, sleep};
use runtime_support::{joined, on_executor};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const SECOND: Duration = Duration::from_secs(1);

/// An accepted stream and the blocking client at its other end.
async fn pair() -> (Stream, TcpStream) {
    let listener = Listener::bind(LOCAL, 16).unwrap();
    let client = TcpStream::connect(listener.local_addr()).unwrap();
    client.set_read_timeout(Some(5 * SECOND)).unwrap();
    (listener.accept().await.unwrap(), client)
}

#[test]
fn bytes_come_and_go_and_the_end_reads_as_empty() {
    on_executor(|| async {
        let (mut stream, mut client) = pair().await;
        assert_eq!(stream.peer_addr(), client.local_addr().unwrap());
        assert_eq!(stream.local_addr().unwrap(), client.peer_addr().unwrap());
        for round in 0..3_u8 {
            client.write_all(&[round; 100]).unwrap();
            assert_eq!(&*stream.read().await.unwrap(), &[round; 100]);
            let spare = stream.write(vec![round; 50]);
            assert!(spare.is_empty());
            assert_eq!(stream.staged(), 50);
            stream.flush().await.unwrap();
            assert_eq!(stream.staged(), 0);
            let mut answer = [0; 50];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [round; 50]);
        }
        client.shutdown(Shutdown::Write).unwrap();
        assert!(stream.read().await.unwrap().is_empty());
        assert!(stream.read().await.unwrap().is_empty(), "the end stays the end");
        stream.shutdown_write().unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn a_flushed_vector_comes_back_for_reuse() {
    on_executor(|| async {
        let (mut stream, _client) = pair().await;
        let first = Vec::from([1; 600]);
        let address = first.as_ptr();
        let _ = stream.write(first);
        stream.flush().await.unwrap();
        let reused = stream.write(vec![2; 10]);
        assert!(reused.is_empty() && reused.capacity() == 600 && reused.as_ptr() == address);
    });
}

#[test]
fn accepted_and_dialled_streams_have_nodelay() {
    on_executor(|| async {
        let (stream, client) = pair().await;
        assert!(socket2::SockRef::from(&stream).tcp_nodelay().unwrap());
        let listener = Listener::bind(LOCAL, 16).unwrap();
        let dialled = Stream::connect(listener.local_addr(), SECOND).await.unwrap();
        assert!(socket2::SockRef::from(&dialled).tcp_nodelay().unwrap());
        let wrapped = Stream::from_std(client).unwrap();
        assert!(socket2::SockRef::from(&wrapped).tcp_nodelay().unwrap());
    });
}

#[test]
fn a_stream_can_give_up_a_silent_peer() {
    on_executor(|| async {
        let (stream, _peer) = pair().await;
        stream.give_up_unacknowledged(Duration::from_millis(2_500)).unwrap();
        let timeout = socket2::SockRef::from(&stream).tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(Duration::from_millis(2_500)));
    });
}

#[test]
fn many_staged_vectors_arrive_whole_at_a_slow_reader() {
    const VECTORS: usize = 200;
    const EACH: usize = 40_000;
    on_executor(|| async {
        let (mut stream, mut client) = pair().await;
        let reader = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            all
        });
        for index in 0..VECTORS {
            let _ = stream.write(vec![index as u8; EACH]);
        }
        assert_eq!(stream.staged(), VECTORS * EACH);
        stream.flush().await.unwrap();
        drop(stream);
        let all = joined(reader).await;
        assert_eq!(all.len(), VECTORS * EACH);
        assert!(
            all.chunks(EACH).enumerate().all(|(index, chunk)| chunk.iter().all(|byte| *byte == index as u8))
        );
    });
}

#[test]
fn a_flush_that_is_dropped_half_way_loses_and_repeats_nothing() {
    const BYTES: usize = 20 << 20;
    on_executor(|| async {
        let (mut stream, mut client) = pair().await;
        let _ = stream.write((0..BYTES).map(|index| (index / 7) as u8).collect());
        let given_up = future::or(async { stream.flush().await.is_ok() }, async {
            sleep(Duration::from_millis(20)).await;
            false
        });
        assert!(!given_up.await, "nobody reads, so the flush cannot end");
        assert!(stream.staged() > 0 && stream.staged() < BYTES);
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            all
        });
        stream.flush().await.unwrap();
        drop(stream);
        let all = joined(reader).await;
        assert_eq!(all.len(), BYTES);
        assert!(all.iter().enumerate().all(|(index, byte)| *byte == (index / 7) as u8));
    });
}

#[test]
fn a_dropped_read_loses_nothing() {
    on_executor(|| async {
        let (mut stream, mut client) = pair().await;
        for round in 0..20_u8 {
            let read = async { Some(stream.read().await.unwrap()) };
            let none = future::or(read, async {
                sleep(Duration::from_millis(1)).await;
                None
            });
            assert!(none.await.is_none());
            client.write_all(&[round; 3]).unwrap();
            assert_eq!(&*stream.read().await.unwrap(), &[round; 3]);
        }
    });
}

#[test]
fn a_full_buffer_is_followed_by_the_rest() {
    on_executor(|| async {
        let (mut stream, mut client) = pair().await;
        client.write_all(&vec![7; BUF_BYTES + 5]).unwrap();
        let mut len = 0;
        while len < BUF_BYTES + 5 {
            let buf = stream.read().await.unwrap();
            assert!(!buf.is_empty() && buf.iter().all(|byte| *byte == 7));
            len += buf.len();
        }
        assert_eq!(len, BUF_BYTES + 5);
    });
}

#[test]
fn a_plain_drop_sends_what_is_staged_and_an_abort_resets() {
    on_executor(|| async {
        let (mut stream, mut client) = pair().await;
        let _ = stream.write(b"last words".to_vec());
        drop(stream);
        let heard = thread::spawn(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).map(|_| all)
        });
        assert_eq!(joined(heard).await.unwrap(), b"last words");

        let (mut stream, mut client) = pair().await;
        let _ = stream.write(b"never said".to_vec());
        stream.abort();
        let reset = thread::spawn(move || client.read(&mut [0; 16]).unwrap_err().kind());
        assert_eq!(joined(reset).await, io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_by_the_peer_is_an_error_on_both_directions() {
    on_executor(|| async {
        let (mut stream, client) = pair().await;
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(stream.read().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let _ = stream.write(vec![0; 10]);
        assert_eq!(stream.flush().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn dialling_a_closed_port_and_a_silent_one_are_clear_errors() {
    on_executor(|| async {
        let (reserved, addr) = bind_reserved(LOCAL).unwrap();
        let refused = Stream::connect(addr, SECOND).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        drop(reserved);
        // A listener whose backlog is full never answers the next handshake.
        let listener = Listener::bind(LOCAL, 0).unwrap();
        let _fill: Vec<_> = (0..4)
            .map(|_| TcpStream::connect_timeout(&listener.local_addr(), Duration::from_millis(50)))
            .collect();
        let start = Instant::now();
        let silent = Stream::connect(listener.local_addr(), Duration::from_millis(100)).await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < 2 * SECOND);
    });
}

#[test]
fn the_adapter_reads_and_writes_like_any_stream() {
    on_executor(|| async {
        let (stream, mut client) = pair().await;
        let mut stream = AsyncStream::new(stream);
        client.write_all(b"one two three").unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"one ");
        let mut rest = [0; 9];
        stream.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"two three");
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            all
        });
        let sent: Vec<u8> = (0..3_000_000_u32).map(|index| (index / 11) as u8).collect();
        for chunk in sent.chunks(1_000) {
            stream.write_all(chunk).await.unwrap();
        }
        stream.close().await.unwrap();
        assert!(joined(reader).await == sent);
    });
}

#[test]
fn the_adapter_gives_out_first_what_was_read_before_it() {
    on_executor(|| async {
        let (mut stream, mut client) = pair().await;
        client.write_all(b"one ").unwrap();
        let read_ahead = stream.read().await.unwrap();
        let mut stream = AsyncStream::with_read_ahead(stream, read_ahead);
        assert_eq!((stream.peer_addr(), stream.unsent()), (client.local_addr().unwrap(), 0));
        client.write_all(b"two").unwrap();
        let mut words = [0; 7];
        stream.read_exact(&mut words).await.unwrap();
        assert_eq!(&words, b"one two");
        stream.write_all(b"answer").await.unwrap();
        assert_eq!(stream.unsent(), 6);
    });
}
