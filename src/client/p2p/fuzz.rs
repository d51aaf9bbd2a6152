//! Any bytes as the messages that a peer sends to a client, for the fuzzer.

use std::rc::Rc;

use futures_lite::future::{block_on, poll_once};
use serde::de::IgnoredAny;

use super::feed::Feed;
use super::old::as_tool_result;
use super::routes::Routes;
use super::scan::{Scan, old_peer, scan};
use crate::client::transport::TransportError;

const MAX_WAITING_BYTES: usize = 512;
/// Requests in progress, as JSON text; the last is a subscription.
const IDS: [&str; 3] = ["1", "\"a\"", "2"];

/// Takes each line as one message of a stream, with and without a session, while nobody reads.
///
/// # Panics
/// A message that reaches somebody else than whom it is for, or more of them than may wait, which is what the fuzzer
/// looks for.
pub(crate) fn fuzz_messages(data: &[u8]) {
    for in_session in [false, true] {
        let mut routes = Routes::new(in_session, MAX_WAITING_BYTES);
        let methods = ["tools/call", "tools/call", "subscriptions/listen"];
        let feeds: Vec<_> = IDS
            .iter()
            .zip(methods)
            .filter_map(|(id, method)| routes.expect(&(*id).to_owned(), method))
            .collect();
        let mut longest = 0;
        let end = data.split(|byte| *byte == b'\n').take(16).find_map(|line| {
            longest = line.len().max(longest);
            bring(&mut routes, line, longest).err()
        });
        let end = end.unwrap_or(TransportError::Closed { before_answer: false });
        routes.fail(&end);
        for (id, feed) in IDS.iter().zip(feeds) {
            drain(id, &feed);
        }
    }
}

fn bring(routes: &mut Routes, line: &[u8], longest: usize) -> Result<(), TransportError> {
    let before = routes.len();
    let scanned = scan(line);
    let brought = routes.bring(line);
    match &scanned {
        Ok(Scan::Response { id, result }) => {
            assert!(brought.is_ok() && !routes.expects(id), "an answer leaves its request waiting");
            let _ = result.map(old_peer);
        }
        Ok(Scan::Unnamed(_)) | Err(_) => assert!(brought.is_err(), "the stream goes on"),
        Ok(_) => assert!(brought.is_ok()),
    }
    assert!(routes.len() <= before);
    // One message is bounded by itself.
    let most = MAX_WAITING_BYTES.max(longest);
    assert!(routes.waiting_bytes() <= most, "{} bytes wait", routes.waiting_bytes());
    if let Some(result) = as_tool_result(line) {
        serde_json::from_slice::<IgnoredAny>(&result).expect("what is made of an answer is JSON");
    }
    brought
}

/// Reads what came for a request: nothing follows its answer, which is the only one and its own.
fn drain(id: &str, feed: &Rc<Feed>) {
    loop {
        let Some(next) = block_on(poll_once(feed.next())) else { panic!("a request never hears of the end") };
        let Ok(arrival) = next else { return };
        let scanned = scan(&arrival.bytes).expect("what was brought was read before");
        match scanned {
            Scan::Response { id: named, .. } => {
                assert!(arrival.is_last && named == id, "the answer to {named} came to {id}");
                assert_eq!(feed.waiting(), 0, "something follows the answer");
                return;
            }
            _ => assert!(!arrival.is_last),
        }
    }
}
