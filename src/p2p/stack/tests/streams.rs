use std::io;

use futures_lite::future::zip;

use super::*;

#[test]
fn streams_carry_what_is_said_on_them_both_ways_at_once_over_any_wire() {
    for seed in 0..40 {
        Sim::run(seed, move |sim| async move {
            let link = [Link::PLAIN, Link::ROUGH, Link::ROUGH, Link::TINY][seed as usize % 4];
            let most = if seed % 4 == 3 { 2_000 } else { 60_000 };
            let (a, b) = pair(&sim, link, &StackOptions::default(), Inbound::Echo).await;
            let mut asking = Vec::new();
            for number in 0..20 {
                let handle = [&a, &b][number % 2].handle.clone();
                let said = text(sim.below(most), number as u64);
                asking.push(sim.spawn(async move { ask(&handle, &said).await }));
            }
            for one in asking {
                one.await;
            }
            assert_eq!((a.handle.streams(), b.handle.streams()), (0, 0));
            assert!(a.handle.stalled().is_none() && !a.ended.is_done() && !b.ended.is_done());
        });
    }
}

#[test]
fn a_megabyte_and_more_goes_through_beside_small_talk() {
    Sim::run(7, |sim| async move {
        let (a, b) = pair(&sim, Link::ROUGH, &StackOptions::default(), Inbound::Echo).await;
        let large = sim.spawn({
            let handle = a.handle.clone();
            async move { stream_through(&handle, text(1 << 20, 1)).await }
        });
        for _ in 0..20 {
            ask(&b.handle, b"small").await;
        }
        large.await;
    });
}

/// Says and hears at the same time, which is what more than a window's worth needs.
async fn stream_through(handle: &Handle, said: Vec<u8>) {
    let (stream, _) = handle.open(&[ECHO]).await.unwrap();
    let (mut reader, mut writer) = futures_lite::io::split(stream);
    let mut heard = Vec::new();
    let say = async {
        writer.write_all(&said).await.unwrap();
        writer.close().await.unwrap();
    };
    zip(say, reader.read_to_end(&mut heard)).await.1.unwrap();
    assert!(heard == said);
}

#[test]
fn a_stream_that_nobody_reads_stops_itself_and_no_other() {
    Sim::run(3, |sim| async move {
        let (a, b) = pair(&sim, Link::ROUGH, &StackOptions::default(), Inbound::Keep).await;
        let (mut stuck, _) = a.handle.open(&[ECHO]).await.unwrap();
        let writing = sim.spawn(async move {
            let written = stuck.write_all(&text(1 << 20, 1)).await;
            drop(stuck);
            written
        });
        while b.kept.borrow().is_empty() {
            futures_lite::future::yield_now().await;
        }
        let first = b.kept.borrow_mut().pop().unwrap();
        for _ in 0..10 {
            ask(&b.handle, &text(10_000, 2)).await;
        }
        assert!(!writing.is_done(), "256 KiB are all that may wait");
        drop(first);
        let error = writing.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
    });
}

#[test]
fn a_side_that_has_said_all_still_hears() {
    Sim::run(5, |sim| async move {
        let (a, b) = pair(&sim, Link::ROUGH, &StackOptions::default(), Inbound::Keep).await;
        let (mut mine, _) = a.handle.open(&[ECHO]).await.unwrap();
        mine.write_all(b"question").await.unwrap();
        mine.close().await.unwrap();
        let mut yours = next(&b).await.negotiate(&[ECHO]).await.unwrap().0;
        let mut heard = Vec::new();
        yours.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"question");
        yours.write_all(&text(100_000, 9)).await.unwrap();
        yours.close().await.unwrap();
        drop(yours);
        let mut answer = Vec::new();
        mine.read_to_end(&mut answer).await.unwrap();
        assert!(answer == text(100_000, 9));
        assert!(mine.write_all(b"more").await.is_err());
    });
}

/// The next stream that was opened to a side that keeps them.
pub(super) async fn next(side: &Side) -> InboundStream {
    loop {
        let kept = side.kept.borrow_mut().pop();
        match kept {
            Some(stream) => return stream,
            None => futures_lite::future::yield_now().await,
        }
    }
}

