use super::super::one_thread::{Flush, OneThread};
use super::super::upgrade::{Secured, secure};
use super::streams::next;
use super::*;

/// A peer that has shaken hands and from there on sends what it likes, before a side that runs by the rules.
async fn hostile(sim: &Sim, options: StackOptions, inbound: Inbound) -> (Secured<End>, Side) {
    let (mine, yours) = wire(sim, Link::PLAIN);
    let (a, b) = keys();
    let listener = sim.spawn(async move { upgrade(yours, Role::Listener, &b, &options).await.unwrap() });
    let (io, gauge) = OneThread::new(mine);
    let key = NoiseKey::new(&a).unwrap();
    let (mut peer, _) = secure(io, Role::Dialer { expected: None }, &key).await.unwrap();
    gauge.flush.set(Flush::Now);
    peer.flush().await.unwrap();
    let (handle, driver, _) = listener.await;
    (peer, start(sim, handle, driver, inbound))
}

fn frame(kind: u8, flags: u8, stream: u32, length: u32, body: &[u8]) -> Vec<u8> {
    let header = [&[0, kind, 0, flags][..], &stream.to_be_bytes(), &length.to_be_bytes()].concat();
    [&header, body].concat()
}

fn data(flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, body.len() as u32, body)
}

/// How a connection ends whose peer sends these bytes, which it does not end itself.
fn ended_by(bytes: Vec<u8>) -> Result<(), ConnectionError> {
    Sim::run(1, |sim| async move {
        let (mut peer, side) = hostile(&sim, StackOptions::default(), Inbound::Echo).await;
        // Between the two it may find the connection gone.
        let _ = peer.write_all(&bytes).await;
        let _ = peer.flush().await;
        side.ended.await
    })
}

const SYN: u8 = 1;
const FIN: u8 = 4;

#[test]
fn a_peer_that_breaks_the_rules_of_yamux_loses_the_connection() {
    let cases = [
        ("another version", vec![1; 12]),
        ("an unknown kind", frame(9, 0, 0, 0, b"")),
        ("a frame of 100 MB", frame(0, SYN, 1, 100 << 20, b"")),
        ("a stream with our kind of number", data(SYN, 2, b"x")),
        ("a stream twice", [data(SYN, 1, b"x"), data(SYN, 1, b"x")].concat()),
        ("more than the window", [data(SYN, 1, b""), data(0, 1, &[0; 300_000])].concat()),
        ("more than the window at first", data(SYN, 1, &[0; 300_000])),
        ("a window that overflows", [data(SYN, 1, b""), frame(1, 0, 1, u32::MAX, b"")].concat()),
        ("an answer to no ping", frame(2, 2, 0, 77, b"")),
        ("text", b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec()),
    ];
    for (case, bytes) in cases {
        let error = ended_by(bytes).expect_err(case);
        assert!(matches!(error, ConnectionError::Violation(_)), "{case}: {error}");
    }
    ended_by(frame(3, 0, 0, 0, b"")).expect("to go away is an end");
    // What it says of streams that are not there is not its fault: they may just have ended.
    let unknown = [data(0, 9, b"x"), frame(1, 0, 9, 1, b""), data(8, 9, b""), frame(3, 0, 0, 0, b"")];
    ended_by(unknown.concat()).expect("to go away is an end");
}

#[test]
fn random_bytes_end_the_connection_or_mean_something_and_never_more() {
    for seed in 0..300 {
        let mut bytes = text(400, seed);
        // Half of the time they begin as a stream does.
        if seed % 2 == 0 {
            bytes.splice(0..0, data(SYN, 1, b"\x13/multistream/1.0.0\n"));
        }
        let ended = Sim::try_run(seed, move |sim| async move {
            let (mut peer, side) = hostile(&sim, StackOptions::default(), Inbound::Echo).await;
            let _ = peer.write_all(&bytes).await;
            let _ = peer.close().await;
            drop(peer);
            side.ended.await
        });
        assert!(ended.is_some(), "seed {seed}: it does not end");
    }
}

#[test]
fn a_peer_that_does_not_speak_yamux_is_told_apart() {
    Sim::run(1, |sim| async move {
        let (mine, yours) = wire(&sim, Link::PLAIN);
        let (a, b) = keys();
        let options = StackOptions::default();
        let dialer =
            sim.spawn(
                async move { upgrade(mine, Role::Dialer { expected: None }, &a, &options).await.unwrap() },
            );
        let (io, gauge) = OneThread::new(yours);
        let (_, mut io) = multistream_select::listener_select_proto(io, ["/noise"]).await.unwrap();
        let noise = libp2p_noise::Config::new(&b).unwrap();
        io.flush().await.unwrap();
        use libp2p_core::upgrade::InboundConnectionUpgrade as _;
        let accepting = sim.spawn(noise.upgrade_inbound(io, "/noise"));
        let (handle, driver, _) = dialer.await;
        let side = start(&sim, handle, driver, Inbound::Echo);
        let (_, mut peer) = accepting.await.unwrap();
        gauge.flush.set(Flush::Now);
        peer.write_all(b"\x13/multistream/1.0.0\n\x03na\n").await.unwrap();
        peer.flush().await.unwrap();
        let error = side.ended.await.unwrap_err();
        assert!(matches!(error, ConnectionError::NotYamux), "{error}");
    });
}

