//! The transport of 2024-11-05, for servers that have nothing newer: one stream, opened with GET, carries all that the
//! server says, and messages are posted to the address that its first event names.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use event_listener::Event as News;
use futures_lite::future;
use serde_json::Value;

use super::error::ClientError;
use super::http::{HttpOptions, HttpTarget, HttpTransport};
use super::transport::{
    Event, EventSource, Incoming, IncomingContent, LocalBoxFuture, Outgoing, OutgoingHead, Transport,
    TransportError, Verb,
};
use crate::client::wire::NOTICE_TIME;
use crate::runtime::{Scope, StopFlag, sleep};

/// Events of one request, or of none, that nobody has read yet, and their bytes; the oldest makes room.
const MAX_WAITING: usize = 1_024;
const MAX_WAITING_BYTES: usize = 16 << 20;

/// Both halves: the stream, which a task of the scope reads, and the way back.
pub(crate) struct HttpSse {
    posts: HttpTransport,
    routes: Rc<Routes>,
    target: String,
}

/// Where the messages of the stream go.
#[derive(Default)]
struct Routes {
    /// By the id of the request that they belong to, as JSON text.
    requests: RefCell<BTreeMap<String, Rc<Feed>>>,
    rest: Rc<Feed>,
    /// Set when the stream has ended, or is to end.
    over: StopFlag,
}

#[derive(Default)]
struct Feed {
    events: RefCell<VecDeque<Event>>,
    bytes: Cell<usize>,
    news: News,
}

impl Feed {
    /// Adds an event, which is kept whatever its size: a single one is bounded where it is read.
    fn push(&self, event: Event) {
        self.bytes.set(self.bytes.get() + event.data.len());
        self.events.borrow_mut().push_back(event);
        while self.bytes.get() > MAX_WAITING_BYTES && self.events.borrow().len() > 1
            || self.events.borrow().len() > MAX_WAITING
        {
            self.pop();
            tracing::warn!("nobody reads what the server says; the oldest message is dropped");
        }
        self.news.notify(usize::MAX);
    }

    fn pop(&self) -> Option<Event> {
        let event = self.events.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - event.data.len());
        Some(event)
    }
}

impl HttpSse {
    /// Opens the stream and waits for the address.
    pub(crate) async fn open(
        scope: &Scope,
        target: &str,
        options: HttpOptions,
    ) -> Result<HttpSse, ClientError> {
        let setup = |error: super::http::SetupError| ClientError::Options(error.to_string());
        let stream = HttpTransport::new(target, options.clone()).map_err(setup)?;
        let failed = |error| ClientError::Transport { target: stream.target().to_owned(), error };
        let late = async {
            sleep(NOTICE_TIME).await;
            Err(TransportError::Timeout { what: "the endpoint event" })
        };
        let (source, endpoint) = future::or(first_event(&stream), late).await.map_err(failed)?;
        let outside = "the endpoint that its stream names lies outside of the server";
        let url =
            resolve(target, &endpoint).ok_or_else(|| ClientError::malformed("the first GET", outside))?;
        let posts = HttpTransport::new(&url, options).map_err(setup)?;
        let routes = Rc::new(Routes::default());
        let (name, read) = (stream.target().to_owned(), Rc::clone(&routes));
        let pump = async move {
            future::or(read.over.stopped(), read.pump(source)).await;
            read.over.stop();
            stream.close().await;
        };
        scope.spawn("client-stream", pump).map_err(|_| ClientError::Closed)?;
        Ok(HttpSse { posts, routes, target: name })
    }
}

/// Opens the stream; its first event names the address for messages.
async fn first_event(stream: &HttpTransport) -> Result<(Box<dyn EventSource>, String), TransportError> {
    let (body, head, idle_timeout) = (Vec::new(), OutgoingHead::default(), None);
    let outgoing =
        Outgoing { verb: Verb::Get, body, head, timeout: NOTICE_TIME, idle_timeout, idempotent: true };
    let IncomingContent::Events(mut source) = stream.exchange(outgoing).await?.content else {
        return Err(TransportError::Unsupported("the server answers GET with no stream".to_owned()));
    };
    let first = source.next().await.unwrap_or(Err(TransportError::Closed { before_answer: false }))?;
    match String::from_utf8(first.data) {
        Ok(endpoint) if first.name.as_deref() == Some("endpoint") => Ok((source, endpoint)),
        _ => Err(TransportError::Malformed("the stream does not begin with an endpoint".to_owned())),
    }
}

/// The address that an endpoint means. It must belong to the same server: messages may carry secrets.
fn resolve(target: &str, endpoint: &str) -> Option<String> {
    let server = HttpTarget::parse(target).ok()?;
    let is_path = endpoint.starts_with('/') && !endpoint.starts_with("//");
    let scheme = if server.tls { "https" } else { "http" };
    let url =
        if is_path { format!("{scheme}://{}{endpoint}", server.authority) } else { endpoint.to_owned() };
    let named = HttpTarget::parse(&url).ok()?;
    let same = (named.tls, named.host, named.port) == (server.tls, server.host, server.port);
    same.then_some(url)
}

