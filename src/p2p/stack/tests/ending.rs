use std::io;

use futures_lite::future::{poll_once, yield_now};

use super::streams::next;
use super::*;

#[test]
fn closing_awaits_the_streams_that_are_open_and_then_ends_both_sides_in_good_order() {
    for seed in 0..20 {
        Sim::run(seed, |sim| async move {
            let (a, b) = pair(&sim, Link::ROUGH, &StackOptions::default(), Inbound::Keep).await;
            let (mut mine, _) = a.handle.open(&[ECHO]).await.unwrap();
            mine.write_all(b"question").await.unwrap();
            let mut yours = next(&b).await.negotiate(&[ECHO]).await.unwrap().0;
            yours.read_exact(&mut [0; 8]).await.unwrap();
            b.handle.close();
            assert!(b.handle.is_ending() && !b.handle.is_closed());
            assert!(matches!(b.handle.open(&[ECHO]).await, Err(OpenError::Closed)));
            // One that comes too late is reset.
            let (mut late, _) = a.handle.open(&[ECHO]).await.unwrap();
            late.write_all(b"late").await.unwrap();
            assert!(late.read(&mut [0; 4]).await.is_err());
            drop(late);

            yours.write_all(&text(200_000, 1)).await.unwrap();
            yours.close().await.unwrap();
            drop(yours);
            let mut heard = Vec::new();
            mine.read_to_end(&mut heard).await.unwrap();
            assert!(heard == text(200_000, 1), "what was on its way arrives");
            drop(mine);
            b.ended.await.unwrap();
            a.ended.await.unwrap();
            a.handle.closed().await;
            assert!(a.handle.is_closed() && b.handle.is_closed());
            assert!(matches!(a.handle.open(&[ECHO]).await, Err(OpenError::Closed)));
        });
    }
}

#[test]
fn what_was_said_before_the_good_bye_is_heard_to_its_end() {
    for (link, length) in [(Link::PLAIN, 5), (Link::ROUGH, 5), (Link::ROUGH, 100_000), (Link::TINY, 300)] {
        // Whether the answerer closes its side, or drops the stream as one whose other side has nothing more to say.
        for (seed, closes) in (0..40).flat_map(|seed| [(seed, true), (seed, false)]) {
            Sim::run(seed, move |sim| async move {
                let (a, b) = pair(&sim, link, &StackOptions::default(), Inbound::Keep).await;
                let (mut mine, _) = a.handle.open(&[ECHO]).await.unwrap();
                mine.write_all(b"question").await.unwrap();
                mine.close().await.unwrap();
                let mut yours = next(&b).await.negotiate(&[ECHO]).await.unwrap().0;
                yours.read_to_end(&mut Vec::new()).await.unwrap();
                yours.write_all(&text(length, 1)).await.unwrap();
                if closes {
                    yours.close().await.unwrap();
                }
                drop(yours);
                b.handle.close();
                if seed % 2 == 0 {
                    a.handle.closed().await;
                }
                let mut heard = Vec::new();
                let end = mine.read_to_end(&mut heard).await;
                let how =
                    format!("seed {seed}, {link:?}, closes: {closes}, {} of {length} bytes", heard.len());
                assert!(heard == text(length, 1), "{how}: {end:?}");
                end.unwrap_or_else(|error| panic!("{how}: {error}"));
            });
        }
    }
}

#[test]
fn both_sides_may_close_at_the_same_time() {
    for seed in 0..20 {
        Sim::run(seed, |sim| async move {
            let (a, b) = pair(&sim, Link::ROUGH, &StackOptions::default(), Inbound::Echo).await;
            ask(&a.handle, b"hello").await;
            a.handle.close();
            b.handle.close();
            a.ended.await.unwrap();
            b.ended.await.unwrap();
        });
    }
}

#[test]
fn a_connection_that_runs_out_of_stream_numbers_ends_in_good_order() {
    Sim::run(1, |sim| async move {
        let (a, b) = pair(&sim, Link::ROUGH, &StackOptions::default(), Inbound::Echo).await;
        a.handle.shared.last_stream.set(9);
        let (mut held, _) = a.handle.open(&[ECHO]).await.unwrap();
        for _ in 0..4 {
            assert!(!a.handle.is_ending());
            ask(&a.handle, b"hello").await;
        }
        assert!(a.handle.is_ending());
        assert!(matches!(a.handle.open(&[ECHO]).await, Err(OpenError::Closed)));
        held.write_all(b"still here").await.unwrap();
        held.close().await.unwrap();
        let mut heard = Vec::new();
        held.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"still here");
        drop(held);
        a.ended.await.unwrap();
        b.ended.await.unwrap();
    });
}

