//! What one call has asked, been answered and done once. Plain state, usable from any thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::mcp::ask::answers::Answered;
use crate::mcp::ask::binding::Binding;
use crate::mcp::ask::memory::Memory;
use crate::mcp::ask::questions::{Question, QuestionKind};
use crate::mcp::ask::seal::Nonce;
use crate::mcp::offer::call_error::CallError;
use crate::mcp::session::pending::{Reply, Slot};

/// A call that asks nothing costs no allocation here.
#[derive(Default)]
pub(crate) struct Asking {
    inner: Mutex<Option<Box<Inner>>>,
    /// A question stands unanswered that ends this run of the handler (2026-07-28).
    suspended: AtomicBool,
    /// Bodies of `once` that have begun and not ended: they are let to their end before the handler is dropped.
    once_running: AtomicU32,
    /// Questions on their way to the client and back (the older revisions).
    waiting: AtomicU32,
    /// Questions that went out so far (the older revisions).
    departed: AtomicU32,
    /// The handler has a thread of its own and cannot be dropped.
    blocking: AtomicBool,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) memory: Memory,
    /// What a state of this call is bound to (2026-07-28).
    pub(crate) binding: Option<Binding>,
    /// `inputResponses` as they came.
    pub(crate) given: BTreeMap<String, Box<serde_json::value::RawValue>>,
    /// Whether only answers to questions of the state count.
    pub(crate) only_asked: bool,
    /// The request carries what an earlier round asked for (2026-07-28).
    pub(crate) is_retry: bool,
    /// The state that came with the request, and when it expires.
    pub(crate) opened: Option<(Nonce, u64)>,
    /// The questions of this run that nobody has answered.
    pub(crate) unanswered: Vec<(String, Question)>,
    /// The keys that this run has used.
    pub(crate) kinds: BTreeMap<String, QuestionKind>,
    /// The keys of the bodies of `once` that run.
    pub(crate) once_keys: BTreeSet<String>,
    /// Questions on their way (the older revisions).
    pub(crate) slots: Vec<Weak<Slot>>,
    /// Those that were answered (the older revisions).
    pub(crate) answered: Vec<Arc<Slot>>,
}

impl Asking {
    pub(crate) fn new(inner: Inner) -> Asking {
        Asking { inner: Mutex::new(Some(Box::new(inner))), ..Asking::default() }
    }

    /// Runs a short function on what is remembered.
    pub(crate) fn with<T>(&self, function: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = crate::mcp::lock(&self.inner);
        function(inner.get_or_insert_default())
    }

    /// The state that came with the request, if one did.
    pub(crate) fn opened(&self) -> Option<(Nonce, u64)> {
        crate::mcp::lock(&self.inner).as_ref().and_then(|inner| inner.opened)
    }

    /// Whether the request carries what an earlier round asked for, so that its answer depends on more than its
    /// parameters.
    pub(crate) fn is_retry(&self) -> bool {
        crate::mcp::lock(&self.inner).as_ref().is_some_and(|inner| inner.is_retry)
    }

    /// The answer to a question, if there is one that fits it: of an earlier round or question, or of this request.
    ///
    /// # Errors
    /// The handler asks another kind of question with the same key.
    pub(crate) fn find(&self, key: &str, question: &Question) -> Result<Option<Answered>, CallError> {
        let kind = question.kind();
        let candidates = self.with(|inner| inner.candidates(key, kind))?;
        for raw in candidates {
            match Answered::read(question, &raw) {
                Ok(answered) => {
                    self.keep(key, kind, raw);
                    return Ok(Some(answered));
                }
                // Without the reason, which may quote what the user wrote.
                Err(_) => tracing::debug!(key, "an answer does not fit its question"),
            }
        }
        Ok(None)
    }

    /// Remembers an answer for this run and later rounds.
    pub(crate) fn keep(&self, key: &str, kind: QuestionKind, raw: String) {
        self.with(|inner| inner.memory.answers.insert(key.to_owned(), (kind, raw)));
    }

    /// Ends this run of the handler at questions without answers; false where there are more than `max` of them.
    pub(crate) fn suspend(&self, questions: Vec<(String, Question)>, max: usize) -> bool {
        let fits = self.with(|inner| {
            for (key, question) in questions {
                if !inner.unanswered.iter().any(|(known, _)| *known == key) {
                    inner.unanswered.push((key, question));
                }
            }
            inner.unanswered.len() <= max
        });
        if fits {
            self.suspended.store(true, Ordering::Release);
        }
        fits
    }

