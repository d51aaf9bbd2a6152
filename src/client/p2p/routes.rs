//! Who the messages on one stream are for.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::feed::{Arrival, Feed};
use super::scan::{Id, Note, Scan, scan};
use crate::client::transport::TransportError;

/// Requests that were given up are remembered, so that their cancellation goes the way that they went.
const MAX_GIVEN_UP: usize = 64;

/// One request in progress.
#[derive(Debug)]
struct Entry {
    feed: Rc<Feed>,
    /// When it was sent, counted.
    turn: u64,
    /// Whether it is a subscription, which hears nothing but its own changes.
    listens: bool,
}

/// The requests in progress on one stream, and whoever listens to the rest.
#[derive(Debug)]
pub(super) struct Routes {
    entries: BTreeMap<Id, Entry>,
    given_up: VecDeque<Id>,
    turns: u64,
    /// What belongs to no request: kept from the beginning of a session, read by whoever stands at the stream.
    rest: Rc<Feed>,
    is_rest_kept: bool,
    is_rest_read: bool,
    max_waiting_bytes: usize,
}

impl Routes {
    /// `in_session`: what belongs to no request is kept until somebody reads it.
    pub(super) fn new(in_session: bool, max_waiting_bytes: usize) -> Self {
        Routes {
            entries: BTreeMap::new(),
            given_up: VecDeque::new(),
            turns: 0,
            rest: Rc::default(),
            is_rest_kept: in_session,
            is_rest_read: false,
            max_waiting_bytes,
        }
    }

    /// Requests in progress.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the request is in progress here, or was given up here.
    pub(super) fn knows(&self, id: &Id) -> bool {
        self.entries.contains_key(id) || self.given_up.contains(id)
    }

    /// Whether the request's answer has not come yet.
    pub(super) fn expects(&self, id: &Id) -> bool {
        self.entries.contains_key(id)
    }

    /// Expects an answer; `None` when one with this id is expected already.
    pub(super) fn expect(&mut self, id: &Id, method: &str) -> Option<Rc<Feed>> {
        if self.entries.contains_key(id) {
            return None;
        }
        let feed = Rc::new(Feed::default());
        let listens = method == "subscriptions/listen";
        let entry = Entry { feed: Rc::clone(&feed), turn: self.turns, listens };
        self.turns += 1;
        self.entries.insert(id.clone(), entry);
        Some(feed)
    }

    /// Nobody waits for the answer any more; true when it had not come.
    pub(super) fn give_up(&mut self, id: &Id, feed: &Rc<Feed>) -> bool {
        if !self.entries.get(id).is_some_and(|entry| Rc::ptr_eq(&entry.feed, feed)) {
            return false;
        }
        self.entries.remove(id);
        if self.given_up.len() >= MAX_GIVEN_UP {
            self.given_up.pop_front();
        }
        self.given_up.push_back(id.clone());
        true
    }

    /// The peer was told that a request is given up.
    pub(super) fn cancelled(&mut self, id: &Id) {
        self.given_up.retain(|known| known != id);
    }

    /// Begins to read what belongs to no request; `None` when somebody does already.
    pub(super) fn stand(&mut self) -> Option<Rc<Feed>> {
        (!std::mem::replace(&mut self.is_rest_read, true)).then(|| Rc::clone(&self.rest))
    }

    /// Nobody reads it any more.
    pub(super) fn leave(&mut self) {
        self.is_rest_read = false;
        self.is_rest_kept = false;
        self.rest.clear();
    }

    /// Brings a message to whoever it is for.
    ///
    /// # Errors
    /// When it leaves no way to go on.
    pub(super) fn bring(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        let (feed, is_last) = match scan(bytes).map_err(TransportError::Malformed)? {
            Scan::Unnamed(words) => {
                let why = format!("the peer could not read what it was sent: {words}");
                return Err(TransportError::Malformed(why));
            }
            Scan::Response { id, .. } => (self.answered(&id), true),
            Scan::Request { .. } => (self.of_nobody(), false),
            Scan::Notification(note) => (self.noted(&note), false),
        };
        let Some(feed) = feed else {
            tracing::debug!("a message for nobody in particular, or for a request that is over");
            return Ok(());
        };
        feed.push(Arrival { bytes: bytes.to_vec(), is_last });
        self.keep_within_bounds();
        Ok(())
    }

    fn answered(&mut self, id: &Id) -> Option<Rc<Feed>> {
        self.cancelled(id);
        self.entries.remove(id).map(|entry| entry.feed)
    }