#[test]
fn a_dropped_stream_is_reset_and_the_other_side_can_tell() {
    Sim::run(5, |sim| async move {
        let (a, b) = pair(&sim, Link::PLAIN, &StackOptions::default(), Inbound::Keep).await;
        let (mut mine, _) = a.handle.open(&[ECHO]).await.unwrap();
        mine.write_all(b"question").await.unwrap();
        let mut yours = next(&b).await.negotiate(&[ECHO]).await.unwrap().0;
        yours.write_all(b"half an ans").await.unwrap();
        yours.reset();
        let mut heard = Vec::new();
        let error = mine.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!((heard.as_slice(), error.kind()), (&b"half an ans"[..], io::ErrorKind::ConnectionReset));
        assert_eq!(mine.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn of_several_protocols_the_first_that_the_peer_speaks_is_agreed_on() {
    Sim::run(5, |sim| async move {
        let (a, _b) = pair(&sim, Link::TINY, &StackOptions::default(), Inbound::Echo).await;
        let (mut stream, agreed) = a.handle.open(&["/a/1", "/b/1", ECHO, "/other/1.0.0"]).await.unwrap();
        assert_eq!(agreed, 2);
        stream.write_all(b"hello").await.unwrap();
        stream.close().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"hello");
        let none = a.handle.open(&["/a/1", "/b/1"]).await.unwrap_err();
        assert!(matches!(none, OpenError::Negotiate(NegotiateError::Refused)), "{none}");
        let nothing = a.handle.open(&[]).await.unwrap_err();
        assert!(matches!(nothing, OpenError::Negotiate(NegotiateError::Refused)), "{nothing}");
    });
}

#[test]
fn a_protocol_that_was_taken_for_granted_and_is_not_spoken_fails_the_first_read() {
    for seed in 0..20 {
        Sim::run(seed, |sim| async move {
            let (a, _b) = pair(&sim, Link::ROUGH, &StackOptions::default(), Inbound::Echo).await;
            let (mut stream, _) = a.handle.open(&["/mcp+p2p/1.0.0"]).await.unwrap();
            stream.write_all(b"\x00\x00\x00\x02{}").await.unwrap();
            let error = stream.read(&mut [0; 10]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
            assert_eq!(error.to_string(), "the peer does not speak /mcp+p2p/1.0.0");
        });
    }
}

#[test]
fn a_request_and_its_answer_take_one_packet_each() {
    Sim::run(1, |sim| async move {
        let (dialer, listener, tap) =
            tapped_pair(&sim, Link::PLAIN, &StackOptions::default(), Inbound::Keep).await;
        ping(&dialer, &listener).await;
        let before = tap.sends();
        for _ in 0..10 {
            ping(&dialer, &listener).await;
        }
        let sends = [0, 1].map(|side| tap.sends()[side] - before[side]);
        assert_eq!(sends[1], 10, "the answer to the proposal and the answer to the request go together");
        assert_eq!(sends[0], 10, "the proposal and the request go together");
        let (mut held, _) = dialer.handle.open(&[ECHO]).await.unwrap();
        let before = tap.sends();
        for _ in 0..32 {
            held.write_all(&text(150, 4)).await.unwrap();
            held.flush().await.unwrap();
            if sim.polls() == u64::MAX {
                unreachable!("polls are bounded");
            }
        }
        next(&listener).await;
        assert!(tap.sends()[0] - before[0] <= 4, "writes of one turn go together: {:?}", tap.sends());
    });
}

#[test]
fn many_requests_of_one_packet_are_answered_in_several() {
    Sim::run(1, |sim| async move {
        let (dialer, _listener, tap) =
            tapped_pair(&sim, Link::PLAIN, &StackOptions::default(), Inbound::EchoAtOnce).await;
        ask(&dialer.handle, b"first").await;
        let (mut asked, before) = (Vec::new(), tap.sends());
        // Nothing here waits, so all of it leaves in one turn of the driver.
        for _ in 0..32 {
            let (mut stream, _) = dialer.handle.open(&[ECHO]).await.unwrap();
            stream.write_all(&text(150, 4)).await.unwrap();
            asked.push(stream);
        }
        for stream in &mut asked {
            stream.read_exact(&mut [0; 150]).await.unwrap();
        }
        let sends = [0, 1].map(|side| tap.sends()[side] - before[side]);
        assert!(sends[0] <= 3, "{sends:?}");
        assert!((4..=8).contains(&sends[1]), "the first are answered before the last are read: {sends:?}");
    });
}

/// A stream with a request and an answer, and both sides gone afterwards.
async fn ping(dialer: &Side, listener: &Side) {
    let (mut mine, _) = dialer.handle.open(&[ECHO]).await.unwrap();
    mine.write_all(b"ping").await.unwrap();
    let mut yours = next(listener).await.negotiate(&[ECHO]).await.unwrap().0;
    yours.read_exact(&mut [0; 4]).await.unwrap();
    yours.write_all(b"pong").await.unwrap();
    mine.read_exact(&mut [0; 4]).await.unwrap();
    // Not closed yet, so that no frame of the end is in a packet of its own.
    std::mem::forget((mine, yours));
}