    /// True when the handler is to be dropped: it waits for answers that only a retry can bring.
    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
            && self.once_running.load(Ordering::Acquire) == 0
            && !self.blocking.load(Ordering::Acquire)
    }

    /// Notes that the handler runs on a thread of its own.
    pub(crate) fn set_blocking(&self) {
        self.blocking.store(true, Ordering::Release);
    }

    pub(crate) fn is_blocking(&self) -> bool {
        self.blocking.load(Ordering::Acquire)
    }

    /// Notes a body of `once` until the guard is dropped; `None` where one with that key runs already.
    pub(crate) fn run_once(&self, key: &str) -> Option<RunningOnce<'_>> {
        if !self.with(|inner| inner.once_keys.insert(key.to_owned())) {
            return None;
        }
        self.once_running.fetch_add(1, Ordering::AcqRel);
        Some(RunningOnce { asking: self, key: key.to_owned() })
    }

    /// Notes a question on its way; false where there are `max` already. [`Asking::arrived`] is its end.
    pub(crate) fn depart(&self, slot: &Arc<Slot>, max: usize) -> bool {
        let room = self.with(|inner| {
            inner.slots.retain(|slot| slot.strong_count() > 0);
            let room = inner.slots.len() < max;
            if room {
                inner.slots.push(Arc::downgrade(slot));
            }
            room
        });
        if room {
            self.departed.fetch_add(1, Ordering::AcqRel);
            self.waiting.fetch_add(1, Ordering::AcqRel);
        }
        room
    }

    pub(crate) fn arrived(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// How many questions went out so far.
    pub(crate) fn questions(&self) -> u32 {
        self.departed.load(Ordering::Acquire)
    }

    /// True while a question is on its way to the client and back.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Ends the wait for every question on its way; false where there was none.
    pub(crate) fn give_up(&self, why: impl Fn() -> Reply) -> bool {
        let slots = self.with(|inner| std::mem::take(&mut inner.slots));
        slots.iter().filter_map(Weak::upgrade).filter(|slot| slot.put(why())).count() > 0
    }
}

impl Inner {
    fn candidates(&mut self, key: &str, kind: QuestionKind) -> Result<Vec<String>, CallError> {
        if *self.kinds.entry(key.to_owned()).or_insert(kind) != kind {
            let problem = format!("the key {key:?} is used for questions of different kinds");
            return Err(CallError::internal(problem));
        }
        let known = self.memory.answers.get(key).filter(|(known, _)| *known == kind);
        let counts = !self.only_asked || self.memory.asked.get(key) == Some(&kind);
        let given = self.given.get(key).filter(|_| counts);
        Ok(known
            .map(|(_, raw)| raw.clone())
            .into_iter()
            .chain(given.map(|raw| raw.get().to_owned()))
            .collect())
    }
}

/// A body of `once` that runs.
pub(crate) struct RunningOnce<'a> {
    asking: &'a Asking,
    key: String,
}

impl Drop for RunningOnce<'_> {
    fn drop(&mut self) {
        self.asking.with(|inner| inner.once_keys.remove(&self.key));
        self.asking.once_running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::mcp::ask::elicitation::Elicitation;

    const ACCEPTED: &str = r#"{"action":"accept"}"#;

    fn given(key: &str, raw: &str) -> BTreeMap<String, Box<RawValue>> {
        BTreeMap::from([(key.to_owned(), RawValue::from_string(raw.to_owned()).unwrap())])
    }

    fn link() -> Question {
        Elicitation::url("m", "https://a.example").into()
    }

    #[test]
    fn answers_of_earlier_rounds_win_over_new_ones() {
        let mut inner = Inner { given: given("k", r#"{"action":"decline"}"#), ..Inner::default() };
        inner.memory.answers.insert("k".into(), (QuestionKind::Url, ACCEPTED.into()));
        let asking = Asking::new(inner);
        let Some(Answered::Elicited(elicited)) = asking.find("k", &link()).unwrap() else { panic!() };
        assert!(elicited.accepted());
    }

    #[test]
    fn malformed_answers_are_as_good_as_none_and_good_ones_are_kept() {
        let asking = Asking::new(Inner { given: given("k", "12345"), ..Inner::default() });
        assert!(asking.find("k", &link()).unwrap().is_none());
        let asking = Asking::new(Inner { given: given("k", ACCEPTED), ..Inner::default() });
        assert!(asking.find("other", &link()).unwrap().is_none());
        assert!(asking.find("k", &link()).unwrap().is_some());
        assert_eq!(
            asking.with(|inner| inner.memory.answers["k"].clone()),
            (QuestionKind::Url, ACCEPTED.into())
        );
    }

    #[test]
    fn where_it_matters_only_answers_to_questions_of_the_state_count() {
        let inner = || Inner { given: given("k", ACCEPTED), only_asked: true, ..Inner::default() };
        assert!(Asking::new(inner()).find("k", &link()).unwrap().is_none());
        let mut asked = inner();
        asked.memory.asked.insert("k".into(), QuestionKind::Url);
        assert!(Asking::new(asked).find("k", &link()).unwrap().is_some());
    }

    #[test]
    fn one_key_is_one_kind_of_question() {
        let asking = Asking::default();
        assert!(asking.find("k", &link()).unwrap().is_none());
        assert!(asking.find("k", &link()).is_ok());
        assert!(asking.find("k", &Question::roots()).is_err());
    }

    #[test]
    fn a_running_once_and_a_thread_hold_the_end_back() {
        let asking = Asking::default();
        let running = asking.run_once("a");
        assert!(running.is_some() && asking.run_once("a").is_none());
        assert!(asking.suspend(vec![("k".into(), link())], 1));
        assert!(!asking.is_suspended());
        drop(running);
        assert!(asking.is_suspended());
        asking.set_blocking();
        assert!(!asking.is_suspended());
        assert!(asking.suspend(vec![("k".into(), link())], 1), "asked twice, sent once");
        assert!(!asking.suspend(vec![("l".into(), link())], 1));
    }
}