#[test]
fn noise_that_was_tampered_with_ends_the_connection() {
    let mut found = 0;
    for seed in 0..60 {
        let mut link = Link::ROUGH;
        link.spoiled[seed as usize % 2] = Some(600 + 11 * seed as usize);
        let ended = Sim::try_run(seed, move |sim| async move {
            let (a, b) = pair(&sim, link, &StackOptions::default(), Inbound::Echo).await;
            let handle = a.handle.clone();
            sim.spawn(async move {
                while let Ok((mut stream, _)) = handle.open(&[ECHO]).await {
                    let _ = stream.write_all(&text(500, 1)).await;
                    let _ = stream.close().await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            });
            [a.ended.await, b.ended.await]
        });
        let violation = |end: &Result<(), ConnectionError>| matches!(end, Err(ConnectionError::Violation(_)));
        found += usize::from(ended.is_some_and(|ends| ends.iter().any(violation)));
    }
    assert!(found > 50, "{found} of 60");
}

#[test]
fn a_peer_that_fills_every_stream_and_is_not_read_loses_the_connection() {
    Sim::run(1, |sim| async move {
        let options = StackOptions { max_unread_bytes: 1 << 20, ..StackOptions::default() };
        let (mut peer, side) = hostile(&sim, options, Inbound::Keep).await;
        for stream in 0..40 {
            let fill = data(SYN, 1 + 2 * stream, &[7; 100_000]);
            if peer.write_all(&fill).await.is_err() || peer.flush().await.is_err() {
                break;
            }
        }
        let error = side.ended.await.unwrap_err();
        assert!(matches!(error, ConnectionError::Unread { max_bytes: 1_048_576 }), "{error}");
    });
}

#[test]
fn what_is_read_or_given_up_does_not_count_as_unread() {
    Sim::run(1, |sim| async move {
        let options = StackOptions { max_unread_bytes: 1 << 20, ..StackOptions::default() };
        let (mut peer, side) = hostile(&sim, options, Inbound::Keep).await;
        for stream in 0..60 {
            let begins = b"\x13/multistream/1.0.0\n\x0c/echo/1.0.0\n";
            peer.write_all(&data(SYN, 1 + 2 * stream, begins)).await.unwrap();
            peer.write_all(&data(FIN, 1 + 2 * stream, &[7; 100_000])).await.unwrap();
            peer.flush().await.unwrap();
            let inbound = next(&side).await;
            if stream % 2 == 0 {
                let (mut stream, _) = inbound.negotiate(&[ECHO]).await.unwrap();
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.unwrap();
                assert_eq!(heard.len(), 100_000);
            }
        }
        assert!(!side.ended.is_done());
    });
}

#[test]
fn a_flood_of_streams_from_a_peer_that_reads_nothing_ends() {
    Sim::run(1, |sim| async move {
        let (mut peer, side) = hostile(&sim, StackOptions::default(), Inbound::Echo).await;
        for stream in 0..100_000_u32 {
            let begins = b"\x13/multistream/1.0.0\n\x0c/echo/1.0.0\n";
            let frames = data(SYN, 1 + 2 * stream, &[&begins[..], &[7; 2_000]].concat());
            if peer.write_all(&frames).await.is_err() || peer.flush().await.is_err() {
                break;
            }
        }
        let error = side.ended.await.unwrap_err();
        assert!(matches!(error, ConnectionError::Flooded { .. } | ConnectionError::Unread { .. }), "{error}");
    });
}

#[test]
fn a_stream_that_negotiates_badly_is_lost_and_the_connection_stays() {
    Sim::run(1, |sim| async move {
        let (mut peer, side) = hostile(&sim, StackOptions::default(), Inbound::Keep).await;
        let bad: [&[u8]; 4] =
            [b"\x05hello", b"\xff\xff\xff", b"\x00\x00", b"\x13/multistream/1.0.0\n\x03no\n"];
        for (number, bytes) in (0..).zip(bad) {
            peer.write_all(&data(SYN, 1 + 2 * number, bytes)).await.unwrap();
            peer.flush().await.unwrap();
            let error = next(&side).await.negotiate(&[ECHO]).await.unwrap_err();
            assert!(matches!(error, NegotiateError::Violation(_)), "{error}");
        }
        peer.write_all(&data(SYN | FIN, 21, b"\x13/multi")).await.unwrap();
        peer.flush().await.unwrap();
        let error = next(&side).await.negotiate(&[ECHO]).await.unwrap_err();
        assert!(matches!(error, NegotiateError::Io(_)), "{error}");
        assert!(!side.ended.is_done() && side.handle.streams() == 0);
    });
}