    fn noted(&self, note: &Note<'_>) -> Option<Rc<Feed>> {
        let of = |id: &Id| self.entries.get(id).map(|entry| Rc::clone(&entry.feed));
        match (&note.about, &note.cancels) {
            (Some(id), _) => of(id),
            (None, Some(id)) => of(id).or_else(|| self.of_nobody()),
            (None, None) => self.of_nobody(),
        }
    }

    /// Who hears what belongs to no request: whoever stands at the stream, else the request that waits longest; it
    /// stays the same while it lives, so that a question and its withdrawal meet.
    fn of_nobody(&self) -> Option<Rc<Feed>> {
        if self.is_rest_read {
            return Some(Rc::clone(&self.rest));
        }
        let calls = self.entries.values().filter(|entry| !entry.listens);
        let oldest = calls.min_by_key(|entry| entry.turn).map(|entry| &entry.feed);
        oldest.or(self.is_rest_kept.then_some(&self.rest)).map(Rc::clone)
    }

    /// Bytes of messages that nobody has read yet. Those of requests whose answer has come wait for a task that is
    /// about to run.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.feed.bytes()).sum::<usize>() + self.rest.bytes()
    }

    /// Past the bound, the request that most waits for fails; of what belongs to none, the oldest is dropped. A single
    /// message is bounded by itself.
    fn keep_within_bounds(&mut self) {
        loop {
            let waiting = self.waiting_bytes();
            if waiting <= self.max_waiting_bytes {
                return;
            }
            let most = self.entries.iter().max_by_key(|(_, entry)| entry.feed.bytes());
            let most = most.map(|(id, entry)| (id.clone(), Rc::clone(&entry.feed)));
            let entry = most.filter(|(_, feed)| feed.bytes() > 0);
            let rest_is_most = entry.as_ref().is_none_or(|(_, feed)| feed.bytes() <= self.rest.bytes());
            if rest_is_most && self.rest.drop_oldest() {
                tracing::warn!(
                    "nobody reads what the peer says (max_waiting_bytes); the oldest message is dropped"
                );
                continue;
            }
            match entry {
                Some((id, feed)) if feed.waiting() > 1 || feed.bytes() < waiting => {
                    feed.clear();
                    let max = self.max_waiting_bytes as u64;
                    feed.fail(TransportError::TooLarge { limit: "max_waiting_bytes", max });
                    self.give_up(&id, &feed);
                }
                _ => return,
            }
        }
    }

    /// Nothing more will come for anybody.
    pub(super) fn fail(&mut self, why: &TransportError) {
        for entry in std::mem::take(&mut self.entries).into_values() {
            entry.feed.fail(why.clone());
        }
        self.rest.fail(why.clone());
        self.given_up.clear();
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn text(feed: &Feed) -> Option<String> {
        let arrival = block_on(poll_once(feed.next()))?;
        arrival.ok().map(|arrival| String::from_utf8(arrival.bytes).unwrap())
    }

    fn response(id: u32) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
    }

    fn note(method: &str, params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{params}}}"#)
    }

    fn routes(in_session: bool) -> Routes {
        Routes::new(in_session, 1_000)
    }

    fn bring(routes: &mut Routes, text: &str) {
        routes.bring(text.as_bytes()).unwrap();
    }

    #[test]
    fn answers_reach_their_requests_in_any_order() {
        let mut routes = routes(false);
        let one = routes.expect(&"1".to_owned(), "tools/call").unwrap();
        let two = routes.expect(&"2".to_owned(), "tools/call").unwrap();
        assert!(routes.expect(&"2".to_owned(), "ping").is_none(), "an id twice at once");
        for id in [2, 1, 1, 9] {
            bring(&mut routes, &response(id));
        }
        assert_eq!((text(&one), text(&two)), (Some(response(1)), Some(response(2))));
        assert_eq!((text(&one), routes.len()), (None, 0), "a second answer is nobody's");
        assert!(routes.expect(&"2".to_owned(), "ping").is_some(), "an id may be used again");
    }

    #[test]
    fn notifications_reach_the_request_that_they_are_about() {
        let mut routes = routes(false);
        let call = routes.expect(&"1".to_owned(), "tools/call").unwrap();
        let listen = routes.expect(&"2".to_owned(), "subscriptions/listen").unwrap();
        let progress = note("progress", r#"{"progressToken":1,"progress":1}"#);
        let change = note("tools/list_changed", r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":2}}"#);
        let late = note("progress", r#"{"progressToken":7,"progress":1}"#);
        let log = note("message", r#"{"level":"info","data":1}"#);
        let ends = note("cancelled", r#"{"requestId":2}"#);
        for message in [&progress, &change, &late, &log, &ends] {
            bring(&mut routes, message);
        }
        assert_eq!([text(&call), text(&call), text(&call)], [Some(progress), Some(log), None]);
        assert_eq!([text(&listen), text(&listen), text(&listen)], [Some(change), Some(ends), None]);
    }

    #[test]
    fn what_belongs_to_no_request_waits_for_whoever_stands_at_the_stream() {
        let mut routes = routes(true);
        let ask = r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#;
        bring(&mut routes, ask);
        let rest = routes.stand().unwrap();
        assert!(routes.stand().is_none(), "there is one place");
        let call = routes.expect(&"1".to_owned(), "tools/call").unwrap();
        bring(&mut routes, ask);
        assert_eq!([text(&rest), text(&rest), text(&call)], [Some(ask.into()), Some(ask.into()), None]);
        routes.leave();
        bring(&mut routes, ask);
        assert_eq!((text(&call).as_deref(), text(&rest)), (Some(ask), None));
        assert!(routes.stand().is_some());
    }

    #[test]
    fn the_request_that_reads_too_slowly_fails_and_no_other() {
        let mut routes = routes(false);
        let slow = routes.expect(&"1".to_owned(), "tools/call").unwrap();
        let quick = routes.expect(&"2".to_owned(), "tools/call").unwrap();
        let progress = note("progress", &format!(r#"{{"progressToken":1,"x":"{}"}}"#, "y".repeat(400)));
        for _ in 0..3 {
            bring(&mut routes, &progress);
        }
        let error = block_on(slow.next()).unwrap_err();
        assert_eq!(error, TransportError::TooLarge { limit: "max_waiting_bytes", max: 1_000 });
        bring(&mut routes, &response(2));
        assert_eq!(text(&quick), Some(response(2)));
        assert!(routes.knows(&"1".to_owned()), "its cancellation still finds the stream");
        let standing = routes.stand().unwrap();
        for _ in 0..9 {
            bring(&mut routes, &note("message", &format!(r#"{{"x":"{}"}}"#, "y".repeat(300))));
        }
        assert!(standing.bytes() <= 1_000 && standing.waiting() == 2, "{}", standing.bytes());
        bring(&mut routes, &note("message", &format!(r#"{{"x":"{}"}}"#, "y".repeat(3_000))));
        assert_eq!(standing.waiting(), 1, "one is kept whatever its size");
    }

    #[test]
    fn many_requests_together_keep_within_the_bound_too() {
        let mut routes = routes(false);
        let feeds: Vec<_> = (0..20).map(|id| routes.expect(&id.to_string(), "tools/call").unwrap()).collect();
        for id in 0..20 {
            let params = format!(r#"{{"progressToken":{id},"x":"{}"}}"#, "y".repeat(400));
            bring(&mut routes, &note("progress", &params));
            assert!(routes.waiting_bytes() <= 1_000, "{}", routes.waiting_bytes());
        }
        let kept = feeds.iter().filter(|feed| text(feed).is_some()).count();
        assert!(kept >= 1, "somebody still hears");
    }

    #[test]
    fn requests_that_were_given_up_are_remembered_within_bounds() {
        let mut routes = routes(false);
        for id in 0..2 * MAX_GIVEN_UP {
            let id = id.to_string();
            let feed = routes.expect(&id, "tools/call").unwrap();
            assert!(routes.give_up(&id, &feed) && !routes.give_up(&id, &feed));
        }
        assert_eq!(routes.given_up.len(), MAX_GIVEN_UP);
        let last = (2 * MAX_GIVEN_UP - 1).to_string();
        assert!(routes.knows(&last) && !routes.knows(&"0".to_owned()));
        routes.cancelled(&last);
        assert!(!routes.knows(&last));
    }

    #[test]
    fn an_error_for_no_request_leaves_no_way_to_go_on() {
        let mut routes = routes(false);
        let call = routes.expect(&"1".to_owned(), "tools/call").unwrap();
        let error =
            routes.bring(br#"{"id":null,"error":{"code":-32003,"message":"bad frame"}}"#).unwrap_err();
        assert!(error.to_string().contains("bad frame"), "{error}");
        routes.fail(&error);
        assert_eq!(block_on(call.next()), Err(error));
        assert!(routes.bring(b"garbage").is_err());
    }
}