#[test]
fn closing_towards_a_peer_that_says_nothing_more_is_ended_by_aborting() {
    Sim::run(1, |sim| async move {
        let (dialer, _silent, tap) =
            tapped_pair(&sim, Link::PLAIN, &StackOptions::default(), Inbound::Echo).await;
        ask(&dialer.handle, b"hello").await;
        tap.block(true);
        dialer.handle.close();
        for _ in 0..1_000 {
            yield_now().await;
        }
        assert!(!dialer.ended.is_done());
        dialer.handle.abort();
        let error = dialer.ended.await.unwrap_err();
        assert!(matches!(error, ConnectionError::Aborted), "{error}");
    });
}

#[test]
fn when_a_connection_ends_everybody_hears_of_it() {
    for how in 0..3 {
        Sim::run(how, move |sim| async move {
            let many = StackOptions { max_streams: 1_000, ..StackOptions::default() };
            let (a, b) = pair(&sim, Link::PLAIN, &many, Inbound::Keep).await;
            let (mut reading, _) = a.handle.open(&[ECHO]).await.unwrap();
            let reader = sim.spawn(async move { reading.read(&mut [0; 1]).await });
            let (mut writing, _) = a.handle.open(&[ECHO]).await.unwrap();
            let writer = sim.spawn(async move { writing.write_all(&text(1 << 20, 1)).await });
            let mut idle = Vec::new();
            for _ in 0..254 {
                idle.push(a.handle.open(&[ECHO]).await.unwrap().0);
            }
            let mut opener = Box::pin(a.handle.open(&[ECHO]));
            assert!(poll_once(&mut opener).await.is_none());
            let handle = a.handle.clone();
            let waiter = sim.spawn(async move { handle.closed().await });
            for _ in 0..1_000 {
                yield_now().await;
            }
            match how {
                0 => a.handle.abort(),
                1 => b.handle.abort(),
                _ => drop(b.kept.borrow_mut().drain(..)),
            }
            if how == 2 {
                b.handle.close();
            }
            let kind = reader.await.unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::ConnectionReset);
            assert_eq!(writer.await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            if how == 2 {
                // The streams are gone, and so the connection ends in good order.
                drop(idle);
            }
            let opened = opener.await;
            if how < 2 {
                assert!(matches!(opened, Err(OpenError::Closed)));
            } else {
                drop(opened);
            }
            waiter.await;
            let ended = a.ended.await;
            assert_eq!(ended.is_ok(), how > 0, "{ended:?}");
        });
    }
}

#[test]
fn a_driver_that_is_dropped_ends_the_connection() {
    Sim::run(1, |sim| async move {
        let (mine, yours) = wire(&sim, Link::PLAIN);
        let (a, b) = keys();
        let options = StackOptions::default();
        let listener = sim.spawn(async move { upgrade(yours, Role::Listener, &b, &options).await.unwrap() });
        let (handle, driver, _) = upgrade(mine, Role::Dialer { expected: None }, &a, &options).await.unwrap();
        let (mut stream, _) = handle.open(&[ECHO]).await.unwrap();
        let mut running = Box::pin(driver.run(drop));
        assert!(poll_once(&mut running).await.is_none());
        let (_, other, _) = listener.await;
        drop(running);
        assert!(handle.is_closed());
        assert!(stream.write(b"x").await.is_err());
        assert!(matches!(handle.open(&[ECHO]).await, Err(OpenError::Closed)));
        handle.closed().await;
        // The wire has ended between two messages, which is an end.
        other.run(drop).await.unwrap();
    });
}

#[test]
fn a_wire_that_is_cut_ends_both_sides_at_any_byte() {
    let seeds = 0..150;
    let (mut good, mut bad) = (0, 0);
    for seed in seeds {
        let mut link = Link { piece: 300, ..Link::ROUGH };
        link.cut[seed as usize % 2] = Some(700 + 37 * seed as usize);
        let ended = Sim::run(seed, move |sim| async move {
            let (a, b) = pair(&sim, link, &StackOptions::default(), Inbound::Echo).await;
            let handle = a.handle.clone();
            let asking = sim.spawn(async move {
                loop {
                    let Ok((mut stream, _)) = handle.open(&[ECHO]).await else { return };
                    let said = text(900, 1);
                    let _ = stream.write_all(&said).await;
                    let _ = stream.close().await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            });
            asking.await;
            [a.ended.await, b.ended.await]
        });
        for end in ended {
            match end {
                Ok(()) => good += 1,
                Err(ConnectionError::Io(_)) => bad += 1,
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
    }
    assert!(good > 0 && bad > 0, "{good} {bad}");
}
