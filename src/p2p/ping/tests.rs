use std::cell::Cell;

use futures_lite::future::{block_on, zip};

use super::super::pipe::pipe;
use super::*;

/// Answers to the end of the stream, and says how often.
async fn answer_all(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<u64, PingError> {
    let mut count = 0;
    while answer(&mut stream).await? {
        count += 1;
    }
    Ok(count)
}

#[test]
fn pings_come_back_until_the_asker_closes() {
    let (mut asker, answerer) = pipe();
    let time = Cell::new(Duration::ZERO);
    let clock = || time.replace(time.get() + Duration::from_millis(7));
    let asking = async move {
        for _ in 0..3 {
            assert_eq!(ask(&mut asker, clock).await.unwrap(), Duration::from_millis(7));
        }
        asker.close().await.unwrap();
        // The answerer closes its side too.
        assert_eq!(asker.read(&mut [0; 1]).await.unwrap(), 0);
    };
    let (count, ()) = block_on(zip(answer_all(answerer), asking));
    assert_eq!(count.unwrap(), 3);
}

#[test]
fn each_ping_is_another() {
    let (mut asker, mut other) = pipe();
    let asking = async {
        for _ in 0..2 {
            ask(&mut asker, || Duration::ZERO).await.unwrap();
        }
    };
    let echoing = async {
        let mut pings = [[0; PING_BYTES]; 2];
        for ping in &mut pings {
            other.read_exact(ping).await.unwrap();
            // An echo in pieces is an echo.
            other.write_all(&ping[..5]).await.unwrap();
            other.write_all(&ping[5..]).await.unwrap();
        }
        assert_ne!(pings[0], pings[1]);
    };
    block_on(zip(asking, echoing));
}

#[test]
fn a_wrong_or_short_echo_is_an_error() {
    for (echo, expected) in
        [(&[1; PING_BYTES][..], "other bytes"), (&[1; 31], "ended inside"), (&[], "ended inside")]
    {
        let (mut asker, mut other) = pipe();
        let echoing = async move {
            other.read_exact(&mut [0; PING_BYTES]).await.unwrap();
            other.write_all(echo).await.unwrap();
        };
        let (asked, ()) = block_on(zip(ask(&mut asker, || Duration::ZERO), echoing));
        let error = asked.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_ping_that_is_cut_short_is_an_error_of_its_stream_alone() {
    let (mut asker, answerer) = pipe();
    let cut = async move {
        asker.write_all(&[7; PING_BYTES + 31]).await.unwrap();
        asker.close().await.unwrap();
        let mut all = Vec::new();
        asker.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [7; PING_BYTES]);
    };
    let (answered, ()) = block_on(zip(answer_all(answerer), cut));
    assert!(matches!(answered, Err(PingError::CutShort)));
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from() {
    let (mut asker, answerer) = pipe();
    // Two directions of 64 bytes and one ping in the answerer's hands are all that fits.
    let flood = async move {
        let mut sent = 0;
        while future_or_stuck(asker.write(&[1])).await.is_some() {
            sent += 1;
            assert!(sent < 1_000, "the answerer takes what nobody reads");
        }
        sent
    };
    let answering = async {
        let _ = answer_all(answerer).await;
        0
    };
    let sent = block_on(futures_lite::future::or(answering, flood));
    assert!((129..=200).contains(&sent), "{sent}");
}

/// The future's result, or nothing when it has nothing to do for a while.
async fn future_or_stuck<T>(future: impl Future<Output = io::Result<T>>) -> Option<T> {
    let stuck = async {
        for _ in 0..20 {
            futures_lite::future::yield_now().await;
        }
        None
    };
    futures_lite::future::or(async { future.await.ok() }, stuck).await
}
