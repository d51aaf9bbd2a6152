//! The server without sockets: the bytes of a request in, the bytes of its answer out.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::Server;
use super::core::CoreState;
use super::error::ServerError;
use super::exchange::{self, Begun, Reply, Serves};
use super::flight::MAX_TURNS;
use super::job::Job;
use super::{setup, task_tools};
use crate::config::ServerConfig;
use crate::http::{HttpLimits, Progress, RequestReader};
use crate::mcp::Registry;
use crate::runtime::{Activity, Scope};

/// A server that another host feeds, or a test.
///
/// It does what a connection does, except that it owns no socket and no timer: the host bounds how long a tool may take.
/// It belongs to one thread; clones share its sessions and metrics.
#[derive(Clone)]
pub struct App {
    core: Rc<CoreState>,
}

/// An [`App`] with these tools, configured from the environment.
///
/// # Errors
/// A configuration or registry that cannot be used.
pub fn app_from_env(registry: Registry) -> Result<App, ServerError> {
    Server::new(ServerConfig::from_env()?).registry(registry).builtin_tools().into_app()
}

impl App {
    pub(super) fn new(server: Server) -> Result<Self, ServerError> {
        let prepared = setup::prepare(server, &[0], false)?;
        Ok(Self { core: CoreState::new(prepared.shared, 0, Activity::unwatched()) })
    }

    /// The server whose core runs on this thread: for code of the same process that shares its executor and wants an
    /// answer without a socket. `None` where there is none.
    pub fn here() -> Option<App> {
        task_tools::any_here().map(|core| App { core })
    }

    /// Has each call of a tool to a peer make a node and a connection of its own from now on, which live in `scope` and end
    /// with its answer: what the servers do that the load tester compares this one with.
    #[doc(hidden)]
    pub fn dial_anew(&self, scope: Scope) {
        self.core.dial_anew(scope);
    }

    /// Answers the requests in `bytes`, one after the other, as an HTTP/1.1 connection would.
    ///
    /// A call's events come before its answer, as one event stream, which cannot be resumed. A stream that would stay open
    /// (GET, `subscriptions/listen`) brings what there is to tell now, and ends as it does when a server stops.
    pub async fn handle(&self, bytes: &[u8]) -> Vec<u8> {
        let mut reader = RequestReader::new(HttpLimits::from(&self.core.shared.limits));
        let mut out = Vec::new();
        reader.feed(bytes);
        loop {
            match reader.poll() {
                Progress::Ready => {
                    if !self.answer(&mut reader, &mut out).await {
                        return out;
                    }
                }
                Progress::Reject(reject) => {
                    exchange::refuse(&self.core, &reject, false, &mut out);
                    reader.consume();
                    if reject.close {
                        return out;
                    }
                }
                Progress::NeedHead { started: false } => return out,
                Progress::NeedHead { .. } | Progress::NeedBody { .. } => {
                    let reject = exchange::incomplete();
                    exchange::refuse(&self.core, &reject, true, &mut out);
                    return out;
                }
            }
        }
    }

    /// Takes the request that `reader` holds, after [`Progress::Ready`], and appends its answer to `out`; the rest is as
    /// [`App::handle`] does it. Says whether the connection may serve on.
    pub async fn answer(&self, reader: &mut RequestReader, out: &mut Vec<u8>) -> bool {
        let mut body = Vec::new();
        let begun = exchange::begin(&self.core, &reader.request(), Serves::Everything, false, &mut body, out);
        reader.consume();
        let keep = match begun {
            Begun::Done { keep } => keep,
            // Its stream has ended with the answer to the GET, so nobody reads what it would say.
            Begun::Apart { keep, .. } => keep,
            Begun::Work { work, reply } => {
                let job = Job::new(work, &reply);
                self.finish(job, reply, &mut body, out).await
            }
        };
        self.core.metrics().request_ended();
        keep
    }

    async fn finish(&self, mut job: Job, reply: Reply, body: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
        let mut events = job.is_feed().then(|| exchange::begin_stream(&self.core, &reply, out));
        let answer = poll_fn(|cx| {
            for _ in 0..MAX_TURNS {
                body.clear();
                if let Poll::Ready(answer) = job.poll(&self.core, cx, body) {
                    return Poll::Ready(answer);
                }
                let Poll::Ready(head) = job.poll_event(cx, body) else {
                    // What a client would be asked leaves this function with the answer only.
                    if job.refuse_questions() {
                        continue;
                    }
                    // Nothing more for now: a call is waited for, a stream ends here.
                    if job.leave() {
                        cx.waker().wake_by_ref();
                    }
                    return Poll::Pending;
                };
                let stream = *events.get_or_insert_with(|| exchange::begin_stream(&self.core, &reply, out));
                exchange::write_event(stream, head, body, out);
            }
            // A tool that never stops sending leaves its host a chance to stop it.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        match events {
            Some(stream) => {
                self.core.record(&answer.label, reply.begun_at);
                exchange::finish_stream(&reply, stream, &answer, body, out)
            }
            None => exchange::finish(&self.core, &reply, &answer, body, out),
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("name", &self.core.shared.config.server_name).finish_non_exhaustive()
    }
}
