//! A request that is not answered at its first poll: a task of its own brings it to its end.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::host::McpHost;
use super::outlet::{Order, Outlet, Ticket};
use crate::limits::Place;
use crate::mcp::peer::{AnswerForm, RpcCall};
use crate::mcp::{Answer, ErrorKind, Label};
use crate::p2p::Remote;
use crate::runtime::Deadline;
use crate::server::flight::MAX_TURNS;
use crate::server::job::Job;

/// What every request in progress has.
pub(super) struct Begun {
    pub(super) host: Rc<McpHost>,
    pub(super) outlet: Rc<Outlet>,
    pub(super) ticket: Rc<Ticket>,
    pub(super) form: AnswerForm,
    pub(super) begun_at: Instant,
}

impl Begun {
    /// Sends the answer in `body`, unless the peer said that it does not want it.
    fn finish(&self, mut body: Vec<u8>, has_body: bool, label: Label) {
        let label = self.form.finish(&mut body, 0, self.ticket.id(), label);
        if has_body && label.error != Some(ErrorKind::Cancelled) {
            self.outlet.push(&body);
        }
        self.host.core.record(&label, self.begun_at);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.host.core.metrics().request_ended();
        self.outlet.leave(&self.ticket);
    }
}

/// A job on its stream.
pub(super) struct Flight {
    begun: Begun,
    job: Job,
    body: Vec<u8>,
    deadline: Option<Deadline>,
    /// What the job was told last.
    told: Order,
    _places: Vec<Place>,
}

/// What ended a flight.
enum End {
    Answer(Answer),
    /// There is nobody to answer, or nobody who wants it.
    Nothing,
}

impl Flight {
    pub(super) fn new(begun: Begun, mut job: Job) -> Flight {
        let core = &begun.host.core;
        if job.span.is_none() {
            job.span = tracing::info_span!("request", id = %core.ids.next_id());
        }
        let places = job.places(&core.shared.inflight);
        Flight { begun, job, body: Vec::new(), deadline: None, told: Order::Go, _places: places }
    }

    /// Runs the job to its end, or to that of its stream.
    pub(super) async fn run(mut self) {
        let end = poll_fn(|cx| self.poll(cx)).await;
        let End::Answer(answer) = end else { return };
        if self.job.is_feed() && matches!(self.told, Order::Stop | Order::GiveUp) {
            self.send_cancelled();
        }
        self.begun.finish(std::mem::take(&mut self.body), answer.has_body, answer.label);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let order = self.begun.ticket.poll_order(cx);
        if order != self.told
            && let Poll::Ready(end) = self.obey(order, cx)
        {
            return Poll::Ready(end);
        }
        for _ in 0..MAX_TURNS {
            self.body.clear();
            if let Poll::Ready(answer) = self.job.poll(&self.begun.host.core, cx, &mut self.body) {
                return Poll::Ready(End::Answer(answer));
            }
            if !self.move_events(cx) {
                return self.poll_deadline(cx).map(End::Answer);
            }
        }
        // A tool that never stops sending shares its core.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does what the job was told.
    fn obey(&mut self, order: Order, cx: &Context<'_>) -> Poll<End> {
        self.told = order;
        match order {
            Order::Go => {}
            Order::Stop => self.job.stop(),
            Order::Cancel => {
                if self.job.cancel_by_client() {
                    self.job.abandon(&self.begun.host.core);
                    return Poll::Ready(End::Nothing);
                }
            }
            Order::GiveUp => {
                self.job.stop();
                self.body.clear();
                return self.job.cancel(cx, &mut self.body).map(End::Answer);
            }
            Order::Leave => {
                self.job.abandon(&self.begun.host.core);
                return Poll::Ready(End::Nothing);
            }
        }
        Poll::Pending
    }

    /// Moves the job's events to the stream, as far as that has room; true when the job is to be polled again.
    fn move_events(&mut self, cx: &mut Context<'_>) -> bool {
        let Begun { outlet, ticket, form, .. } = &self.begun;
        let mut moved = false;
        while !form.takes_events() || outlet.poll_room(ticket).is_ready() {
            if self.job.poll_event(cx, &mut self.body).is_pending() {
                break;
            }
            moved = true;
            // Old peers read one frame for each request, so nothing but the answer may reach them.
            if form.takes_events() {
                outlet.push(&self.body);
            }
        }
        moved || (!form.takes_events() && self.job.refuse_questions())
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        let Some(expires_at) = self.job.expires_at() else { return Poll::Pending };
        let deadline = self.deadline.get_or_insert_with(Deadline::new);
        if deadline.at() != Some(expires_at) {
            deadline.set(expires_at);
        }
        if deadline.poll_expired(cx).is_pending() {
            return Poll::Pending;
        }
        self.body.clear();
        self.job.expire(Instant::now(), cx, &mut self.body)
    }

    /// A server that ends a subscription says so (2026-07-28, "Cancellation"); the result that follows says the same to
    /// those who wait for it.
    fn send_cancelled(&self) {
        let Some(id) = self.begun.ticket.id() else { return };
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        );
        self.begun.outlet.push(message.as_bytes());
    }
}

/// Asks the task queue, and answers with what it says.
pub(super) async fn ask_task_queue(begun: Begun, call: RpcCall, remote: Rc<Remote>) {
    let Some(task_queue) = begun.host.task_queue.clone() else { return };
    let mut answer = task_queue.answer(&call.request, &remote);
    let mut told = Order::Go;
    let answered = poll_fn(|cx| {
        told = begun.ticket.poll_order(cx);
        match told {
            Order::Go | Order::Stop => answer.as_mut().poll(cx).map(Some),
            Order::Cancel | Order::GiveUp | Order::Leave => Poll::Ready(None),
        }
    })
    .await;
    let mut body = Vec::new();
    match answered {
        Some(answer) => {
            let label = call.write(&answer, &mut body);
            begun.finish(body, true, label);
        }
        None if told == Order::GiveUp => {
            let label = call.write(br#"{"ok":false,"error":"shutting_down"}"#, &mut body);
            begun.finish(body, true, Label { error: Some(ErrorKind::ShuttingDown), ..label });
        }
        None => {
            let label = Label { error: Some(ErrorKind::Cancelled), ..call.label() };
            begun.host.core.record(&label, begun.begun_at);
        }
    }
}
