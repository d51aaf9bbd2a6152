use std::cell::Cell;

use futures_lite::future::{poll_once, yield_now};

use super::streams::next;
use super::*;

#[test]
fn streams_past_the_bound_are_reset_and_counted_and_the_others_stay() {
    Sim::run(2, |sim| async move {
        let (mine, yours) = wire(&sim, Link::ROUGH);
        let (a, b) = keys();
        let few = StackOptions { max_streams: 8, ..StackOptions::default() };
        let listener = sim.spawn(async move { upgrade(yours, Role::Listener, &b, &few).await.unwrap() });
        let many = StackOptions::default();
        let (handle, driver, _) = upgrade(mine, Role::Dialer { expected: None }, &a, &many).await.unwrap();
        let dialer = start(&sim, handle, driver, Inbound::Echo);
        let (handle, driver, _) = listener.await;
        let hits = Rc::new(Cell::new(0));
        let hit = hits.clone();
        let driver = driver.on_refused(Rc::new(move || hit.set(hit.get() + 1)));
        let listener = start(&sim, handle, driver, Inbound::Keep);
        let mut streams = Vec::new();
        for _ in 0..13 {
            let (mut stream, _) = dialer.handle.open(&[ECHO]).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.flush().await.unwrap();
            streams.push(stream);
        }
        let mut reset = 0;
        for stream in &mut streams[8..] {
            reset += usize::from(stream.read(&mut [0; 5]).await.is_err());
        }
        assert_eq!((reset, hits.get(), listener.handle.refused_streams()), (5, 5, 5));
        assert_eq!(listener.handle.streams(), 8);
        for _ in 0..8 {
            sim.spawn(echo(next(&listener).await));
        }
        for stream in &mut streams[..8] {
            stream.read_exact(&mut [0; 5]).await.unwrap();
        }
        drop(streams);
        while listener.handle.streams() > 0 {
            yield_now().await;
        }
        sim.spawn(async move { echo(next(&listener).await).await });
        ask(&dialer.handle, b"there is room again").await;
    });
}

#[test]
fn a_peer_that_keeps_opening_streams_loses_the_connection() {
    Sim::run(2, |sim| async move {
        let (mine, yours) = wire(&sim, Link::PLAIN);
        let (a, b) = keys();
        let few = StackOptions { max_streams: 8, ..StackOptions::default() };
        let listener = sim.spawn(async move { upgrade(yours, Role::Listener, &b, &few).await.unwrap() });
        let many = StackOptions::default();
        let (handle, driver, _) = upgrade(mine, Role::Dialer { expected: None }, &a, &many).await.unwrap();
        let dialer = start(&sim, handle, driver, Inbound::Echo);
        let (handle, driver, _) = listener.await;
        let listener = start(&sim, handle, driver, Inbound::Keep);
        while let Ok((mut stream, _)) = dialer.handle.open(&[ECHO]).await {
            let _ = stream.write_all(b"hello").await;
            std::mem::forget(stream);
            if dialer.handle.streams() > 40 {
                break;
            }
        }
        let error = listener.ended.await.unwrap_err();
        assert!(matches!(error, ConnectionError::Flooded { max_streams: 8 }), "{error}");
        drop(dialer.ended.await);
        assert!(dialer.handle.is_closed() && listener.handle.is_closed());
    });
}

#[test]
fn more_streams_of_ours_than_allowed_are_refused() {
    Sim::run(2, |sim| async move {
        let few = StackOptions { max_streams: 8, ..StackOptions::default() };
        let (a, _b) = pair(&sim, Link::PLAIN, &few, Inbound::Echo).await;
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(a.handle.open(&[ECHO]).await.unwrap());
        }
        let error = a.handle.open(&[ECHO]).await.unwrap_err();
        assert!(matches!(error, OpenError::TooManyStreams { max_streams: 8 }), "{error}");
        streams.pop();
        ask(&a.handle, b"hello").await;
    });
}

#[test]
fn openers_wait_while_the_peer_acknowledges_none_and_one_that_gives_up_leaves_nothing() {
    Sim::run(2, |sim| async move {
        let many = StackOptions { max_streams: 1_000, ..StackOptions::default() };
        let (a, b) = pair(&sim, Link::PLAIN, &many, Inbound::Keep).await;
        let mut streams = Vec::new();
        for _ in 0..256 {
            let (mut stream, _) = a.handle.open(&[ECHO]).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            streams.push(stream);
        }
        let mut opening: Vec<_> = (0..10).map(|_| Box::pin(a.handle.open(&[ECHO]))).collect();
        for one in &mut opening {
            assert!(poll_once(one).await.is_none(), "256 streams are unanswered");
        }
        // Half of them give up. One of those may be the one that was told of the room there is.
        let answered = sim.spawn(async move {
            for _ in 0..5 {
                answer(&b).await;
            }
            b
        });
        let b = answered.await;
        opening.drain(..5);
        for one in opening {
            streams.push(one.await.unwrap().0);
        }
        assert_eq!(a.handle.streams(), 261);
        drop(streams);
        while a.handle.streams() > 0 {
            yield_now().await;
        }
        drop(b);
    });
}

async fn answer(side: &Side) {
    let (mut stream, _) = next(side).await.negotiate(&[ECHO]).await.unwrap();
    stream.write_all(b"answer").await.unwrap();
    stream.flush().await.unwrap();
    std::mem::forget(stream);
}

#[test]
fn a_thousand_streams_that_are_dropped_at_once_leave_nothing_and_end_nothing() {
    Sim::run(2, |sim| async move {
        let few = StackOptions { max_streams: 8, ..StackOptions::default() };
        let (a, b) = pair(&sim, Link::ROUGH, &few, Inbound::Echo).await;
        for _ in 0..1_000 {
            drop(a.handle.open(&[ECHO]).await.unwrap());
        }
        ask(&a.handle, b"hello").await;
        assert_eq!((a.handle.streams(), b.handle.streams()), (0, 0));
        assert_eq!(b.handle.refused_streams(), 0);
    });
}

#[test]
fn a_peer_that_stops_reading_shows_and_one_that_goes_on_shows_too() {
    Sim::run(4, |sim| async move {
        let (dialer, listener, tap) =
            tapped_pair(&sim, Link { holds: 4_000, ..Link::PLAIN }, &StackOptions::default(), Inbound::Echo)
                .await;
        ask(&dialer.handle, b"hello").await;
        assert_eq!(dialer.handle.stalled(), None);

        tap.block(true);
        let handle = dialer.handle.clone();
        let asking = sim.spawn(async move { ask(&handle, &text(200_000, 3)).await });
        for _ in 0..1_000 {
            yield_now().await;
        }
        let count = dialer.handle.stalled();
        assert!(count.is_some());
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(dialer.handle.stalled(), count, "nothing was taken since");
        let mut opening = Box::pin(dialer.handle.open(&[ECHO]));
        assert!(poll_once(&mut opening).await.is_none(), "nothing is opened meanwhile");

        tap.block(false);
        asking.await;
        drop(opening.await.unwrap());
        while dialer.handle.stalled().is_some() || listener.handle.stalled().is_some() {
            yield_now().await;
        }
        assert_eq!(listener.handle.streams(), 0);
    });
}

#[test]
fn nobody_polls_an_idle_connection() {
    Sim::run(4, |sim| async move {
        let (a, _b) = pair(&sim, Link::PLAIN, &StackOptions::default(), Inbound::Echo).await;
        ask(&a.handle, b"hello").await;
        for _ in 0..100 {
            yield_now().await;
        }
        let before = sim.polls();
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(sim.polls() - before, 100, "nobody but this test was polled");
    });
}
