//! What the server asks and tells on a stream.

use std::rc::Rc;

use serde_json::{Value, json};

use super::ask::Attempt;
use super::crowd::Crowd;
use super::link::{Link, Session};
use crate::client::error::ProtocolError;
use crate::client::handlers::{Change, Told, read};
use crate::client::protocol::message;
use crate::client::transport::LocalBoxFuture;

impl Link {
    /// Begins to answer a question of an older server; the answer travels in a message of its own.
    pub(super) fn serve<'a>(
        self: &'a Rc<Self>,
        session: &'a Rc<Session>,
        id: Value,
        method: String,
        params: Value,
        crowd: &mut Crowd<'a>,
    ) {
        let most = self.options.limits.max_questions;
        if session.revision.is_modern() {
            tracing::warn!(method, "a server of 2026-07-28 must not send requests; it gets no answer");
            return;
        }
        // Refusals take room too: a flood of questions is not answered in full.
        if crowd.len() >= 2 * most {
            tracing::warn!(method, "the server asks too much at once (max_questions); it gets no answer");
            return;
        }
        let answer: LocalBoxFuture<'a, Result<Value, ProtocolError>> = match &*method {
            "ping" => Box::pin(async { Ok(json!({})) }),
            _ if crowd.len() >= most => Box::pin(async move {
                Err(ProtocolError::new(-32603, format!("more than {most} questions at once (max_questions)")))
            }),
            _ => Box::pin(async move { self.options.handlers.answer(&method, params).await }),
        };
        let key = id.clone();
        let answering = self.answering.one();
        let reply = async move {
            let _answering = answering;
            let outcome = answer.await;
            let outgoing = self.notice(session, message::response(&id, &outcome));
            match self.exchange(outgoing).await {
                Ok(incoming) if (200..300).contains(&incoming.status) => {}
                Ok(incoming) => {
                    tracing::warn!(status = incoming.status, "the server refused an answer to its question")
                }
                Err(error) => tracing::warn!(%error, "an answer to the server's question did not arrive"),
            }
        };
        crowd.add(key, Box::pin(reply));
    }

    /// Passes a notification on. True when it is progress of this attempt.
    pub(super) fn tell(
        &self,
        attempt: Option<&Attempt<'_>>,
        method: &str,
        params: &Value,
        crowd: &mut Crowd<'_>,
    ) -> bool {
        let handlers = &self.options.handlers;
        match read(method, params) {
            Told::Log(message) => handlers.log.iter().for_each(|handler| handler(message.clone())),
            Told::Progress(progress) => {
                let ours = attempt.filter(|attempt| progress.token == attempt.id);
                let Some(attempt) = ours else { return false };
                attempt.ask.options.progress.iter().for_each(|handler| handler(progress.clone()));
                handlers.progress.iter().for_each(|handler| handler(progress.clone()));
                return true;
            }
            Told::Change(change) => self.changed(change),
            Told::Withdrawn(id) => crowd.withdraw(&id),
            Told::Other => tracing::debug!(method, "a notification that this client does not know"),
        }
        false
    }

    /// Tells everybody of a change.
    pub(super) fn changed(&self, change: Change) {
        let listeners: Vec<_> = self.listeners.borrow().iter().filter_map(std::rc::Weak::upgrade).collect();
        listeners.iter().for_each(|waiting| waiting.push(change.clone()));
        self.options.handlers.change.iter().for_each(|handler| handler(change.clone()));
    }
}
