//! The functions with which a handler asks its client.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::Limit;
use crate::mcp::ask::answers::{Answered, Answers};
use crate::mcp::ask::elicitation::{Elicitation, Elicited};
use crate::mcp::ask::once;
use crate::mcp::ask::questions::Question;
use crate::mcp::ask::roots::Root;
use crate::mcp::ask::sampled::Sampled;
use crate::mcp::ask::sampling::Sampling;
use crate::mcp::ask::waiting;
use crate::mcp::call::context::Context;
use crate::mcp::message::capability::Capability;
use crate::mcp::message::era::Revision;
use crate::mcp::message::json;
use crate::mcp::offer::call_error::{CallError, Failure};

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 128;

/// In 2026-07-28 the handler runs again from its start on each retry: what it did before a question is done again,
/// unless it is in [`Context::once`].
///
/// The key names the question within its call: it must be the same in every run, and another for each question.
/// Asked again, it gives the same answer. In the older revisions the question goes to the client while the handler
/// waits, for at most `client_request_timeout_ms`; the call's own time stands still meanwhile.
///
/// A blocking tool cannot be dropped at the question: there these functions fail instead, with an error that becomes
/// the question when the tool returns it, so pass it on with `?`.
impl Context {
    /// Asks the person who uses the client: a form, or a link to follow.
    ///
    /// # Errors
    /// The client did not declare the capability; it answered with an error, with something that does not fit, or not
    /// in time (the older revisions); the call was cancelled. A question that is malformed is an internal error.
    pub async fn elicit(
        &self,
        key: impl Into<String>,
        elicitation: Elicitation,
    ) -> Result<Elicited, CallError> {
        match self.ask_one(key.into(), elicitation.into()).await? {
            Answered::Elicited(elicited) => Ok(elicited),
            _ => Err(mismatch()),
        }
    }

    /// Asks the client's model.
    ///
    /// # Errors
    /// As [`Context::elicit`].
    pub async fn sample(&self, key: impl Into<String>, sampling: Sampling) -> Result<Sampled, CallError> {
        match self.ask_one(key.into(), sampling.into()).await? {
            Answered::Sampled(sampled) => Ok(*sampled),
            _ => Err(mismatch()),
        }
    }

    /// Asks which directories and files the server may work on.
    ///
    /// # Errors
    /// As [`Context::elicit`].
    pub async fn roots(&self, key: impl Into<String>) -> Result<Vec<Root>, CallError> {
        match self.ask_one(key.into(), Question::roots()).await? {
            Answered::Roots(roots) => Ok(roots),
            _ => Err(mismatch()),
        }
    }

    /// Asks several questions in one round; futures joined together do the same.
    ///
    /// # Errors
    /// As [`Context::elicit`]; a capability that is missing for any of them is missing for all.
    pub async fn ask_all<K: Into<String>>(
        &self,
        questions: impl IntoIterator<Item = (K, Question)>,
    ) -> Result<Answers, CallError> {
        let questions = questions.into_iter().map(|(key, question)| (key.into(), question)).collect();
        self.ask(questions).await.map(Answers)
    }

    /// Tells the client that what a link led to is done (`notifications/elicitation/complete`); resolves when the
    /// stream has room for it. `elicitation_id` is that of [`Elicitation::id`].
    ///
    /// Does nothing in revisions other than 2025-11-25, which alone has it.
    pub async fn elicitation_complete(&self, elicitation_id: &str) {
        if self.state.revision != Revision::V2025_11_25 {
            return;
        }
        let mut event =
            br#"{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"#
                .to_vec();
        json::string(&mut event, elicitation_id);
        event.extend_from_slice(b"}}");
        self.send(event, None).await;
    }

    async fn ask_one(&self, key: String, question: Question) -> Result<Answered, CallError> {
        let mut answers = self.ask(vec![(key, question)]).await?;
        answers.pop_first().map(|(_, answered)| answered).ok_or_else(mismatch)
    }

    async fn ask(&self, questions: Vec<(String, Question)>) -> Result<BTreeMap<String, Answered>, CallError> {
        self.check(&questions)?;
        let mut answers = BTreeMap::new();
        let mut open = Vec::new();
        for (key, question) in questions {
            match self.state.asking.find(&key, &question)? {
                Some(answered) => drop(answers.insert(key, answered)),
                None => open.push((key, question)),
            }
        }
        if open.is_empty() {
            return Ok(answers);
        }
        self.require_all(&open)?;
        match &self.state.session {
            Some(session) => answers.extend(waiting::ask(self, session, open).await?),
            None => return Err(self.end_run(open).await),
        }
        Ok(answers)
    }

    /// Ends this run of the handler: it is dropped here, or gets the error to return.
    async fn end_run(&self, questions: Vec<(String, Question)>) -> CallError {
        let state = &self.state;
        if state.asking.with(|inner| inner.binding.is_none()) {
            return CallError::internal("only tools, prompts and resources can ask their client");
        }
        let limit = state.snapshot.shared().options.limits.value(Limit::Questions);
        let max = usize::try_from(limit).unwrap_or(usize::MAX);
        if !state.asking.suspend(questions, max) {
            return waiting::too_many(max);
        }
        if state.asking.is_blocking() {
            return CallError(Failure::InputRequired);
        }
        state.signals.wake();
        state.signals.cancelled().await;
        waiting::was_cancelled()
    }

    fn check(&self, questions: &[(String, Question)]) -> Result<(), CallError> {
        if once::is_inside(&self.state) {
            return Err(CallError::internal("a question cannot be asked inside the function of once"));
        }
        let mut keys = BTreeSet::new();
        for (key, question) in questions {
            if key.is_empty() || key.len() > MAX_KEY_BYTES {
                let problem = format!("the key {key:?} of a question must have 1 to {MAX_KEY_BYTES} bytes");
                return Err(CallError::internal(problem));
            }
            if !keys.insert(key) {
                return Err(CallError::internal(format!(
                    "the key {key:?} is used for two questions at once"
                )));
            }
            question
                .check()
                .map_err(|problem| CallError::internal(format!("the question {key:?}: {problem}")))?;
        }
        Ok(())
    }

    /// Only what would be asked needs a capability, not what was answered already.
    fn require_all(&self, questions: &[(String, Question)]) -> Result<(), CallError> {
        let (capabilities, revision) = (self.client_capabilities(), self.state.revision);
        let missing = questions.iter().filter_map(|(_, question)| question.missing(capabilities, revision));
        let missing: Vec<Capability> = missing.collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(CallError(Failure::Missing(missing))),
        }
    }
}

fn mismatch() -> CallError {
    CallError::internal("an answer of another kind than its question")
}