impl Routes {
    async fn pump(&self, mut source: Box<dyn EventSource>) {
        while let Some(Ok(event)) = source.next().await {
            let message: Value = serde_json::from_slice(&event.data).unwrap_or_default();
            self.feed_of(&message).push(event);
        }
    }

    /// Whose message it is: a response has the request's id, progress has it as its token.
    fn feed_of(&self, message: &Value) -> Rc<Feed> {
        let id = match message.get("method") {
            None => message.get("id"),
            Some(method) if method == "notifications/progress" => message.pointer("/params/progressToken"),
            Some(_) => None,
        };
        let requests = self.requests.borrow();
        let feed = id.and_then(|id| requests.get(&id.to_string()));
        Rc::clone(feed.unwrap_or(&self.rest))
    }
}

impl Transport for HttpSse {
    fn exchange<'a>(&'a self, outgoing: Outgoing) -> LocalBoxFuture<'a, Result<Incoming, TransportError>> {
        Box::pin(async move {
            let answer = |status, content| Incoming {
                status,
                session_id: None,
                retry_after: None,
                www_authenticate: None,
                content,
            };
            match outgoing.verb {
                Verb::Delete => return Ok(answer(405, IncomingContent::None)),
                Verb::Get => {
                    let (routes, feed) = (Rc::clone(&self.routes), Rc::clone(&self.routes.rest));
                    return Ok(answer(
                        200,
                        IncomingContent::Events(Box::new(Share { routes, feed, id: None })),
                    ));
                }
                Verb::Post => {}
            }
            let message: Value = serde_json::from_slice(&outgoing.body).unwrap_or_default();
            let Some(id) = message.get("method").and(message.get("id")).map(Value::to_string) else {
                return self.posts.exchange(outgoing).await;
            };
            if self.routes.over.is_stopped() {
                // No answer could arrive, so nothing is asked.
                return Err(TransportError::Closed { before_answer: true });
            }
            let feed = Rc::new(Feed::default());
            self.routes.requests.borrow_mut().insert(id.clone(), Rc::clone(&feed));
            let share = Share { routes: Rc::clone(&self.routes), feed, id: Some(id) };
            let incoming = self.posts.exchange(outgoing).await?;
            if !(200..300).contains(&incoming.status) {
                return Ok(incoming);
            }
            Ok(answer(200, IncomingContent::Events(Box::new(share))))
        })
    }

    fn has_headers(&self) -> bool {
        true
    }

    fn target(&self) -> &str {
        &self.target
    }

    fn close<'a>(&'a self) -> LocalBoxFuture<'a, ()> {
        self.routes.over.stop();
        self.posts.close()
    }
}

impl Drop for HttpSse {
    fn drop(&mut self) {
        self.routes.over.stop();
    }
}

/// The part of the stream that belongs to one request, or to none.
struct Share {
    routes: Rc<Routes>,
    feed: Rc<Feed>,
    id: Option<String>,
}

impl EventSource for Share {
    fn next<'a>(&'a mut self) -> LocalBoxFuture<'a, Option<Result<Event, TransportError>>> {
        Box::pin(async {
            loop {
                let news = self.feed.news.listen();
                if let Some(event) = self.feed.pop() {
                    // Its id means nothing here: this stream cannot be resumed.
                    return Some(Ok(Event { id: None, ..event }));
                }
                if self.routes.over.is_stopped() {
                    return Some(Err(TransportError::Closed { before_answer: false }));
                }
                future::or(news, self.routes.over.stopped()).await;
            }
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.routes.requests.borrow_mut().remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_posted_to_the_same_server_alone() {
        let at = |endpoint| resolve("http://a:80/sse?x", endpoint);
        assert_eq!(at("/messages?id=1").as_deref(), Some("http://a:80/messages?id=1"));
        assert_eq!(at("http://a:80/m").as_deref(), Some("http://a:80/m"));
        for elsewhere in
            ["//b/m", "http://b/m", "http://a:8080/m", "https://a:80/m", "m", "", "http://a:80@b/m"]
        {
            assert_eq!(at(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(at("HTTP://A/m").as_deref(), Some("HTTP://A/m"), "another way to write the same");
        assert_eq!(resolve("http://a", "/m").as_deref(), Some("http://a/m"));
        assert_eq!(resolve("http://a?x=/y", "/m").as_deref(), Some("http://a/m"));
    }

    #[test]
    fn what_nobody_reads_is_bounded_in_bytes_too() {
        let feed = Feed::default();
        for length in [MAX_WAITING_BYTES / 2, MAX_WAITING_BYTES / 2, 1] {
            feed.push(Event { data: vec![b' '; length], ..Event::default() });
        }
        assert_eq!((feed.events.borrow().len(), feed.bytes.get()), (2, MAX_WAITING_BYTES / 2 + 1));
        feed.push(Event { data: vec![b' '; 2 * MAX_WAITING_BYTES], ..Event::default() });
        assert_eq!(feed.events.borrow().len(), 1, "one event is kept whatever its size");
    }
}
